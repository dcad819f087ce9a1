import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { close, openPath } from '../../fs/host/at.ts';
import { AT_FDCWD, MNT_DETACH, O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { clearUmask, mknodAt } from '../../fs/host/make.ts';
import { mount, umount2 } from '../../fs/host/process.ts';
import { setXattr } from '../../fs/host/xattr.ts';
import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import type { StackNode } from '../../fs/layer/directory-stack.ts';
import { S_IFCHR } from '../../fs/stat.ts';
import { content, paths, withStack } from './stacks.ts';

const isRoot = process.geteuid?.() === 0;
const needsRoot = isRoot ? false : 'needs root: trusted.* xattrs, devices or mounts';
const base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-stack-'));
// rm(1) copes with paths over PATH_MAX, which Node's rm doesn't.
after(() => execFileSync('rm', ['-rf', base]));
clearUmask();

let count = 0;
/** Makes a directory for each tree: "name/" is a directory, anything else a file with that content. The first is the topmost. */
function layers(...trees: Record<string, string>[]): string[] {
  const set = path.join(base, String(count++));
  return trees.map((tree, index) => {
    const root = path.join(set, String(index));
    fs.mkdirSync(root, { recursive: true });
    for (const [name, content] of Object.entries(tree)) {
      const at = path.join(root, name);
      if (name.endsWith('/')) {
        fs.mkdirSync(at, { recursive: true });
      } else {
        fs.mkdirSync(path.dirname(at), { recursive: true });
        fs.writeFileSync(at, content);
      }
    }
    return root;
  });
}

function mark(at: string, xattr: string, value: string): void {
  const fd = openPath(at, O_PATH);
  setXattr(fd, xattr, Buffer.from(value));
  close(fd);
}

function find(stack: DirectoryStack, at: string): StackNode | undefined {
  let node: StackNode | undefined = stack.root;
  for (const name of at.split('/').filter((part) => part !== '')) node = node && stack.lookup(node, name);
  return node;
}

test('the topmost file of a name is seen, directories of a name are merged', () => {
  const directories = layers({ 'a': 'top', 'd/x': '1' }, { 'a': 'middle', 'd/y': '2', 'f/z': '3' }, { 'a': 'low', 'd/x': 'low', 'f': 'file' });
  withStack(directories, (stack) => {
    assert.deepEqual(paths(stack), ['a', 'd/', 'd/x', 'd/y', 'f/', 'f/z']);
    assert.equal(content(stack, find(stack, 'a') as StackNode).toString(), 'top');
    assert.equal(content(stack, find(stack, 'd/x') as StackNode).toString(), '1');
    assert.equal(stack.origin(find(stack, 'd/y') as StackNode), directories[1]);
    assert.equal(stack.stat(find(stack, 'd') as StackNode).nlink, 1);
    assert.equal(stack.lookup(stack.root, 'nothing'), undefined);
    assert.throws(() => stack.lookup(find(stack, 'a') as StackNode, 'x'), { code: 'ENOTDIR' });
  });
});

test('a file between two directories of its name keeps them apart', () => {
  withStack(layers({ 'd/x': '1' }, { d: 'file' }, { 'd/y': '2' }), (stack) => assert.deepEqual(paths(stack), ['d/', 'd/x']));
});

test('".wh." names hide what is below them, and never show', () => {
  const directories = layers({ '.wh.a': '', 'd/.wh.x': '', 'd/y': '', 'e/.wh..wh..opq': '', 'e/new': '', '.wh..wh.plnk/x': '', '.wh..opq': '' }, { 'a': '', 'b': '', 'd/x': '', 'd/z': '', 'e/old': '' });
  withStack(directories, (stack) => {
    assert.deepEqual(paths(stack), ['b', 'd/', 'd/y', 'd/z', 'e/', 'e/new']);
    assert.equal(find(stack, 'e/old'), undefined);
    assert.equal(find(stack, '.wh.a'), undefined);
    assert.equal(find(stack, 'a'), undefined);
  });
});

test('a name beside its own ".wh." mark shows and nothing is merged into it', () => {
  withStack(layers({ '.wh.d': '', 'd/x': '' }, { 'd/y': '' }), (stack) => {
    assert.deepEqual(paths(stack), ['d/', 'd/x']);
    assert.notEqual(stack.stat(find(stack, 'd') as StackNode).nlink, 1);
  });
});

test('an opaque root hides all layers below', () => {
  withStack(layers({ '.wh..wh..opq': '', x: '' }, { y: '' }), (stack) => assert.deepEqual(paths(stack), ['x']));
});

test('devices 0:0 and files with the whiteout xattr hide what is below them', { skip: needsRoot }, () => {
  const directories = layers({ 'b': '', 'd/f': '', 'd/g': '' }, { a: '', b: '', 'd/f': '', 'd/g': '', 'd/h': '' });
  mknodAt(AT_FDCWD, path.join(directories[0], 'a'), S_IFCHR, 0, 0);
  mknodAt(AT_FDCWD, path.join(directories[0], 'c'), S_IFCHR, 1, 3);
  mark(path.join(directories[0], 'd'), 'trusted.overlay.opaque', 'x');
  mark(path.join(directories[0], 'd/f'), 'trusted.overlay.whiteout', '');
  mark(path.join(directories[0], 'b'), 'trusted.overlay.whiteout', '');
  withStack(directories, (stack) => {
    // "b" is no whiteout: its directory doesn't say that there are such.
    assert.deepEqual(paths(stack), ['b', 'c', 'd/', 'd/g', 'd/h']);
    assert.equal(stack.stat(find(stack, 'c') as StackNode).rdevMinor, 3);
  });
});

for (const xattr of ['trusted.overlay.opaque', 'user.overlay.opaque', 'user.fuseoverlayfs.opaque']) {
  test(`a directory with ${xattr} shows nothing of the layers below, and not the xattr`, { skip: needsRoot }, () => {
    const directories = layers({ 'd/x': '' }, { 'd/y': '', 'e': '' });
    mark(path.join(directories[0], 'd'), xattr, 'y');
    mark(path.join(directories[0], 'd'), 'user.mine', 'kept');
    withStack(directories, (stack) => {
      assert.deepEqual(paths(stack), ['d/', 'd/x', 'e']);
      const directory = find(stack, 'd') as StackNode;
      assert.deepEqual(stack.listXattr(directory), ['user.mine']);
      assert.equal(stack.getXattr(directory, xattr), undefined);
      assert.equal(stack.getXattr(directory, 'user.mine')?.toString(), 'kept');
    });
  });
}

test('redirects lead to the old name of a directory, absolute, relative, and through directories that moved themselves', { skip: needsRoot }, () => {
  const directories = layers(
    { 'new/top': '', 'p/renamed/': '', 'bad/': '', 'loop/in': '' },
    { 'old/middle': '', 'p/x': '', '.wh.old2': '' },
    { 'ancient/low': '', 'p/original/y': '', 'old/never': '', 'bad2/z': '' },
  );
  mark(path.join(directories[0], 'new'), 'trusted.overlay.redirect', '/old');
  mark(path.join(directories[1], 'old'), 'user.overlay.redirect', '/ancient');
  mark(path.join(directories[0], 'p/renamed'), 'trusted.overlay.redirect', 'original');
  mark(path.join(directories[0], 'bad'), 'trusted.overlay.redirect', '../bad2');
  mark(path.join(directories[0], 'loop'), 'trusted.overlay.redirect', '/p/../old');
  withStack(directories, (stack) => {
    const all = paths(stack);
    assert.deepEqual(all.filter((at) => at.startsWith('new')), ['new/', 'new/low', 'new/middle', 'new/top']);
    assert.deepEqual(all.filter((at) => at.startsWith('p/renamed')), ['p/renamed/', 'p/renamed/y']);
    assert.deepEqual(all.filter((at) => at.startsWith('bad/') || at.startsWith('loop')), ['bad/', 'loop/', 'loop/in']);
    assert.equal(stack.stat(find(stack, 'new') as StackNode).nlink, 1);
  });
});

test('a metadata-only copy has the data of the file below it', { skip: needsRoot }, () => {
  const directories = layers({ a: '', moved: '', lost: '' }, { a: '' }, { a: 'the data', old: 'more data' });
  for (const [name, size] of [['a', 8], ['moved', 9], ['lost', 3]] as const) {
    fs.truncateSync(path.join(directories[0], name), size);
    mark(path.join(directories[0], name), 'trusted.overlay.metacopy', '');
  }
  fs.chmodSync(path.join(directories[0], 'a'), 0o600);
  fs.truncateSync(path.join(directories[1], 'a'), 8);
  mark(path.join(directories[1], 'a'), 'trusted.overlay.metacopy', '');
  mark(path.join(directories[0], 'moved'), 'trusted.overlay.redirect', '/old');
  withStack(directories, (stack) => {
    const a = find(stack, 'a') as StackNode;
    assert.equal(content(stack, a).toString(), 'the data');
    assert.equal(stack.stat(a).mode & 0o777, 0o600);
    assert.equal(stack.stat(a).blocks, fs.statSync(path.join(directories[2], 'a')).blocks);
    assert.equal(content(stack, find(stack, 'moved') as StackNode).toString(), 'more data');
    assert.throws(() => stack.open(find(stack, 'lost') as StackNode), { code: 'EIO' });
    assert.deepEqual(stack.listXattr(a), []);
  });
});

test('owner, mode and type come from override xattrs where the layer root has one', () => {
  const directories = layers({ 'd/f': 'x', 'd/g': 'y', 'd/link': 'target', 'd/null': '' }, { 'd/h': 'z' });
  mark(directories[0], 'user.containers.override_stat', '0:0:0755');
  mark(path.join(directories[0], 'd/f'), 'user.fuseoverlayfs.override_stat', '7:8:100640');
  mark(path.join(directories[0], 'd/link'), 'user.containers.override_stat', '1:2:0777:symlink');
  mark(path.join(directories[0], 'd/null'), 'user.containers.override_stat', '3:4:0666:char-1-3');
  mark(path.join(directories[0], 'd'), 'user.containers.override_stat', '5:6:0711:dir');
  mark(path.join(directories[1], 'd/h'), 'user.containers.override_stat', '9:9:0700');
  withStack(directories, (stack) => {
    const stat = (at: string) => {
      const { mode, uid, gid } = stack.stat(find(stack, at) as StackNode);
      return `${uid}:${gid}:${mode.toString(8)}`;
    };
    assert.equal(stat('d'), '5:6:40711');
    assert.equal(stat('d/f'), '7:8:100640');
    assert.equal(stat('d/link').slice(4), '120777');
    assert.equal(stack.readlink(find(stack, 'd/link') as StackNode), 'target');
    assert.equal(stat('d/null'), '3:4:20666');
    assert.equal(stack.stat(find(stack, 'd/null') as StackNode).rdevMinor, 3);
    assert.notEqual(stat('d/h').slice(0, 4), '9:9:');
    assert.deepEqual(stack.listXattr(find(stack, 'd/f') as StackNode), []);
    assert.equal(paths(stack).length, 6);
  });
});

test('hard links are one identity, files of different layers are not', () => {
  const directories = layers({ a: 'x' }, { c: 'y' });
  fs.linkSync(path.join(directories[0], 'a'), path.join(directories[0], 'b'));
  withStack(directories, (stack) => {
    const identity = (at: string) => stack.identity(find(stack, at) as StackNode);
    assert.equal(identity('a'), identity('b'));
    assert.notEqual(identity('a'), identity('c'));
    assert.equal(stack.stat(find(stack, 'a') as StackNode).nlink, 2);
  });
});

test('inodes of two devices with equal numbers get different ones', { skip: needsRoot }, () => {
  const directories = layers({}, {});
  for (const directory of directories) mount('tmpfs', directory, 'tmpfs', 0, '');
  try {
    for (const [index, directory] of directories.entries()) fs.writeFileSync(path.join(directory, `f${index}`), '');
    assert.equal(fs.statSync(path.join(directories[0], 'f0')).ino, fs.statSync(path.join(directories[1], 'f1')).ino);
    withStack(directories, (stack) => {
      const [first, second] = ['f0', 'f1'].map((name) => stack.stat(find(stack, name) as StackNode).ino);
      assert.equal(first, fs.statSync(path.join(directories[0], 'f0')).ino);
      assert.equal(second, first + 2 ** 48);
      paths(stack);
    });
  } finally {
    for (const directory of directories) umount2(directory, MNT_DETACH);
  }
});

test('ELF files are told from others', () => {
  withStack(layers({ elf: '\x7fELFmore', short: '\x7fEL', text: 'text' }), (stack) => {
    assert.deepEqual(['elf', 'short', 'text'].map((name) => stack.isElf(find(stack, name) as StackNode)), [true, false, false]);
    assert.equal(stack.isElf(stack.root), false);
  });
});

test('a symlink in a layer is never followed', () => {
  const directories = layers({ 'real/x': '' }, { 'd/y': '' });
  fs.symlinkSync('/etc', path.join(directories[0], 'd'));
  withStack(directories, (stack) => {
    const link = find(stack, 'd') as StackNode;
    assert.equal(stack.readlink(link), '/etc');
    assert.throws(() => stack.lookup(link, 'passwd'), { code: 'ENOTDIR' });
    assert.throws(() => stack.open(link), { code: 'EINVAL' });
  });
});

test('equal subtrees of two stacks have equal keys, changed ones have not', () => {
  const [top, middle, low] = layers({ 'd/x': '' }, { 'e/y': '', 'd/m': '' }, { 'f/z': '', 'e/w': '' });
  withStack([top, middle, low], (child) => withStack([middle, low], (parent) => {
    const key = (stack: DirectoryStack, at: string) => stack.subtreeKey(find(stack, at) as StackNode);
    assert.equal(key(child, 'e'), key(parent, 'e'));
    assert.equal(key(child, 'f'), key(parent, 'f'));
    assert.notEqual(key(child, 'd'), key(parent, 'd'));
  }));
});

test('a tree deeper than PATH_MAX with one kept descriptor and one kept name is read to its end', () => {
  const [root] = layers({});
  const name = 'n'.repeat(200);
  const cwd = process.cwd();
  try {
    process.chdir(root);
    for (let depth = 0; depth < 60; depth++) {
      fs.mkdirSync(name);
      process.chdir(name);
    }
    fs.writeFileSync('bottom', 'reached');
  } finally {
    process.chdir(cwd);
  }
  withStack([root, ...layers({})], (stack) => {
    let node: StackNode | undefined = stack.root;
    for (let depth = 0; depth < 60; depth++) node = stack.lookup(node as StackNode, name);
    assert.equal(content(stack, stack.lookup(node as StackNode, 'bottom') as StackNode).toString(), 'reached');
    assert.equal(stack.list(stack.root).length, 1);
  }, { cachedDescriptors: 1, cachedNames: 1 });
});

test('a closed stack leaves no descriptor open, nor does one that could not be made', () => {
  const descriptors = (): number => fs.readdirSync('/proc/self/fd').length;
  const [top] = layers({ 'a/b/c/d': 'x' });
  const before = descriptors();
  withStack([top], (stack) => content(stack, find(stack, 'a/b/c/d') as StackNode));
  assert.throws(() => new DirectoryStack([top, path.join(top, 'none')]), { code: 'ENOENT' });
  assert.throws(() => new DirectoryStack([path.join(top, 'a/b/c/d')]), { code: 'ENOTDIR' });
  assert.throws(() => new DirectoryStack([]), { code: 'EINVAL' });
  assert.equal(descriptors(), before);
});

test('layers are given by descriptor too, which stays the caller\'s', () => {
  const [top] = layers({ x: '' });
  const fd = openPath(top, O_PATH | O_DIRECTORY);
  const stack = new DirectoryStack([fd]);
  assert.deepEqual(paths(stack), ['x']);
  assert.equal(stack.origin(stack.root), top);
  stack.close();
  close(fd);
});
