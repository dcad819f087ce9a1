import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Bench } from '../helpers/cli.ts';
import { treeDifferences, type TreeListing } from '../helpers/tree.ts';
import { DIFF_CASES } from './docker-diff-cases.ts';
import { Dockerd } from './dockerd.ts';
import { exported, imageTree } from './sample-image.ts';
import { DockerOnUfs, IMAGE, needsDocker } from './served-driver.ts';

/** In the images: what they use beside busybox, with its libraries. */
const PROGRAMS = ['setcap', 'setfattr', 'touch'];
const APPLETS = ['sh', 'cat', 'rm', 'mkdir', 'ln', 'chmod', 'chown', 'cp', 'echo', 'mv', 'mkfifo', 'sleep', 'find'];

/** A folder to build from, whose bottom has what `script` makes, the programs, and whatever the sample has. */
function writeFolder(bench: Bench, name: string, script: string, steps: string): void {
  bench.sh(`
    mkdir ${name}; cp -a rootfs ${name}.root; cd ${name}.root
    for applet in ${APPLETS.join(' ')}; do ln -sf busybox bin/$applet; done
    for program in ${PROGRAMS.join(' ')}; do
      path=$(command -v $program); cp --remove-destination $path bin
      ldd $path | grep -o '/[^ ]*' | while read -r library; do mkdir -p .$(dirname $library); cp -n $library .$library; done
    done
    ${script}
    tar --numeric-owner --format=posix --pax-option=delete=mtime,delete=atime,delete=ctime --xattrs --xattrs-include='*' --sort=name -cf ../${name}/rootfs.tar .
    cat >../${name}/Dockerfile <<'END'
FROM scratch
ADD rootfs.tar /
ENV PATH=/bin
${steps}
END`);
}

/** Each step changes what those before it made, in another way; none writes to one name of a file that overlayfs would part from the others. */
const STEPS = `
COPY --chown=7:8 app /app
COPY app/one app/two /flat/
WORKDIR /work/here
RUN chown -R 1000:1001 /d /app && chmod -R g+w /app/sub && chmod 2750 /app
RUN rm -rf /gone /keep/empty && mv /d /moved && mv /app/sub /app/renamed && mkdir /d && echo new >/d/new && mv /moved/deep /d/deeper
RUN ln /keep/lower /keep/linked-lower && ln /app/one /app/one-link && ln -s one /app/symlink && rm /keep/linked && cp /keep/two /keep/copied
RUN cp /bin/busybox /app/tool && setcap cap_net_bind_service+ep /app/tool && cp /keep/setuid /app/setuid && chown 5:6 /app/setuid && chmod 6711 /app/setuid && chmod 700 /keep/capable
RUN rm -rf /kinds && mkdir -p /kinds/was-file && ln -s /d /kinds/was-directory && mkfifo /kinds/was-link && touch -h -d '2011-12-13 14:15:16' /kinds/was-directory /kinds
RUN find /flat -type f -exec chown 3:4 {} + && chown -h 9:9 /keep/dangling && mkdir -p /a/b/c && echo deep >/a/b/c/f && chmod 1777 /a
RUN rm -r /a/b && mkdir /a/b && echo again >/a/b/again
USER 1000:1001
RUN echo mine >/tmp/mine && mkdir /tmp/own && ln -s ../mine /tmp/own/link && touch /app/two && rm /app/renamed/three
LABEL done=yes
CMD ["sh"]`;

/** What a container of the image does. */
const WORK = `rm -r /d/deeper /keep/two; mv /app/renamed /app/again; echo more >>/flat/one; setcap -r /app/tool; chown -R 0:0 /app/again /app/setuid /app/two; rm -rf /kinds; mkdir /kinds; echo new >/kinds/new; ln /flat/two /flat/linked; mkdir -p /new/a/b; chmod 700 /work; touch -d '1999-01-01 02:03:04' /tmp/mine`;

