import { strict as assert } from 'node:assert';
import { FsError } from '../errno.ts';
import { ROOT_ID } from '../file-system.ts';
import type { Name } from '../name.ts';
import { S_IFDIR } from '../stat.ts';
import { type Link, newNode, type Node } from './node.ts';

/**
 * Every node the kernel knows, by id, by (directory, name), and, for files with several names, by identity. Ids are counted up and never used again.
 * INVARIANT: a node is in the table as long as the kernel counts lookups on it, it has children, open files, or work going on.
 */
export class NodeTable {
  readonly root: Node;
  readonly byId = new Map<number, Node>();
  readonly byKey = new Map<string, Node>();
  /** Called with each node that leaves. */
  readonly #onDrop: (node: Node) => void;
  #nextId = ROOT_ID + 1;

  constructor(onDrop: (node: Node) => void) {
    this.#onDrop = onDrop;
    this.root = newNode(ROOT_ID, S_IFDIR);
    this.byId.set(ROOT_ID, this.root);
  }

  get(id: number): Node {
    const node = this.byId.get(id);
    if (node === undefined) throw new FsError('ESTALE', `Cannot find node ${id}: it was forgotten`);
    return node;
  }

  add(type: number): Node {
    const node = newNode(this.#nextId++, type);
    this.byId.set(node.id, node);
    return node;
  }

  setKey(node: Node, key: string): void {
    if (this.byKey.get(key) === node) return;
    this.byKey.set(key, node);
    (node.keys ??= []).push(key);
  }

  attach(node: Node, parent: Node, name: Name): void {
    (parent.children ??= new Map()).set(name, node);
    // Most files have one name, and an array that grows by push has room for sixteen more: 128 bytes a node.
    if (node.links.length === 0) node.links = [{ parent, name }];
    else node.links.push({ parent, name });
    node.removed = false;
  }

  /** Takes a name away; the node stays until `release`. */
  detach(node: Node, parent: Node, name: Name): void {
    const index = node.links.findIndex((link) => link.parent === parent && link.name === name);
    if (index === -1) return;
    node.links.splice(index, 1);
    parent.children?.delete(name);
  }

  /** Only its id leads to the node from now on. */
  dropKeys(node: Node): void {
    for (const key of node.keys ?? []) if (this.byKey.get(key) === node) this.byKey.delete(key);
    node.keys = undefined;
  }

  remember(node: Node): void {
    node.lookups += 1;
  }

  forget(id: number, count: number): void {
    const node = this.byId.get(id);
    if (node === undefined || node === this.root) return;
    node.lookups = Math.max(0, node.lookups - count);
    this.release(node);
  }

  /** Lets go of a node nothing needs any more, and of directories that were only there for it. */
  release(node: Node): void {
    for (let gone: Node[] = [node]; gone.length > 0; ) {
      const next = gone.pop() as Node;
      if (next === this.root || next.lookups > 0 || next.busy > 0 || (next.children?.size ?? 0) > 0 || (next.handles?.size ?? 0) > 0) continue;
      if (!this.byId.delete(next.id)) continue;
      this.dropKeys(next);
      const links: Link[] = [...next.links];
      for (const { parent, name } of links) {
        this.detach(next, parent, name);
        gone.push(parent);
      }
      this.#onDrop(next);
    }
  }
}

/** Throws where an invariant of the table doesn't hold. */
export function checkTable(table: NodeTable): void {
  for (const [id, node] of table.byId) {
    assert.equal(node.id, id, `node ${node.id} is known as ${id}`);
    const needed = node === table.root || node.lookups > 0 || node.busy > 0 || (node.children?.size ?? 0) > 0 || (node.handles?.size ?? 0) > 0;
    assert(needed, `nothing needs node ${id}`);
    for (const { parent, name } of node.links) {
      assert.equal(parent.children?.get(name), node, `node ${id} isn't where it has its name`);
      assert(table.byId.get(parent.id) === parent, `the directory of node ${id} is gone`);
    }
    for (const [name, child] of node.children ?? []) {
      assert(child.links.some((link) => link.parent === node && link.name === name), `node ${child.id} doesn't know its name`);
      assert(table.byId.get(child.id) === child, `child ${child.id} of node ${id} is gone`);
    }
    if (node !== table.root && node.links.length === 0) assert(node.removed, `node ${id} has no name and isn't removed`);
    if (node.orphan !== undefined) assert(node.upper, `node ${id} has a descriptor but isn't in the upper`);
    if (node.orphan !== undefined) assert(node.removed, `node ${id} has a descriptor and a name`);
  }
  for (const [key, node] of table.byKey) assert(table.byId.get(node.id) === node, `node ${node.id} is known by ${key} only`);
}
