import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsProgram } from '../helpers/needs.ts';
import { writeDebian } from './debian-rootfs.ts';
import { needsPodman, PodmanOnUfs } from './podman-on-ufs.ts';

/** Twenty steps on one another, each of which overlayfs's users, and peers, stumbled over somewhere. */
const STEPS = [
  'mkdir -p /srv/tree/a/b/c && for n in $(seq 40); do echo $n >/srv/tree/a/b/c/$n; done && cp -a /srv/tree /srv/copy',
  'rm -rf /srv/tree/a/b/c && mkdir /srv/tree/a/b/c && echo anew >/srv/tree/a/b/c/anew',
  'mv /srv/copy/a /srv/copy/moved && ln -s moved /srv/copy/a',
  'cd /srv/copy/moved/b/c && for n in $(seq 10); do ln $n linked-$n; done && rm 1 2',
  'chown -R 1000:1001 /srv/copy && chmod -R go-rwx /srv/copy/moved/b',
  'mkdir -p /usr/local/bin && cp /bin/true /usr/local/bin/capable && setcap cap_net_raw,cap_net_bind_service+ep /usr/local/bin/capable && getcap /usr/local/bin/capable',
  'mv /var/lib/dpkg/info /var/lib/dpkg/moved && mkdir /var/lib/dpkg/info && echo none >/var/lib/dpkg/info/README',
  'find /var/lib/dpkg -name "*.list" -delete; rm -rf /var/lib/dpkg/updates',
  'rm -rf /srv/copy/a && mkdir /srv/copy/a && touch -d 2001-02-03 /srv/copy/a && chmod 2775 /srv/copy/a',
  'echo more >>/srv/copy/moved/b/c/linked-5 && ln /srv/copy/moved/b/c/7 /srv/seven',
  'mkfifo /srv/fifo && chmod 4755 /usr/local/bin/capable && truncate -s 5M /srv/sparse && echo end >>/srv/sparse',
  'chown -R 7:8 /srv/tree /etc/skel && mv /etc/skel /etc/skel.moved && cp -a /etc/skel.moved /etc/skel',
  'cp /bin/false /usr/local/bin/capable.new && mv /usr/local/bin/capable.new /usr/local/bin/capable',
  'setcap cap_chown+ep /usr/local/bin/capable && chown 3 /srv/fifo && rm -rf /srv/tree/a/b && echo file >/srv/tree/a/b',
  'cd /srv && tar -cf packed.tar copy && rm -rf copy && tar -xf packed.tar && rm packed.tar',
  'for n in $(seq 50); do mkdir -p /srv/deep/$n/$n/$n; done; rm -rf /srv/deep/[1-4]*',
  'mv /srv/deep /srv/deeper && mv /srv/deeper /srv/deep && mv /srv/deep/5 /srv/deep/9/9/9/',
  'sed -i s/4/four/ /srv/copy/moved/b/c/4 && cp --remove-destination /etc/passwd /srv/copy/moved/b/c/9 && rm /srv/copy/moved/b/c/linked-9',
  'chmod 700 /srv/deep && chmod 1777 /srv/tree && chown -h 5:6 /srv/copy/moved && touch -d 1999-12-31 /srv/sparse',
  'rm -rf /srv/deep && mkdir /srv/deep && rm -rf /srv/deep && echo file >/srv/deep && rm /srv/seven',
];

