import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { needsBusyboxAndRunc, writeBusybox } from '../helpers/busybox-image.ts';
import { Bench, MAIN, mountsBelow, type Result, until } from '../helpers/cli.ts';
import { needsProgram } from '../helpers/needs.ts';
import { needsOtherUser, runAsUser, userMain } from '../helpers/ordinary-user.ts';
import { processesWith } from '../helpers/processes.ts';

describe('ufs run', { skip: needsBusyboxAndRunc }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    writeBusybox(bench, { Env: ['GREETING=hello', 'PATH=/bin', 'OTHER=1'], Entrypoint: ['sh', '-c'], Cmd: ['echo $GREETING $0; pwd; id'], WorkingDir: '/work', User: 'worker:helpers' },
      "mkdir work; echo no >plain; chmod 0644 plain; printf '#!/nowhere\\n' >bin/lost; printf 'garbage' >bin/garbage; chmod 0755 bin/lost bin/garbage");
    bench.ufs('load', 'busybox.tar');
  });
  after(() => bench.close());

  /** The container's own shell, as root, whatever the image says. */
  const shell = (script: string): string[] => ['-u', '0', '--entrypoint', 'sh', 'busybox', '-c', script];
  const run = (...argv: string[]): string => bench.ufs('run', '--rm', ...argv);
  const code = (...argv: string[]): number | null => bench.try('run', '--rm', ...argv).code;

  /** Nothing of a container is left: no mount, no process, no directory. */
  function assertNothingLeft(): void {
    assert.deepEqual(mountsBelow(bench.directory), []);
    assert.deepEqual(processesWith((word) => word.startsWith(`${bench.store}/run/containers/`)), []);
    assert.deepEqual(readdirSync(bench.path('store/run/containers')), []);
    assert.deepEqual(readdirSync(bench.path('store/run/mounts')), []);
  }

  test('runs what the image says: its program, arguments, environment, directory and user', () => {
    assert.equal(run('busybox'), 'hello sh\n/work\nuid=1000(worker) gid=1002(helpers)\n');
    assertNothingLeft();
  });

  test('the command line replaces each of these', () => {
    assert.equal(run('busybox', 'echo "$GREETING"', 'zero'), 'hello\n');
    assert.equal(run('--entrypoint', 'echo', 'busybox', '-n', '--rm', 'a b'), '--rm a b');
    assert.equal(run('-w', '/made/here', '-e', 'GREETING=bye', '-e', 'PATH', '-e', 'NOT_HERE', '-e', 'OTHER', 'busybox', 'pwd; echo $GREETING "<$OTHER>"'), '/made/here\nbye <>\n');
  });

  test('users and groups are those of the image\'s own accounts', () => {
    assert.match(run('-u', 'worker', 'busybox', 'id'), /^uid=1000\(worker\) gid=1001\(workers\) groups=(.*,)?1002\(helpers\),1003\(others\)\n$/);
    assert.equal(run('-u', '77:helpers', 'busybox', 'id'), 'uid=77 gid=1002(helpers)\n');
    for (const [user, why] of [['nobody-here', /unable to find user nobody-here: no matching entries in passwd file/], ['root:nowhere', /unable to find group nowhere: no matching entries in group file/]] as const) {
      const { code, err } = bench.try('run', '--rm', '-u', user, 'busybox');
      assert.equal(code, 125);
      assert.match(err, why);
    }
    assertNothingLeft();
  });

  test('ends with the command\'s exit code, and as docker run does where there was no command to run', () => {
    assert.equal(code('busybox', 'exit 7'), 7);
    for (const [program, expected] of [['nothing', 127], ['/bin/nothing', 127], ['/plain', 126], ['/work', 126]] as const) assert.equal(code('--entrypoint', program, 'busybox'), expected, program);
    for (const program of ['/bin/lost', '/bin/garbage']) assert.notEqual(code('--entrypoint', program, 'busybox'), 0, program);
    for (const argv of [['nothing'], ['--runtime', 'no-such-runtime', 'busybox'], ['-w', 'relative', 'busybox'], ['-v', '/a:b', 'busybox'], ['-t', 'busybox'], ['--entrypoint', '', 'busybox']]) {
      const { code, err } = bench.try('run', '--rm', ...argv);
      assert.equal(code, 125, argv.join(' '));
      assert.match(err, /^ufs: ./);
    }
    assert.equal(bench.try('run', '--no-such-flag', 'busybox').code, 2);
    assertNothingLeft();
  });

  test('passes input and output through, whole and unchanged', () => {
    const data = randomBytes(5 << 20);
    const { code, out, err } = bench.run('/bin/sh', ['-c', `${process.execPath} ${MAIN} --root ${bench.store} run --rm -i ${shell('cat; echo end >&2').map((word) => `'${word}'`).join(' ')} | (sleep 0.2; md5sum)`], data);
    assert.equal(code, 0, err);
    assert.equal(err, 'end\n');
    assert.equal(out, bench.run('md5sum', [], data).out);
    assert.equal(bench.run(process.execPath, [MAIN, '--root', bench.store, 'run', '--rm', 'busybox', 'wc -c'], Buffer.from('unread')).out.trim(), '0');
  });

  test('the container stays, is told the changes of, committed and run again; with --rm it doesn\'t', () => {
    bench.ufs('run', '--name', 'kept', ...shell('echo one >/file; rm /plain'));
    assert.deepEqual(bench.ufs('changes', 'kept').split('\n').filter((line) => /file|plain/.test(line)), ['A /file', 'D /plain']);
    assert.equal(bench.ufs('run', '-u', '0', 'kept', 'cat /file; pwd; echo two >>/file'), 'one\n/work\n');
    bench.ufs('commit', 'kept', 'changed');
    assert.equal(run('--entrypoint', 'cat', 'changed', '/file'), 'one\ntwo\n');
    bench.ufs('rm', 'kept', 'changed');
    assert.deepEqual(JSON.parse(bench.ufs('containers', '--json')), []);
    assertNothingLeft();
  });

  test('a container that is mounted isn\'t run, and the other way round', async () => {
    bench.sh('mkdir -p mnt');
    bench.ufs('mount', 'busybox', 'mnt', '--name', 'busy', '--detach');
    const refused = bench.try('run', 'busy', 'true');
    assert.equal(refused.code, 125);
    assert.match(refused.err, /Cannot mount the container "busy": it is mounted on .*mnt/);
    assert.equal(run('busybox', 'echo beside'), 'beside\n');
    bench.ufs('umount', 'mnt');
    const running = bench.start('run', '-u', '0', 'busy', 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done');
    await until(() => running.result.out === 'ready\n', 'the command to run');
    assert.match(bench.try('mount', 'busy', 'mnt').err, /it is mounted on/);
    running.kill('SIGTERM');
    assert.equal((await running.ended).code, 0);
    bench.ufs('rm', 'busy');
    assertNothingLeft();
  });

  async function ready(...argv: string[]): Promise<ReturnType<Bench['start']>> {
    const running = bench.start('run', '--rm', ...argv);
    await until(() => running.result.out.startsWith('ready\n'), 'the command to run');
    return running;
  }

  test('passes signals on, each of them, and goes on until the command ends', async () => {
    const running = await ready(...shell('trap "echo int" INT; trap "echo usr1" USR1; trap "echo term; exit 3" TERM; echo ready; while :; do sleep 0.05; done'));
    for (const [signal, said] of [['SIGINT', 'int\n'], ['SIGINT', 'int\nint\n'], ['SIGUSR1', 'int\nint\nusr1\n']] as const) {
      running.kill(signal);
      await until(() => running.result.out === `ready\n${said}`, `${signal} to arrive`);
    }
    running.kill('SIGTERM');
    const { code, out } = await running.ended;
    assert.equal(out, 'ready\nint\nint\nusr1\nterm\n');
    assert.equal(code, 3);
    assertNothingLeft();
  });

  test('killed itself, its container is ended, unmounted and, with --rm, removed', async () => {
    const running = await ready('-v', 'killed:/data', ...shell('echo x >/data/x; echo ready; sleep 1000'));
    running.kill('SIGKILL');
    await running.ended;
    await until(() => readdirSync(bench.path('store/run/mounts')).length === 0, 'all to be undone');
    await until(() => !existsSync(bench.path('store/control.sock')), 'the server to end');
    assertNothingLeft();
    assert.ok(!bench.ufs('containers').includes('busybox'));
    bench.ufs('volume', 'rm', 'killed');
  });

  test('a server that is killed takes its containers with it, and the next one clears up what is left', async () => {
    const running = await ready('-v', 'killed:/data', ...shell('echo x >/data/x; sync; echo ready; sleep 1000'));
    const [server] = processesWith((word) => word === bench.store).filter((pid) => pid !== running.pid);
    process.kill(server as number, 'SIGKILL');
    const { code, err } = await running.ended;
    assert.equal(code, 125);
    assert.match(err, /The process that serves the store has ended/);
    assert.equal(run('-v', 'killed:/data', ...shell('cat /data/x')), 'x\n');
    assertNothingLeft();
    assert.ok(!bench.ufs('containers').includes('busybox'));
    bench.ufs('volume', 'rm', 'killed');
    assert.match(bench.ufs('check'), /sound/);
  });

  test('a server that is stopped ends its containers first', async () => {
    const running = await ready(...shell('echo ready; sleep 1000'));
    const [server] = processesWith((word) => word === bench.store).filter((pid) => pid !== running.pid);
    process.kill(server as number, 'SIGTERM');
    assert.equal((await running.ended).code, 137);
    await until(() => !existsSync(`/proc/${server}`), 'the server to end');
    assertNothingLeft();
  });

  test('has the mounts and limits that a container of Docker has', () => {
    assert.equal(run(...shell('echo x >/dev/null; ls /dev | grep -c -E "^(null|zero|full|random|urandom|tty|pts|shm|mqueue|ptmx)$"; echo 1 2>&1 >/proc/sys/kernel/hostname || echo read-only; wc -c </proc/timer_list; grep CapEff /proc/self/status | cut -f 2')), '10\nsh: can\'t create /proc/sys/kernel/hostname: Read-only file system\nread-only\n0\n00000000a80425fb\n');
    assert.equal(run('busybox', 'grep -E "Cap(Eff|Prm)" /proc/self/status | cut -f 2'), '0000000000000000\n0000000000000000\n');
    assert.equal(run('--network', 'none', 'busybox', 'grep -c : /proc/net/dev'), '1\n');
    const hosts = run(...shell('cat /etc/hosts; ! echo x 2>/dev/null >>/etc/hosts; touch /etc/own'));
    assert.equal(hosts, readFileSync('/etc/hosts', 'utf8'));
    assert.equal(run('--network', 'none', ...shell('ls /etc')), 'group\npasswd\n');
    assert.equal(run('busybox', 'readlink /proc/self/ns/net').trim(), bench.sh('readlink /proc/self/ns/net').trim());
    const { out } = bench.try('run', '--rm', '--read-only', '-v', 'writable:/data', ...shell('touch /new 2>/dev/null || echo no; touch /data/new /dev/shm/new && echo yes'));
    assert.equal(out, 'no\nyes\n');
    bench.ufs('volume', 'rm', 'writable');
  });

  test('gives it a terminal', { skip: needsProgram('script') }, () => {
    const words = [process.execPath, MAIN, '--root', bench.store, 'run', '--rm', '-it', ...shell('tty; stty size; read line; echo "<$line>"; exit 4')].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    const { code, out } = bench.run('script', ['-qec', `stty rows 33 cols 44; ${words}`, '/dev/null'], Buffer.from('typed\n'));
    assert.equal(code, 4);
    assert.match(out, /\/dev\/pts\/0\r\n33 44\r\n/);
    assert.match(out, /<typed>\r\n/);
  });

  test('mounts volumes, files and directories of the host, and tmpfs', () => {
    bench.sh('mkdir -p host/sub; echo in >host/file; echo deep >host/sub/file');
    const volume = (...rest: string[]): string => run('-v', 'shared:/data', ...rest);
    assert.equal(volume(...shell('echo first >/data/f; stat -c %a:%u /data')), '755:0\n');
    assert.equal(volume(...shell('cat /data/f')), 'first\n');
    assert.equal(run('-v', 'shared:/data:ro', ...shell('cat /data/f; echo x 2>&1 >/data/f || echo refused')), "first\nsh: can't create /data/f: Read-only file system\nrefused\n");
    assert.equal(run('-v', './host:/in:ro', '-v', `${bench.path('host/file')}:/etc/one`, ...shell('cat /in/sub/file /etc/one; echo x 2>/dev/null >/in/file || echo refused; echo more >>/etc/one')), 'deep\nin\nrefused\n');
    assert.equal(readFileSync(bench.path('host/file'), 'utf8'), 'in\nmore\n');
    assert.match(run('--tmpfs', '/t:size=64k,mode=0700', '--mount', 'type=tmpfs,dst=/dev/shm,tmpfs-size=1m', ...shell('stat -c %a /t; grep -E " /(t|dev/shm) " /proc/mounts')), /^700\n(.*size=(64|1024)k.*\n){2}$/);
    // The image's content; but not where it is told otherwise, nor in what isn't empty.
    assert.equal(run('-v', 'filled:/etc', ...shell('head -n 1 /etc/passwd; echo own >/etc/group')), 'root:x:0:0::/root:/bin/sh\n');
    assert.equal(run('-v', 'filled:/etc', ...shell('cat /etc/group')), 'own\n');
    assert.equal(run('-v', 'bare:/etc:nocopy', ...shell('ls /etc')), '');
    const part = (options: string): string => `type=volume,src=filled,dst=/part,${options}`;
    run('-v', 'filled:/etc', ...shell('mkdir /etc/sub; echo part >/etc/sub/f; ln -s /etc/sub /etc/out; ln -s sub /etc/in'));
    for (const subpath of ['sub', 'in']) assert.equal(run('--mount', part(`volume-subpath=${subpath}`), '--mount', 'type=volume,src=filled,dst=/one,volume-subpath=sub/f,readonly', ...shell('cat /part/f /one')), 'part\npart\n');
    assert.equal(bench.try('run', '--rm', '--mount', part('volume-subpath=out'), 'busybox').code, 125);
    // Nobody can name it any more.
    assert.equal(run('-v', '/anonymous', ...shell('touch /anonymous/x; ls /anonymous')), 'x\n');
    assert.deepEqual((JSON.parse(bench.ufs('volume', 'ls', '--json')) as { name: string }[]).map(({ name }) => name).sort(), ['bare', 'filled', 'shared']);
    bench.ufs('volume', 'rm', 'bare', 'filled', 'shared');
    assertNothingLeft();
  });

  test('two containers share a volume, which goes when the last of them does', async () => {
    const first = await ready('-v', 'both:/data', ...shell('trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done'));
    assert.equal(run('-v', 'both:/data', ...shell('echo seen >/data/x')), '');
    assert.match(bench.try('volume', 'rm', 'both').err, /in use by ufs run busybox/);
    first.kill('SIGTERM');
    assert.equal((await first.ended).code, 0);
    assert.equal(run('-v', 'both:/data', ...shell('cat /data/x')), 'seen\n');
    bench.ufs('volume', 'rm', 'both');
    assertNothingLeft();
  });

  test('a target that a symlink of the image leads elsewhere stays in the container', () => {
    bench.sh('mkdir -p outside; echo host >outside/file');
    const made = (link: string): Result => bench.try('run', '--name', 'linked', ...shell(`mkdir -p /real; rm -rf /link; ln -s ${link} /link`));
    for (const link of [bench.path('outside'), `../../..${bench.path('outside')}`]) {
      assert.equal(made(link).code, 0);
      assert.equal(bench.ufs('run', '-u', '0', '-v', 'inside:/link', 'linked', 'echo container >/link/file; cat /link/file'), 'container\n');
      assert.equal(readFileSync(bench.path('outside/file'), 'utf8'), 'host\n');
      bench.ufs('rm', 'linked');
      bench.ufs('volume', 'rm', 'inside');
    }
    assertNothingLeft();
  });

  test('an ordinary user runs containers, in user namespaces one after another and outside of any', { skip: needsOtherUser || needsProgram('unshare') || needsProgram('fusermount3') }, () => {
    const own = new Bench();
    try {
      own.sh(`cp ${bench.path('busybox.tar')} .`);
      const main = userMain(own);
      const script = `ufs run --rm -i -v vol:/data ${shell('id -u; wc -c; echo x >>/data/x; cat /data/x; touch /new; exit 6').map((word) => `'${word}'`).join(' ')} <busybox.tar`;
      const loaded = runAsUser(own, main, 'ufs load busybox.tar >/dev/null', ['unshare', '-Urm', '--propagation', 'slave']);
      assert.equal(loaded.code, 0, loaded.err);
      for (const namespace of [['unshare', '-Urm', '--propagation', 'slave'], ['unshare', '-Urm', '--propagation', 'slave'], []]) {
        const { code, out, err } = runAsUser(own, main, script, namespace);
        assert.equal(code, 6, err);
        assert.match(out, /^0\n\d{6,}\n(x\n)+$/);
      }
      assert.deepEqual(mountsBelow(own.directory), []);
    } finally {
      own.close();
    }
  });
});
