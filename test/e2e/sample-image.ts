import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { Bench } from '../helpers/cli.ts';
import { listTree, treeDifferences, type TreeListing } from '../helpers/tree.ts';

/** What the sample image writes when it runs. */
export const SAYS = 'hello there\nfresh\n';

/**
 * A folder to build an image from, and the image's bottom as `context/rootfs.tar`: every kind of file, and names and attributes that archives find hard. The steps on top
 * delete, replace a whole directory, change kinds, link across layers, and change attributes only.
 */
export function writeContext(bench: Bench): void {
  bench.sh(`
    mkdir -p context rootfs/{bin,etc,tmp,proc,sys,dev,run,d/deep/deeper,gone/below,keep,kinds/was-directory}
    cd rootfs
    cp /bin/busybox bin/busybox; for name in sh cat rm mkdir ln chmod chown echo mv touch mkfifo; do ln -s busybox bin/$name; done
    echo root:x:0:0:root:/:/bin/sh >etc/passwd; echo one >d/one; echo deep >d/deep/deeper/file; echo x >gone/below/x; echo y >gone/y
    echo lower >keep/lower; echo two >keep/two; ln keep/two keep/linked; ln -s /nowhere keep/dangling; ln -s ../d keep/to-directory
    mkfifo keep/fifo; mknod keep/null c 1 3; truncate -s 300k keep/sparse; echo end >>keep/sparse; : >keep/empty
    cp /bin/true keep/capable; setcap cap_net_raw+ep keep/capable; cp /bin/true keep/setuid; chown 1000:1001 keep/setuid; chmod 6755 keep/setuid
    echo secret >keep/secret; chown 7:8 keep/secret; chmod 0400 keep/secret; setfattr -n user.note -v value keep/two
    echo long >keep/"$(printf 'n%.0s' $(seq 240))"; echo umlaut >keep/'naïve ☃'; touch -d '2001-02-03 04:05:06' keep/lower
    echo file >kinds/was-file; echo in >kinds/was-directory/in; ln -s ../d kinds/was-link; chmod 1777 tmp
    cd ..
    tar --numeric-owner --format=posix --pax-option=delete=mtime,delete=atime,delete=ctime --xattrs --xattrs-include='*' --sort=name -cf context/rootfs.tar -C rootfs .
    cat >context/Dockerfile <<'END'
FROM scratch
ADD rootfs.tar /
ENV PATH=/bin GREETING="hello there"
LABEL note="a \\"quoted\\" <label> & more"
WORKDIR /keep
RUN rm -rf /gone /d/one && ln /keep/lower /keep/linked-lower && chown 5:6 /keep/two && chmod 4711 /bin/busybox && echo more >>/keep/empty
RUN rm -rf /d && mkdir /d && echo fresh >/d/fresh && cd /kinds && rm -rf was-file was-link was-directory && mkdir was-file was-link && touch was-file/in && echo file >was-directory
RUN chmod 0711 /keep && touch -d '2011-12-13 14:15:16' /tmp /d/fresh && mkfifo /tmp/fifo
CMD ["/bin/sh", "-c", "echo $GREETING; cat /d/fresh"]
END`);
}

/** What an engine says of an image. `id` is the digest of the configuration's bytes: images of one id have one configuration, byte for byte. */
export interface EngineImage {
  id: string;
  diffIds: string[];
  config: { Env: string[]; Cmd: string[]; WorkingDir: string; Labels: Record<string, string> };
}

/** From what `docker image inspect` and `podman image inspect` print. */
export function engineImage(inspected: string): EngineImage {
  const [{ Id, RootFS, Config }] = JSON.parse(inspected) as [{ Id: string; RootFS: { Layers: string[] }; Config: EngineImage['config'] }];
  const { Env, Cmd, WorkingDir, Labels } = Config;
  return { id: Id.replace(/^(?!sha256:)/, 'sha256:'), diffIds: RootFS.Layers, config: { Env, Cmd, WorkingDir, Labels } };
}

/**
 * A tree as an engine or `ufs` shows it. Without the root itself: no layer tells its attributes, and each engine chooses others. Link counts are those of the names
 * seen: kernel overlayfs goes on to count names that a layer above has replaced.
 */
export function imageTree(path: string): TreeListing {
  const listing = listTree(path, { ignoreXattrs: /^(security\.selinux|trusted\.overlay\.)/ });
  listing.delete('.');
  const linked = / nlink \d+ inode of (\S+)/;
  const names = new Map<string, number>();
  for (const [, first] of [...listing.values()].map((text) => linked.exec(text) ?? [])) if (first !== undefined) names.set(first, (names.get(first) ?? 0) + 1);
  return new Map([...listing].map(([at, text]) => [at, text.replace(linked, (_, first: string) => (names.get(first) === 1 ? ' nlink 1' : ` nlink ${names.get(first)} inode of ${first}`))]));
}

/** What docker puts into every container it makes, and the folders it does that in. */
const DOCKERS_OWN = /^(\.dockerenv|dev(\/.*)?|etc|etc\/(hostname|hosts|mtab|resolv\.conf)|proc|sys|proc\/.*|sys\/.*)$/;

/** What `docker export` tells of a tree: whole seconds, and no user xattrs. */
export function exported(tree: TreeListing): TreeListing {
  return new Map([...tree].filter(([path]) => !DOCKERS_OWN.test(path)).map(([path, text]) => [path, text.replace(/\.\d{9}/, '').replaceAll(/ user\.\S+/g, '')]));
}

export interface ExpectedImage {
  names: string[];
  image: EngineImage;
  /** What the engine shows of it. */
  tree: TreeListing;
}

/**
 * Loads an archive or directory into a store of its own, and compares what it makes of it: names, the configuration with the layers it lists, and the mounted tree, as far as the
 * engine's `view` of one goes.
 */
export function checkLoads(from: string, expected: ExpectedImage[], view = (tree: TreeListing): TreeListing => tree): void {
  const bench = new Bench();
  try {
    const loaded = JSON.parse(bench.ufs('load', from, '--json')) as { id: string; names: string[] }[];
    assert.deepEqual(loaded.map(({ id, names }) => ({ id, names: [...names].sort() })), expected.map(({ image, names }) => ({ id: image.id, names: [...names].sort() })));
    for (const { image, tree } of expected) {
      assert.deepEqual(treeDifferences(tree, view(mountedTree(bench, image.id))), []);
    }
  } finally {
    bench.close();
  }
}

/** The tree of an image, mounted read-only for a moment. */
export function mountedTree(bench: Bench, image: string): TreeListing {
  mkdirSync(bench.path('mnt'), { recursive: true });
  bench.ufs('mount', image, bench.path('mnt'), '--read-only', '--detach');
  try {
    return imageTree(bench.path('mnt'));
  } finally {
    bench.ufs('umount', bench.path('mnt'));
  }
}
