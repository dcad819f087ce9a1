/**
 * One thing a container does, and what `docker diff` says of it: what moby's own comparison of two trees does, file by file (ChangesDirs of pkg/archive), which is what its drivers vfs and
 * overlay2 use for it.
 */
export interface DiffCase {
  /** Shell script that makes what the image has, in a directory of its own. */
  image: string;
  /** Shell script of the container, there. */
  container: string;
  /** What is changed there; "." is the directory itself. */
  changes: string[];
  /** Why the other driver says something else. */
  otherwise?: string;
}

const OLD = '2001-02-03 04:05:06';

/** By name, which is the name of the directory. Modification times in an image are whole seconds. */
export const DIFF_CASES: Record<string, DiffCase> = {
  'content-of-another-size': { image: 'echo one >f', container: 'echo three >f', changes: ['C .', 'C f'] },
  'content-of-the-same-size': { image: `echo one >f; touch -d "${OLD}" f`, container: 'echo two >f', changes: ['C .', 'C f'] },
  'times-of-a-file': { image: 'echo one >f', container: `touch -d "${OLD}" f`, changes: ['C .', 'C f'] },
  'times-of-a-directory': { image: 'mkdir d', container: `touch -d "${OLD}" d`, changes: [] },
  'a-file-made-and-removed': { image: 'mkdir d; echo one >d/f', container: 'echo new >d/new; rm d/new', changes: [] },
  'mode-of-a-file': { image: 'echo one >f', container: 'chmod 4711 f', changes: ['C .', 'C f'] },
  'mode-of-a-directory': { image: 'mkdir d; echo one >d/f', container: 'chmod 711 d', changes: ['C .', 'C d'] },
  'owner': { image: 'echo one >f; mkdir d', container: 'chown 7 f d', changes: ['C .', 'C d', 'C f'] },
  'group': { image: 'echo one >f; mkdir d', container: 'chown :8 f d', changes: ['C .', 'C d', 'C f'] },
  'owner-of-a-symlink': { image: 'ln -s nowhere s', container: 'chown -h 7 s', changes: ['C .', 'C s'] },
  'target-of-a-symlink': { image: `ln -s one s; touch -h -d "${OLD}" s`, container: 'rm s; ln -s two s', changes: ['C .', 'C s'] },
  'a-device-s-number': { image: 'mknod null c 1 3', container: 'rm null; busybox mknod null c 1 5', changes: ['C .', 'C null'] },
  'capability-of-a-file': { image: 'cp /bin/true f', container: 'setcap cap_net_raw+ep f', changes: ['C .', 'C f'] },
  'capability-lost': { image: 'cp /bin/true f; setcap cap_net_raw+ep f', container: 'setcap -r f', changes: ['C .', 'C f'] },
  'nothing-but-opened-for-writing': { image: 'echo one >f', container: ': >>f', changes: [] },
  'mode-changed-and-changed-back': { image: 'echo one >f', container: 'chmod 600 f; chmod 644 f', changes: [] },
  'deep-change': { image: 'mkdir -p a/b/c; echo one >a/b/c/f', container: 'echo more >>a/b/c/f; echo new >a/b/new', changes: ['C .', 'C a', 'C a/b', 'C a/b/c', 'C a/b/c/f', 'A a/b/new'] },
  'a-removed-file': { image: 'echo one >f; echo two >g', container: 'rm f', changes: ['C .', 'D f'] },
  'a-removed-tree': { image: 'mkdir -p a/b; echo one >a/b/f; echo two >a/g', container: 'rm -r a', changes: ['C .', 'D a'] },
  'an-added-tree': { image: 'echo one >f', container: 'mkdir -p a/b; echo one >a/b/f; echo two >a/g; ln -s g a/s', changes: ['C .', 'A a', 'A a/b', 'A a/b/f', 'A a/g', 'A a/s'] },
  'an-empty-directory-added': { image: 'echo one >f', container: 'mkdir d', changes: ['C .', 'A d'] },
  'a-renamed-file': { image: 'echo one >f', container: 'mv f g', changes: ['C .', 'D f', 'A g'] },
  'a-renamed-directory': { image: 'mkdir -p a/b; echo one >a/b/f; echo two >a/g', container: 'mv a z', changes: ['C .', 'D a', 'A z', 'A z/b', 'A z/b/f', 'A z/g'] },
  'renamed-over-another': { image: 'echo another >f; echo two >g', container: 'mv f g', changes: ['C .', 'D f', 'C g'] },
  'renamed-and-back': { image: 'mkdir -p a/b; echo one >a/b/f', container: 'mv a z; mv z a', changes: [] },
  'a-file-becomes-a-directory': { image: 'echo one >x', container: 'rm x; mkdir x; echo new >x/f', changes: ['C .', 'C x', 'A x/f'] },
  'a-directory-becomes-a-file': { image: 'mkdir x; echo one >x/f', container: 'rm -r x; echo new >x', changes: ['C .', 'C x'] },
  'a-file-becomes-a-symlink': { image: 'echo one >x', container: 'rm x; ln -s nowhere x', changes: ['C .', 'C x'] },
  'a-directory-made-anew': { image: 'mkdir -p d/sub; echo one >d/gone; echo two >d/same; echo three >d/sub/f', container: 'rm -r d; mkdir d; echo new >d/new; echo other >d/same', changes: ['C .', 'C d', 'D d/gone', 'A d/new', 'C d/same', 'D d/sub'] },
  'an-emptied-directory': { image: 'mkdir d; echo one >d/f; echo two >d/g', container: 'rm d/f d/g', changes: ['C .', 'C d', 'D d/f', 'D d/g'] },
  'a-new-link-to-a-file': { image: 'echo one >f', container: 'ln f linked', changes: ['C .', 'A linked'] },
  'written-through-one-of-two-links': { image: 'echo one >f; ln f linked', container: 'echo more >>linked', changes: ['C .', 'C f', 'C linked'], otherwise: 'a copy-up of overlayfs parts the names of a file' },
  'one-of-two-links-removed': { image: 'echo one >f; ln f linked', container: 'rm linked', changes: ['C .', 'D linked'] },
  'new-links': { image: 'mkdir d', container: 'echo one >f; ln f d/linked', changes: ['C .', 'C d', 'A d/linked', 'A f'] },
  'a-fifo': { image: 'echo one >f', container: 'mkfifo fifo', changes: ['C .', 'A fifo'] },
  'fractions-of-a-second-more': { image: `echo one >f; touch -d "${OLD}" f`, container: `/bin/touch -d "${OLD}.5" f`, changes: [] },
  'the-same-size-and-time': { image: `echo one >f; touch -d "${OLD}" f`, container: `echo two >f; touch -d "${OLD}" f`, changes: ['C .', 'C f'], otherwise: 'moby compares no data: but it would be committed' },
  'a-user-s-xattr': { image: 'echo one >f', container: 'setfattr -n user.note -v value f', changes: ['C .', 'C f'], otherwise: 'moby compares no xattrs but capabilities: but it would be committed' },
  'names-in-order': { image: 'mkdir a a-b; echo one >a/f', container: 'echo new >a/g; echo new >a-b/g; echo new >a.c', changes: ['C .', 'C a', 'C a-b', 'A a-b/g', 'A a.c', 'A a/g'] },
  'nothing': { image: 'echo one >f', container: ':', changes: [] },
};
