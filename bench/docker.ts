import { Bench } from '../test/helpers/cli.ts';
import { Dockerd } from '../test/e2e/dockerd.ts';
import { ServedDriver } from '../test/e2e/served-driver.ts';
import { type Contender, EngineBench, type Job, MAKE_MANY } from './engines.ts';

/** What docker users wait for, on the drivers overlay2, vfs and ufs, each with a dockerd of its own, in turns in one run. See README.md beside this file. */
const place = new EngineBench('ufs-bench-');

const CHANGES = `for i in 1 2 3 4 5; do echo new >/many/50/new$i; done; echo more >>/many/7/7; echo more >>/etc/hostname.old; chmod 600 /many/8/8; rm /many/9/9; rm -r /usr/share/doc/bash`;

/** Work, in this order. */
const jobs: Job<Dockerd>[] = [
  { name: 'import of Debian', timed: (dockerd) => void dockerd.docker('import', place.path('debian.tar'), 'debian') },
  { name: 'run --rm true', timed: (dockerd) => void dockerd.runImage('debian', 'true') },
  { name: 'build', timed: (dockerd) => build(dockerd, false), after: (dockerd) => void dockerd.docker('rmi', 'built') },
  { name: 'build with BuildKit', timed: (dockerd) => build(dockerd, true), after: (dockerd) => void dockerd.docker('builder', 'prune', '-af') },
  {
    name: 'commit of 10,000 files',
    before: (dockerd) => void dockerd.docker('run', '--name', 'maker', '--network', 'none', 'debian', 'sh', '-c', MAKE_MANY),
    timed: (dockerd) => void dockerd.docker('commit', 'maker', 'big'),
  },
  {
    name: 'diff of 10 changes',
    before: (dockerd) => void dockerd.docker('run', '--name', 'changer', '--network', 'none', 'big', 'sh', '-c', CHANGES),
    timed: (dockerd) => void dockerd.docker('diff', 'changer'),
    after: (dockerd) => void dockerd.docker('rm', 'maker', 'changer'),
  },
  { name: 'rmi of both', timed: (dockerd) => void dockerd.docker('rmi', '-f', 'built', 'big', 'debian') },
];

function build(dockerd: Dockerd, kit: boolean): void {
  dockerd.buildKit = kit;
  try {
    dockerd.docker('build', '-q', '--no-cache', '--network', 'none', '-t', 'built', place.path('context'));
  } finally {
    dockerd.buildKit = false;
  }
}

const bench = new Bench();
const daemons: Dockerd[] = [];
let driver: ServedDriver | undefined;
try {
  place.makeInputs();
  driver = await ServedDriver.start(bench);
  const contenders: Contender<Dockerd>[] = [];
  for (const [name, options] of [['overlay2', { driver: 'overlay2' }], ['vfs', { driver: 'vfs' }], ['ufs', driver.daemon]] as const) {
    const engine = await Dockerd.start(bench, name, options);
    daemons.push(engine);
    contenders.push({ name, engine });
  }
  const results = place.measure(contenders, jobs);
  place.report(results, results.table(['overlay2', 'vfs', 'ufs'], 'ufs', [['overlay2'], ['vfs']]), { words: place.run('/usr/sbin/dockerd', '--version').trim() });
} finally {
  for (const dockerd of daemons) await dockerd.stop();
  await driver?.stop();
  bench.close();
  place.close();
}
