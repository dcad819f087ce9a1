import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { DIFF_CASES } from './docker-diff-cases.ts';
import { Dockerd } from './dockerd.ts';
import { DockerOnUfs, needsDocker } from './served-driver.ts';

/** In the image of the cases: what they use beside busybox, with its libraries. */
const PROGRAMS = ['setcap', 'setfattr', 'touch'];
const APPLETS = ['sh', 'cat', 'rm', 'mkdir', 'ln', 'chmod', 'chown', 'cp', 'echo', 'mv', 'mkfifo', 'sleep'];

describe('docker on ufs beside docker on overlay2', { skip: needsDocker }, () => {
  let other: Dockerd | undefined;
  /** Before what `during` takes away: the other daemon is in the same place. */
  after(async () => await other?.stop());
  /** What docker diff says of the cases, by driver. */
  const said = { ufs: [] as string[], other: [] as string[] };

  DockerOnUfs.during(async ({ bench, dockerd }) => {
    bench.sh(`mkdir -p bench/bin bench/cases bench/tmp; cp /bin/busybox bench/bin; for name in ${APPLETS.join(' ')}; do ln -s busybox bench/bin/$name; done
      for name in ${PROGRAMS.join(' ')}; do
        program=$(command -v $name); cp $program bench/bin
        ldd $program | grep -o '/[^ ]*' | while read -r library; do mkdir -p bench$(dirname $library); cp -n $library bench$library; done
      done
      ${Object.entries(DIFF_CASES).map(([name, { image }]) => `(mkdir bench/cases/${name}; cd bench/cases/${name}; ${image})`).join('\n')}
      mkdir cases
      tar --numeric-owner --format=posix --pax-option=delete=mtime,delete=atime,delete=ctime --xattrs --xattrs-include='*' --sort=name -cf cases/rootfs.tar -C bench .
      printf 'FROM scratch\\nADD rootfs.tar /\\nENV PATH=/bin\\n' >cases/Dockerfile`);
    other = await Dockerd.start(bench, 'other');
    for (const [daemon, lines] of [[dockerd, said.ufs], [other, said.other]] as const) {
      daemon.docker('build', '-q', '--network', 'none', '-t', 'cases', 'cases');
      const script = Object.entries(DIFF_CASES).map(([name, { container }]) => `(set -e; cd /cases/${name}; ${container}) || exit`).join('\n');
      daemon.docker('run', '--name', 'cases', '--network', 'none', 'cases', 'sh', '-c', script);
      lines.push(...daemon.docker('diff', 'cases').trimEnd().split('\n'));
    }
  });

  /** The lines about a directory, as a case has them. */
  function about(lines: string[], name: string): string[] {
    const directory = `/cases/${name}`;
    return lines.filter((line) => line.slice(2) === directory || line.startsWith(`${directory}/`, 2)).map((line) => `${line.slice(0, 2)}${line.slice(3 + directory.length) || '.'}`);
  }

  for (const [name, { changes, otherwise }] of Object.entries(DIFF_CASES)) {
    test(`docker diff: ${name.replaceAll('-', ' ')}`, () => {
      assert.deepEqual(about(said.ufs, name).sort(), [...changes].sort());
      if (otherwise === undefined) assert.deepEqual(about(said.other, name).sort(), [...changes].sort(), 'the other driver');
    });
  }
});