/** Debian's tools in containers, and a long build. */
export function debianOnUfs(rootless: boolean): void {
  describe(`a Debian in podman on ufs, ${rootless ? 'rootless' : 'as root'}`, { skip: needsPodman || needsProgram('dpkg-deb') || needsProgram('ldd') || needsProgram('setcap') }, () => {
    const podman = PodmanOnUfs.during({ rootless }, ({ bench, ufs, native }) => {
      writeDebian(bench);
      bench.sh('chmod 644 *.tar; mkdir steps');
      for (const each of [ufs, native]) for (const name of ['debian', 'small']) each.podman('import', '-q', `${name}.tar`, name);
    });

    test('apt-get and dpkg install, upgrade, remove and purge a package', () => {
      const apt = 'apt-get -o Dir::Log=/dev -o Dir::Log::Terminal= -o Dir::Log::History= -o Debug::NoLocking=1 -o APT::Sandbox::User=root -qqy';
      const state = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n' sample; dpkg --verify sample; dpkg --audit sample";
      const steps = [
        `${apt} install /deb/sample_1.deb; ${state}; sample; echo changed >>/etc/sample.conf`, `${apt} -o Dpkg::Options::=--force-confold install /deb/sample_2.deb; ${state}; sample; cat /etc/sample.conf; stat -c %h /usr/bin/sample`,
        `${apt} remove sample; ${state}; ls /usr/share/sample 2>/dev/null || echo gone; cat /etc/sample.conf`, `dpkg --force-confold -i /deb/sample_1.deb; ${state}; dpkg -P sample; ls /etc/sample.conf 2>/dev/null || echo gone; cat /var/lib/sample-scripts; dpkg --force-confold -i /deb/sample_2.deb`,
      ];
      const said = podman.now.same((each) => {
        each.podman('create', '--name', 'apt', 'debian', 'sleep', '600');
        each.podman('start', 'apt');
        const all = steps.map((step) => each.podman('exec', '-e', 'DEBIAN_FRONTEND=noninteractive', 'apt', 'bash', '-ec', step));
        each.podman('rm', '-f', '-t', '0', 'apt');
        return all;
      });
      assert.match(said[0] as string, /^sample 1 ii \nversion 1\n$/m);
      assert.match(said[1] as string, /sample 2 ii [^]*version 2\nsetting of 1\nchanged\n3\n$/);
      assert.match(said[2] as string, /sample 2 rc \n[^]*gone\nsetting of 1\nchanged\n$/);
      assert.match(said[3] as string, /sample 1 ii [^]*gone\n1 configure\n1 upgrade\n2 configure\n2 remove\n1 configure\n1 remove\n/);
    });

    test('twenty steps of a build give the tree they give on overlayfs, step by step and as one layer', () => {
      podman.now.bench.sh(`cat >steps/Containerfile <<'END'\nFROM small\n${STEPS.map((step) => `RUN ${step}`).join('\n')}\nEND`);
      podman.now.bench.sh(`cat >steps/One <<'END'\nFROM small\nRUN ${STEPS.map((step) => `(${step})`).join(' && ')}\nEND`);
      const build = (name: string, ...flags: string[]): string[] => podman.now.same((each) => {
        each.podman('build', '-q', '--isolation', 'chroot', '-t', name, ...flags, 'steps');
        return podman.now.tree(each, name);
      });
      const [stepwise, atOnce] = [build('stepwise', '--layers'), build('at-once', '-f', 'steps/One')];
      // podman's layers hold no link to a file of a layer below.
      const file = (lines: string[], path: string): string | undefined => lines.find((line) => line.startsWith(`srv/copy/moved/b/c/${path} `))?.slice('srv/copy/moved/b/c/'.length);
      assert.deepEqual(['5', 'linked-5'].map((path) => file(stepwise, path)), ['5 -rw------- 1000:1001 2 ', 'linked-5 -rw------- 1000:1001 7 ']);
      assert.deepEqual(['5', 'linked-5'].map((path) => file(atOnce, path)), ['5 -rw------- 1000:1001 7 ', 'linked-5 -rw------- 1000:1001 7 ']);
      assert.ok(atOnce.includes('linked srv/copy/moved/b/c/5 srv/copy/moved/b/c/linked-5'));
      assert.equal(podman.now.same((each) => each.podman('run', '--rm', 'stepwise', 'getcap', '/usr/local/bin/capable')), '/usr/local/bin/capable cap_chown=ep\n');
      assert.equal(podman.now.ufs.image('stepwise').diffIds.length, STEPS.length + 1);
    });

    test('when all is removed nothing is left', async () => {
      await podman.now.endsClean();
    });
  });
}
