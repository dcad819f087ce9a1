import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsPodman, PodmanOnUfs } from './podman-on-ufs.ts';
import type { Podman } from './podman.ts';

/** What other union file systems in user space were seen to get wrong, in containers and builds of both kinds of users. */
for (const rootless of [false, true]) {
  describe(`what peers get wrong, ${rootless ? 'rootless' : 'as root'}`, { skip: needsPodman }, () => {
    const podman = PodmanOnUfs.during({ rootless }, ({ bench, ufs, native }) => {
      bench.sh(`cd rootfs; mkdir many; for n in $(seq 40); do awk -v n=$n 'BEGIN { for (line = 0; line < 9000; line++) print "old " n }' >many/$n; done; ln many/1 many/first; ln many/1 d/first; mkdir -m 700 private; mkdir private/below; echo p >private/below/file
        mknod keep/owned c 1 5; chown 3:4 keep/owned; cd ..; tar --numeric-owner --xattrs --xattrs-include='*' -cf rootfs.tar -C rootfs .`);
      for (const each of [ufs, native]) each.podman('import', '-q', '-c', 'ENV PATH=/bin', 'rootfs.tar', 'base');
    });
    const sh = (script: string): string[] => ['busybox', 'sh', '-ec', script];
    /** Both give this, and the image is as it was: its files are what another container sees. */
    const run = (script: string, ...flags: string[]): string => {
      const sums = (each: Podman): string => each.sh(`cd ${each.directory}/graph/overlay; find */diff ! -type l -printf '%p %i %s %T@ %C@\\n' | sort; find */diff -type f -path '*/many/*' -exec sha256sum {} + | sort`);
      const before = sums(podman.now.ufs);
      const said = podman.now.same((each) => each.podman('run', '--rm', ...flags, 'base', ...sh(script)));
      assert.equal(sums(podman.now.ufs), before);
      return said;
    };

    test('a directory that was removed and made again holds nothing of the old one, in a container and in what is built', () => {
      assert.equal(run('rm -rf /many /d; mkdir /many /d; cat /many/1 2>/dev/null || echo none; ls /many /d; mkdir /d/deep; ls -R /d; mv /kinds /d/kinds; mkdir /kinds; ls /kinds; ls /d/kinds'),
        'none\n/d:\n\n/many:\n/d:\ndeep\n\n/d/deep:\nwas-directory\nwas-file\nwas-link\n');
      podman.now.bench.sh(`mkdir -p anew; printf 'FROM base\\nRUN rm -rf /many /d && mkdir /many /d && echo 1 >/many/new\\nRUN rm -rf /many && mkdir /many\\nRUN rm -rf /private && mkdir -m 711 /private && mkdir /private/below && rm -rf /kinds && ln -s d /kinds\\n' >anew/Containerfile`);
      podman.now.same((each) => void each.podman('build', '-q', '--isolation', 'chroot', '--layers', '-t', 'anew', 'anew'));
      assert.ok(!podman.now.same((each) => podman.now.tree(each, 'anew')).some((line) => /many\/|^d\/|private\/below\/|kinds\//.test(line)));
    });

    test('who has a file open sees what is written to it by name, and nobody else\'s file changes', () => {
      assert.equal(run(`
        cd /many; exec 3<1 4<2 5<3 6<4
        echo new >1; echo more >>2; busybox dd if=/dev/zero of=3 bs=1k count=3 seek=10 conv=notrunc 2>/dev/null; mv 5 4
        busybox head -c 100 <&3; busybox tail -n 1 <&4; busybox md5sum <&5 | busybox md5sum; busybox head -n 1 <&6; busybox head -n 1 4
        for n in $(busybox seq 6 40); do exec 7<$n; echo "changed $n" | busybox dd of=$n conv=notrunc 2>/dev/null; busybox head -n 1 <&7 | busybox grep -qx "changed $n"; busybox cmp $n /proc/self/fd/7; done; echo all`),
      `new\nmore\n${podman.now.bench.sh(`{ head -c 10240 rootfs/many/3; head -c 3072 /dev/zero; tail -c +13313 rootfs/many/3; } | md5sum | md5sum`)}old 4\nold 5\nall\n`);
    });

    test('hard links: how many, of one file, also after one was written to, removed or replaced', () => {
      const said = podman.now.ufs.podman('run', '--rm', 'base', ...sh(`
        cd /many; busybox stat -c %h 1 first /d/first; echo more >>first; busybox tail -n 1 1 /d/first -q 2>/dev/null || { busybox tail -n 1 1; busybox tail -n 1 /d/first; }
        busybox stat -c '%h %i' 1 first /d/first | busybox uniq -c | busybox awk '{print $1, $2}'; ln 2 two; busybox stat -c %h 2 two; rm 1; busybox stat -c %h first; chown 7:8 two; busybox stat -c %u:%g 2`));
      assert.equal(said, '3\n3\n3\nmore\nmore\n3 3\n2\n2\n2\n7:8\n');
    });

    test('a private directory stays private when something in it changes', () => {
      assert.equal(run('echo more >>/private/below/file; rm -r /private/below; mkdir /private/below; busybox stat -c %a /private'), '700\n');
      const id = podman.now.ufs.podman('run', '-d', 'base', ...sh('echo more >>/private/below/file; busybox sleep 600')).trim();
      podman.now.ufs.podman('exec', id, ...sh('until busybox grep -q more /private/below/file; do busybox sleep 0.05; done'));
      assert.equal(podman.now.ufs.podman('exec', '-u', '1000', id, ...sh('ls /private 2>/dev/null || echo refused; cat /private/below/file 2>/dev/null || echo refused')), 'refused\nrefused\n');
      assert.equal(podman.now.ufs.sh(`stat -c %a "$(podman inspect -f '{{.GraphDriver.Data.UpperDir}}' ${id})/private"`), '700\n');
      podman.now.ufs.podman('rm', '-f', '-t', '0', id);
    });

    test('devices', () => {
      if (rootless) assert.equal(run('busybox mknod /null c 1 3 2>/dev/null || echo refused; mkfifo /fifo; (echo through >/fifo &); cat /fifo'), 'refused\nthrough\n');
      else {
        assert.equal(run(`echo into >/keep/null; cat /keep/null; chown 9:9 /keep/owned; chmod 600 /keep/owned; busybox stat -c '%F %u:%g %a %t:%T' /keep/owned; busybox head -c 3 /keep/owned | busybox od -An -tx1
          busybox mknod /zero c 1 5; busybox head -c 2 /zero | busybox od -An -tx1; busybox mknod /block b 7 250; busybox stat -c '%F %t:%T' /block; rm /keep/null; ls /keep/null 2>/dev/null || echo gone`),
        'character special file 9:9 600 1:5\n 00 00 00\n 00 00\nblock special file 7:fa\ngone\n');
      }
    });

    test('files that were removed while they are open are written, cut, given away and read', () => {
      assert.equal(run(`
        cd /many; exec 3<>7 4<7 5>new; rm 7 new; mkdir 7; echo over >&3; echo new >&5
        busybox stat -L -c '%h %s' /proc/self/fd/3 /proc/self/fd/5; busybox head -n 2 <&4 | busybox head -n 1; busybox truncate -s 3 /proc/self/fd/5; chmod 600 /proc/self/fd/5; chown 7:8 /proc/self/fd/5
        busybox stat -L -c '%h %s %a %u' /proc/self/fd/5; cat /proc/self/fd/5; echo; ls -d 7`), '0 54000\n0 4\nover\n0 3 600 7\nnew\n7\n');
    });

    test('when all is removed nothing is left', async () => {
      await podman.now.endsClean();
    });
  });
}
