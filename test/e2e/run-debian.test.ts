import assert from 'node:assert/strict';
import { chmodSync, chownSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, MAIN, mountsBelow, type Result, until } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { asUser, USER } from '../helpers/ordinary-user.ts';
import { processesWith } from '../helpers/processes.ts';
import { readableFor } from '../helpers/user-namespace.ts';
import { writeDebian } from './debian-rootfs.ts';
import { needsSubordinateUser, SubordinateUser } from './subordinate-user.ts';

const APT = 'apt-get -o Debug::NoLocking=1 -o APT::Sandbox::User=root -qqy';
const STATE = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n' sample; dpkg --verify sample";

/** What is done, each with its name: its output, errors and exit code are kept. `input`: through a pipe. */
const STEPS: { name: string; argv: string[]; input?: string }[] = [
  { name: 'install', argv: ['run', '--name', 'apt', '-v', 'cache:/srv/cache', '-e', 'DEBIAN_FRONTEND=noninteractive', 'debian', 'bash', '-ec', `${APT} install /deb/sample_1.deb; ${STATE}; sample; dpkg -L sample >/srv/cache/files`] },
  { name: 'upgrade', argv: ['run', '-v', 'cache:/srv/cache:ro', '-w', '/srv/cache', '-e', 'DEBIAN_FRONTEND=noninteractive', 'apt', 'bash', '-ec', `grep -c sample files; ! touch new 2>/dev/null; dpkg -i /deb/sample_2.deb; ${STATE}; sample; cat /etc/sample.conf`] },
  { name: 'changes', argv: ['changes', 'apt'] },
  { name: 'commit', argv: ['commit', 'apt', 'with-sample'] },
  { name: 'committed', argv: ['run', '--rm', '--network', 'none', 'with-sample', 'bash', '-c', 'sample; stat -c %h:%a /usr/bin/sample'] },
  { name: 'code', argv: ['run', '--rm', 'debian', 'bash', '-c', 'exit 42'] },
  { name: 'missing', argv: ['run', '--rm', 'debian', 'no-such-program'] },
  { name: 'environment', argv: ['run', '--rm', '-w', '/usr/share', '-e', 'ONE=1', '-e', 'TOLD', '--tmpfs', '/run:size=1m', 'debian', 'bash', '-c', 'pwd; echo "$ONE $TOLD $HOME"; id -un; df --output=size /run | tail -n 1'] },
  { name: 'user', argv: ['run', '--rm', '-u', 'daemon', '-w', '/tmp', '-v', 'theirs:/tmp', 'debian', 'bash', '-c', 'id -un; id -gn; touch mine; stat -c %U mine; ! touch /etc/new 2>/dev/null'] },
  { name: 'input', argv: ['run', '--rm', '-i', 'debian', 'sort', '-n'], input: '10\n9\n100\n' },
];

interface Way {
  name: string;
  skip: string | false;
  /** Whether there are more ids than one. */
  ids: boolean;
  /** The words that run a command so, once the bench has all that is needed. */
  command: (bench: Bench) => string[];
}

const WAYS: Way[] = [
  { name: 'as root', skip: needsRootAndFuse, ids: true, command: () => [] },
  {
    name: 'as root of a user namespace with subordinate ids', skip: needsRootAndFuse || needsSubordinateUser, ids: true, command: (bench) => {
      const user = new SubordinateUser(bench.directory);
      give(bench, SubordinateUser.id);
      return user.command(['unshare', '--user', '--map-root-user', '--map-auto', '--mount', '--propagation', 'slave']);
    },
  },
  { name: 'as root of a user namespace with one id', skip: needsRootAndFuse || needsProgram('setpriv') || needsProgram('unshare'), ids: false, command: (bench) => (give(bench, USER), [...asUser, 'unshare', '-Urm', '--propagation', 'slave']) },
];

/** The archive of the root file system, which all have. */
let debian: Bench | undefined;
after(() => debian?.close());

function writtenDebian(): Bench {
  const made = new Bench();
  writeDebian(made);
  made.sh('chmod 644 debian.tar');
  return made;
}

function give(bench: Bench, user: number): void {
  for (const path of ['.', 'said']) chownSync(bench.path(path), user, user);
  chmodSync(bench.directory, 0o755);
}