describe('docker on ufs beside docker on overlay2', { skip: needsDocker }, () => {
  let other: Dockerd;
  // Before what `during` takes away: the other daemon is in the same place.
  after(async () => await other?.stop());
  /** Seconds; what was made later is as old in both. */
  const started = Math.floor(Date.now() / 1000) - 1;
  /** What docker diff says of the cases, by driver. */
  const said = { ufs: [] as string[], other: [] as string[] };

  const docker = DockerOnUfs.during(async ({ bench, dockerd }) => {
    writeFolder(bench, 'cases', Object.entries(DIFF_CASES).map(([name, { image }]) => `(mkdir -p cases/${name}; cd cases/${name}; ${image})`).join('\n'), '');
    writeFolder(bench, 'built', '', STEPS);
    // On a bottom of its own: BuildKit's prune forgets a layer that is the same as one Docker has (on every driver), and it would be left in the end.
    bench.sh(`sed 's#^ADD#COPY Dockerfile /\\nADD#' built/Dockerfile >built/Dockerfile.kit`);
    bench.sh('mkdir -p built/app/sub/below; cd built/app; echo one >one; echo two >two; echo three >sub/three; echo four >sub/below/four; ln -s ../one sub/link; chmod 751 sub; touch -d 2003-04-05 one sub/three');
    // The other daemon doesn't have it.
    dockerd.docker('rmi', IMAGE);
    other = await Dockerd.start(bench, 'other');
    for (const [daemon, lines] of [[dockerd, said.ufs], [other, said.other]] as const) {
      daemon.docker('build', '-q', '--network', 'none', '-t', 'cases', 'cases');
      const script = Object.entries(DIFF_CASES).map(([name, { container }]) => `(set -e; cd /cases/${name}; ${container}) || exit`).join('\n');
      daemon.docker('run', '--name', 'cases', '--network', 'none', 'cases', 'sh', '-c', script);
      lines.push(...daemon.docker('diff', 'cases').trimEnd().split('\n'));
      daemon.docker('rm', 'cases');
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

  /** A container's tree as it is mounted. */
  function shown(daemon: Dockerd, container: string): TreeListing {
    const { MergedDir } = JSON.parse(daemon.docker('inspect', '--format', '{{json .GraphDriver.Data}}', container)) as { MergedDir: string };
    return new Map([...exported(imageTree(MergedDir))].map(([path, line]) => [path, line.replace(/ (\d{10})(?= |$)/, (time, seconds: string) => (Number(seconds) >= started ? ' lately' : time))]));
  }

  for (const kit of [false, true]) {
    test(`an image that ${kit ? 'BuildKit' : 'the legacy builder'} makes is the same tree of layers of the same sizes, and a container shows the same changes`, () => {
      const shownBy = (daemon: Dockerd) => {
        daemon.buildKit = kit;
        try {
          daemon.docker('build', '-q', '--network', 'none', '-t', `built:${kit}`, '-f', `built/Dockerfile${kit ? '.kit' : ''}`, 'built');
        } finally {
          daemon.buildKit = false;
        }
        const container = daemon.docker('run', '-d', '-u', '0', '--network', 'none', `built:${kit}`, 'sleep', '600').trim();
        const before = shown(daemon, container);
        daemon.docker('exec', container, 'sh', '-ec', WORK);
        // As programs in containers do: busybox can't.
        const { MergedDir } = JSON.parse(daemon.docker('inspect', '--format', '{{json .GraphDriver.Data}}', container)) as { MergedDir: string };
        docker.now.bench.sh(`cd ${MergedDir}/d; ${process.execPath} -e 'require("net").createServer().listen("socket", () => process.exit())'`);
        const result = {
          before, after: shown(daemon, container), changes: daemon.docker('diff', container).split('\n').sort(),
          size: daemon.docker('inspect', '-s', '--format', '{{.SizeRw}} {{.SizeRootFs}}', container),
          history: daemon.docker('history', '--no-trunc', '--format', '{{.Size}} {{.CreatedBy}}', `built:${kit}`),
        };
        daemon.docker('commit', container, `committed:${kit}`);
        daemon.docker('rm', '-f', container);
        const committed = daemon.docker('run', '-d', '-u', '0', '--network', 'none', `committed:${kit}`, 'sleep', '600').trim();
        const again = shown(daemon, committed);
        daemon.docker('rm', '-f', committed);
        return { ...result, again };
      };
      const [ufs, peer] = [shownBy(docker.now.dockerd), shownBy(other)];
      assert.deepEqual(treeDifferences(peer.before, ufs.before), []);
      assert.deepEqual(ufs.changes, peer.changes);
      assert.ok(ufs.changes.includes('A /d/socket'));
      assert.deepEqual(treeDifferences(peer.after, ufs.after), []);
      assert.deepEqual(treeDifferences(peer.again, ufs.again), []);
      assert.ok(!ufs.again.has('d/socket'), 'an archive has no sockets');
      assert.equal(ufs.history, peer.history);
      assert.equal(ufs.size, peer.size);
    });
  }

  test('a step that makes the same files makes the same layer', () => {
    const { dockerd } = docker.now;
    dockerd.docker('build', '-q', '--no-cache', '--network', 'none', '-t', 'again', 'built');
    assert.equal(dockerd.image('again').diffIds[0], dockerd.image('built:false').diffIds[0]);
    dockerd.docker('rmi', 'again');
  });

  test('docker images and system df show the same sizes', () => {
    for (const words of [['images', '--format', '{{.Repository}}:{{.Tag}} {{.Size}}'], ['system', 'df', '--format', '{{.Type}} {{.TotalCount}} {{.Size}} {{.Reclaimable}}']]) {
      // Images come by the second they were made in.
      const lines = (dockerd: Dockerd): string[] => dockerd.docker(...words).split('\n').sort();
      assert.deepEqual(lines(docker.now.dockerd), lines(other));
    }
  });

  test('when everything is removed nothing stays', async () => {
    await other.stop();
    await docker.now.checkNothingStays();
  });
});
