import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObjectReader } from '../../src/store/object-reader.ts';
import { buildTree, type BuiltTree } from '../../src/store/tree-builder.ts';
import type { Change, NewInode } from '../../src/tree/change.ts';
import { linkKey, type Entry, type ObjectKey, type Tree } from '../../src/tree/entry.ts';
import { attributes } from './sample-layers.ts';

/** A pile of layers without a store. */
class Pile {
  readonly objects = new Map<ObjectKey, Buffer>();
  readonly reader = new ObjectReader((key) => this.objects.get(key) ?? assert.fail(`object ${key} is missing`));
  tree: Tree | undefined;
  #layer = 0;

  add(root: Change): BuiltTree {
    const built = buildTree({ parent: this.tree, layer: ++this.#layer, root, reader: this.reader });
    for (const [key, bytes] of built.objects) this.objects.set(key, bytes);
    this.tree = built.tree;
    assert.deepEqual(this.reader.links(built.links), built.tree.links, 'the links object says what the tree says');
    return built;
  }

  find(path: string): Entry | undefined {
    let entry: Entry | undefined = this.tree?.root;
    for (const name of path.split('/').filter(Boolean)) entry = entry && this.reader.lookup(entry, name);
    return entry;
  }
}

function file(size = 1): NewInode {
  return { attributes: attributes(0o100644, size) };
}

function directory(children: Record<string, Change>, inode?: NewInode, hides = false): Change {
  return { hides, inode, children: new Map(Object.entries(children)) };
}

const add = (inode: NewInode = file()): Change => ({ hides: false, inode });
const whiteout: Change = { hides: true };

test('only directories on changed paths are made anew', () => {
  const pile = new Pile();
  pile.add(directory({ a: directory({ deep: directory({ f: add() }) }), b: directory({ g: add() }) }));
  const before = pile.find('a')?.object;
  const { objects } = pile.add(directory({ b: directory({ h: add() }) }));
  assert.equal(objects.size, 2);
  assert.equal(pile.find('a')?.object, before);
  assert.deepEqual(pile.reader.list(pile.find('b') as Entry).map(({ name, layer }) => [name, layer]), [['g', 1], ['h', 2]]);
});

test('an implicit directory keeps the attributes and the identity of the one below, an explicit one replaces them', () => {
  const pile = new Pile();
  pile.add(directory({ d: directory({ f: add() }, { attributes: attributes(0o040700) }) }));
  pile.add(directory({ d: directory({ g: add() }) }));
  assert.deepEqual([pile.find('d')?.mode, pile.find('d')?.layer], [0o040700, 1]);
  pile.add(directory({ d: { hides: false, inode: { attributes: attributes(0o040711) } } }));
  assert.deepEqual([pile.find('d')?.mode, pile.find('d')?.layer], [0o040711, 3]);
  assert.deepEqual(pile.reader.list(pile.find('d') as Entry).map(({ name }) => name), ['f', 'g']);
});

test('whiteouts, opaque directories and changes of type hide what is below', () => {
  const pile = new Pile();
  pile.add(directory({ a: directory({ f: add() }), b: directory({ f: add() }), c: add(), d: directory({ f: add() }) }));
  pile.add(directory({ a: whiteout, b: directory({ new: add() }, undefined, true), c: directory({ x: add() }), d: add(), nothing: whiteout }));
  assert.equal(pile.find('a'), undefined);
  assert.deepEqual([pile.find('b/f'), pile.find('b/new')?.layer], [undefined, 2]);
  assert.equal(pile.find('c/x')?.layer, 2);
  assert.equal(pile.find('d')?.object, undefined);
  assert.deepEqual(pile.reader.list((pile.tree as Tree).root).map(({ name }) => name), ['b', 'c', 'd']);
});

test('an opaque directory without an entry of its own keeps the attributes of the one below', () => {
  const pile = new Pile();
  pile.add(directory({ d: directory({ f: add() }, { attributes: attributes(0o040700) }) }));
  pile.add(directory({ d: directory({ g: add() }, undefined, true) }));
  assert.deepEqual([pile.find('d')?.mode, pile.find('d/f'), pile.find('d/g')?.layer], [0o040700, undefined, 2]);
  pile.add(directory({}, undefined, true));
  assert.deepEqual(pile.reader.list((pile.tree as Tree).root), []);
});

test('a hard link counts its names, and loses those that upper layers hide', () => {
  const pile = new Pile();
  const inode = file();
  pile.add(directory({ a: add(inode), b: add(inode), d: directory({ e: directory({ c: add(inode) }) }) }));
  const count = (): number | undefined => pile.tree?.links.get(linkKey(pile.find('b') as Entry));
  assert.equal(count(), 3);
  pile.add(directory({ d: whiteout }));
  assert.equal(count(), 2);
  pile.add(directory({ a: add() }));
  assert.equal(count(), undefined);
  assert.equal(pile.find('b')?.linked, true);
});

test('the same change gives the same objects, in whatever order it was told', () => {
  const inode = file();
  const forward = new Pile().add(directory({ a: add(inode), b: directory({ x: add(), y: add(inode) }), c: add() }));
  const other = file();
  const backward = new Pile().add(directory({ c: add(), b: directory({ y: add(other), x: add() }), a: add(other) }));
  assert.deepEqual(backward.tree, forward.tree);
});

test('a directory says how many directories are in it', () => {
  const pile = new Pile();
  pile.add(directory({ d: directory({ a: directory({}), b: directory({}), f: add() }) }));
  pile.add(directory({ d: directory({ a: whiteout }) }));
  assert.deepEqual([pile.find('')?.subdirectories, pile.find('d')?.subdirectories, pile.find('d/b')?.subdirectories], [1, 1, 0]);
});

test('a tree 50,000 directories deep is built, changed and dropped', () => {
  const pile = new Pile();
  const inode = file();
  const deep = (leaf: Change): Change => {
    let change = leaf;
    for (let depth = 0; depth < 50_000; depth++) change = directory({ d: change });
    return change;
  };
  pile.add(deep(directory({ a: add(inode), b: add(inode) })));
  pile.add(deep(directory({ a: whiteout })));
  assert.equal(pile.tree?.links.size, 0);
  pile.add(directory({ d: whiteout }));
  assert.equal(pile.find('d'), undefined);
});

test('100,000 entries in one directory are found', () => {
  const pile = new Pile();
  const children = new Map(Array.from({ length: 100_000 }, (_, index) => [`file-${index}`, add()]));
  pile.add(directory({ big: { hides: false, children } }));
  pile.add(directory({ big: directory({ 'file-7': whiteout }) }));
  assert.equal(pile.find('big/file-99999')?.layer, 1);
  assert.equal(pile.find('big/file-7'), undefined);
});

/** The same thing as plainly as it can be said: names to nodes, an inode being an object. */
interface ModelNode {
  inode: NewInode;
  children?: Map<string, ModelNode>;
}

const implicit = (): NewInode => ({ attributes: { ...attributes(0o040755), mtimeSec: 0, mtimeNsec: 0 } });

function applyToModel(below: ModelNode | undefined, change: Change): ModelNode | undefined {
  const lower = change.hides ? undefined : below;
  if (change.children === undefined) return change.inode === undefined ? lower : { inode: change.inode };
  const base = lower?.children === undefined ? undefined : lower;
  const kept = below?.children === undefined ? undefined : below;
  const node: ModelNode = { inode: change.inode ?? kept?.inode ?? implicit(), children: new Map(base?.children) };
  for (const [name, child] of change.children) {
    const result = applyToModel(base?.children?.get(name), child);
    if (result === undefined) node.children?.delete(name);
    else node.children?.set(name, result);
  }
  return node;
}

function describeModel(root: ModelNode): string[] {
  const names = new Map<NewInode, number>();
  const lines: string[] = [];
  const walk = (node: ModelNode, path: string, visit: (node: ModelNode, path: string) => void): void => {
    visit(node, path);
    for (const name of [...(node.children?.keys() ?? [])].sort()) walk(node.children?.get(name) as ModelNode, `${path}/${name}`, visit);
  };
  walk(root, '', (node) => names.set(node.inode, (names.get(node.inode) ?? 0) + 1));
  walk(root, '', ({ inode, children }, path) => {
    const links = children ? 2 + [...children.values()].filter((child) => child.children).length : names.get(inode);
    lines.push(`${path} ${inode.attributes.mode.toString(8)} ${inode.attributes.size} ${links}`);
  });
  return lines;
}

function describeTree(tree: Tree, reader: ObjectReader): string[] {
  const lines: string[] = [];
  const walk = (entry: Entry, path: string): void => {
    const links = entry.object ? 2 + (entry.subdirectories ?? 0) : entry.linked ? (tree.links.get(linkKey(entry)) ?? 1) : 1;
    lines.push(`${path} ${entry.mode.toString(8)} ${entry.size} ${links}`);
    for (const child of reader.list(entry)) walk(child, `${path}/${child.name}`);
  };
  walk(tree.root, '');
  return lines;
}

/** A small generator of numbers that are the same in each run. */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}

function randomChange(pick: (below: number) => number, depth: number, inodes: NewInode[]): Change {
  const children = new Map<string, Change>();
  for (let left = pick(5) + (depth === 0 ? 1 : 0); left > 0; left--) {
    const name = 'abcdef'[pick(6)];
    const kind = pick(10);
    if (kind < 2) children.set(name, { hides: true });
    else if (kind < 4) children.set(name, add(file(pick(1000))));
    else if (kind < 6) children.set(name, add(inodes[pick(inodes.length)]));
    else if (depth < 4) children.set(name, { ...randomChange(pick, depth + 1, inodes), hides: pick(6) === 0 });
  }
  const inode = pick(2) === 0 && depth > 0 ? { attributes: attributes(0o040700 + pick(64)) } : undefined;
  return { hides: false, inode, children };
}

test('random layers give what a plain model gives: names, attributes and link counts', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const pick = random(seed);
    const pile = new Pile();
    let model: ModelNode | undefined;
    for (let layer = 0; layer < 6; layer++) {
      const change = randomChange(pick, 0, [file(1), file(2), file(3)]);
      pile.add(change);
      model = applyToModel(model, change);
      assert.deepEqual(describeTree(pile.tree as Tree, pile.reader), describeModel(model as ModelNode), `seed ${seed}, layer ${layer}`);
    }
  }
});