const skip = needsProgram('runc') || needsProgram('dpkg-deb') || needsProgram('ldd');
for (const way of WAYS) {
  describe(`ufs run of a Debian, ${way.name}`, { skip: way.skip || skip }, () => {
    let bench: Bench;
    const said = (name: string): Result => ({ code: Number(readFileSync(bench.path('said', `${name}.code`), 'utf8')), out: readFileSync(bench.path('said', `${name}.out`), 'utf8'), err: readFileSync(bench.path('said', `${name}.err`), 'utf8') });
    const succeeded = (name: string): string => {
      const { code, out, err } = said(name);
      assert.equal(code, 0, `${name}: ${err}${out}`);
      return out;
    };

    // One server in one pair of namespaces: all is done in there by one script, and looked at here.
    before(() => {
      bench = new Bench();
      debian ??= writtenDebian();
      linkSync(debian.path('debian.tar'), bench.path('debian.tar'));
      mkdirSync(bench.path('said'));
      mkdirSync(bench.path('copy'));
      const main = readableFor(MAIN, bench.path('copy'));
      const quoted = (words: string[]): string => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
      const steps = STEPS.filter(({ name }) => way.ids || name !== 'user').map(({ name, argv, input }) => `step ${name} ${quoted([input ?? ''])} ${quoted(argv)}`);
      writeFileSync(bench.path('script'), `ufs=('${process.execPath}' '${main}' --root '${bench.store}'); export TOLD=told
        step() { local name=$1 code=0; printf %s "$2" | "\${ufs[@]}" "\${@:3}" >said/$name.out 2>said/$name.err || code=$?; echo $code >said/$name.code; }
        step import '' import debian.tar --name debian
        ${steps.join('\n')}
        "\${ufs[@]}" run --rm debian bash -c 'trap "echo told; exit 5" TERM; echo ready; while :; do sleep 0.1; done' >said/term.out 2>said/term.err & pid=$!
        for n in $(seq 600); do grep -q ready said/term.out && break; sleep 0.1; done; kill -TERM $pid; code=0; wait $pid || code=$?; echo $code >said/term.code
        step containers '' containers --json
        step left '' volume rm cache ${way.ids ? 'theirs' : ''}
        step check '' check
        grep -c "$PWD/store/run" /proc/self/mountinfo >said/mounts.out; :`, { mode: 0o644 });
      const [command, ...argv] = [...way.command(bench), '/bin/bash', '-uo', 'pipefail', 'script'];
      const { code, err } = bench.run(command as string, argv);
      assert.equal(code, 0, err);
    });
    after(async () => {
      await until(() => processesWith((word) => word === bench.store).length === 0, 'the server to end');
      bench.close();
    });

    test('apt-get and dpkg install and upgrade a package, with a volume', () => {
      assert.match(succeeded('install'), /sample 1 ii \nversion 1\n$/);
      assert.match(succeeded('upgrade'), /^[1-9][0-9]\n[^]*sample 2 ii \nversion 2\nsetting of 2\n$/);
    });

    test('the container that stays tells its changes, without the volume\'s, and is committed', () => {
      const changes = succeeded('changes').split('\n');
      for (const line of ['A /usr/bin/sample', 'A /etc/sample.conf', 'C /var/lib/dpkg/status']) assert.ok(changes.includes(line), line);
      assert.ok(!changes.includes('A /srv/cache/files'));
      assert.match(succeeded('commit'), /^sha256:/);
      assert.equal(succeeded('committed'), 'version 2\n3:4755\n');
    });

    test('ends as the command does', () => {
      assert.equal(said('code').code, 42);
      assert.equal(said('missing').code, 127);
      assert.match(said('missing').err, /no-such-program/);
    });

    test('has the directory and environment it was given', () => {
      assert.match(succeeded('environment'), /^\/usr\/share\n1 told \/root\nroot\n *1024\n$/);
    });

    test('runs as a user of the image, who owns what they make', { skip: way.ids ? false : 'there is one id' }, () => {
      assert.equal(succeeded('user'), 'daemon\ndaemon\ndaemon\n');
    });

    test('reads a pipe, and hears SIGTERM', () => {
      assert.equal(succeeded('input'), '9\n10\n100\n');
      const { code, out, err } = said('term');
      assert.equal(out, 'ready\ntold\n', err);
      assert.equal(code, 5);
    });

    test('leaves the container that was named, and nothing else', () => {
      assert.deepEqual((JSON.parse(succeeded('containers')) as { id: string; name?: string }[]).filter(({ id }) => !id.startsWith('volume:')).map(({ name }) => name), ['apt']);
      succeeded('left');
      assert.match(succeeded('check'), /sound/);
      assert.equal(readFileSync(bench.path('said/mounts.out'), 'utf8'), '0\n');
      assert.deepEqual(mountsBelow(bench.directory), []);
    });
  });
}
