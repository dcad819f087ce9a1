import { Bench } from '../test/helpers/cli.ts';
import { Podman } from '../test/e2e/podman.ts';
import { installMountProgram } from '../test/overlay/install.ts';
import { type Contender, EngineBench, type Job, MAKE_MANY } from './engines.ts';

/** What podman's users wait for, on the kernel's overlayfs, and with fuse-overlayfs and ufs as mount programs, in turns in one run. See README.md beside this file. */
const rootless = !process.argv.includes('--root');
// podman wants short paths.
const place = new EngineBench('ufs-');

/** Ends the server of mounts that the runs before have left, as a minute without a mount does. */
const END_SERVER = "pkill -f '[o]verlay/server-process.js' && sleep 0.5 || true";

/** Work, in this order. */
const jobs: (Job<Podman> & { rootless?: true })[] = [
  { name: 'import of Debian', timed: (podman) => void podman.podman('import', '-q', place.path('debian.tar'), 'debian') },
  { name: 'run --rm true, where no server of ufs runs yet', before: () => void place.sh(END_SERVER), timed: (podman) => void podman.runImage('debian', 'true') },
  { name: 'run --rm true', timed: (podman) => void podman.runImage('debian', 'true') },
  { name: 'build', timed: (podman) => void podman.podman('build', '-q', '--no-cache', '--isolation', 'chroot', '-t', 'built', place.path('context')), after: (podman) => void podman.podman('rmi', 'built') },
  {
    name: 'commit of 10,000 files',
    before: (podman) => void podman.podman('run', '--name', 'maker', 'debian', 'sh', '-c', MAKE_MANY),
    timed: (podman) => void podman.podman('commit', '-q', 'maker', 'many'), after: (podman) => void podman.podman('rm', 'maker'),
  },
  {
    name: 'diff of 10 changes in 17,000 files', before: (podman) => void podman.podman('run', '--name', 'changer', 'many', 'sh', '-c', 'for i in 1 2 3 4 5; do echo new >/many/50/new$i; done; echo more >>/many/7/7; chmod 600 /many/8/8; rm -r /many/9'),
    timed: (podman) => void podman.podman('diff', 'changer'), after: (podman) => (podman.podman('rm', 'changer'), void podman.podman('rmi', 'many')),
  },
  {
    name: 'first start with --userns=keep-id of 1 GB in 10,000 files', rootless: true, before: (podman) => void podman.podman('import', '-q', place.path('big.tar'), 'big'),
    timed: (podman) => void podman.podman('run', '--rm', '--userns=keep-id', 'big', '/busybox', 'true'), after: (podman) => void podman.podman('rmi', 'big'),
  },
  { name: 'rmi of Debian', timed: (podman) => void podman.podman('rmi', '-f', 'debian') },
];

const bench = new Bench();
const contenders: Contender<Podman>[] = [];
try {
  place.makeInputs();
  place.sh(`mkdir -p big/1; cp /bin/busybox big; for f in $(seq 100); do head -c 100k /dev/urandom >big/1/$f; done; for d in $(seq 2 100); do cp -r big/1 big/$d; done; tar -C big -cf big.tar .; rm -r big
    chmod 711 . disk; chmod -R a+rX context *.tar`);
  for (const [name, mountProgram] of [['overlayfs'], ['fuse-overlayfs', place.run('which', 'fuse-overlayfs').trim()], ['ufs', installMountProgram(bench.path('installed'))]] as const) {
    contenders.push({ name, engine: new Podman(bench, name.slice(0, 1), { rootless, ...(mountProgram === undefined ? {} : { mountProgram }) }) });
  }
  const results = place.measure(contenders, jobs.filter((job) => rootless || job.rootless !== true));
  place.report(results, results.table(['overlayfs', 'fuse-overlayfs', 'ufs'], 'ufs', [['fuse-overlayfs'], ['overlayfs']]), {
    words: `${place.run('podman', '--version').trim()}, ${rootless ? 'rootless' : 'as root'}; ${place.run('fuse-overlayfs', '--version').split('\n')[0]}`, json: { rootless },
  });
} finally {
  for (const { engine } of contenders) {
    engine.try('rm', '-af', '-t', '0');
    await engine.close();
  }
  bench.close();
  place.close();
}
