import type { Layer } from '../../fs/layer/layer.ts';
import { joinName, type Name } from '../../fs/name.ts';
import { isDirectory, type Stat } from '../../fs/stat.ts';
import { differs } from './compare.ts';

/** A path that differs between two trees. A deleted directory is one change; so is what a file replaced. */
export interface TreeChange<N> {
  /** As Docker prints them: A, C and D. */
  kind: 'added' | 'modified' | 'deleted';
  /** Relative to the root, which is "". */
  path: Name;
  /** What is there now; absent for 'deleted'. */
  node?: N;
  stat?: Stat;
}

interface Pair<A, B> {
  path: Name;
  before: A | undefined;
  after: B;
  /** The stat of `after`. */
  stat: Stat;
  parent: Pair<A, B> | undefined;
  listed: boolean;
}

/**
 * What leads from one tree to another, sorted by path with parents first. The directories above a change are changes too, as layer archives want them. Where one name of
 * a file with several names changed, all its names are listed (`otherNames`): an archive needs them to say that they are one file. Without `before` everything is 'added'.
 */
export function treeChanges<A, B>(before: Layer<A> | undefined, after: Layer<B>, options: ChangesOptions = {}): TreeChange<B>[] {
  return new Comparison(before, after, options).run();
}

export interface ChangesOptions {
  /** Whether a directory is changed where only its modification time is; true unless told. Docker doesn't tell people of those. */
  directoryTimes?: boolean;
  /** Whether the root is changed where only its modification time is, or something below it; true unless told. */
  rootTimes?: boolean;
  /** Whether a name is changed where only another name of its file is, or is new; true unless told. Docker tells people of the names that differ alone. */
  otherNames?: boolean;
  /** Whether a whole second is the same time as any fraction more; false unless told. Docker's archives have whole seconds. */
  wholeSeconds?: boolean;
}

/** What Docker tells people of: not all that an archive needs. */
export const FOR_PEOPLE: ChangesOptions = { directoryTimes: false, otherNames: false, wholeSeconds: true };

class Comparison<A, B> {
  readonly #options: ChangesOptions;
  readonly #before: Layer<A> | undefined;
  readonly #after: Layer<B>;
  readonly #changes: TreeChange<B>[] = [];
  /** The names of each inode that has several, by identity. */
  readonly #linked = new Map<string, Pair<A, B>[]>();

  constructor(before: Layer<A> | undefined, after: Layer<B>, options: ChangesOptions) {
    this.#options = options;
    this.#before = before;
    this.#after = after;
  }

  run(): TreeChange<B>[] {
    const root = this.#after.root;
    const pending: Pair<A, B>[] = [{ path: '', before: this.#before?.root, after: root, stat: this.#after.stat(root), parent: undefined, listed: false }];
    // A stack of our own: trees may be deeper than the call stack.
    for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
      this.#compare(pair);
      if (isDirectory(pair.stat)) this.#compareChildren(pair, pending);
    }
    if (this.#options.otherNames !== false) this.#completeLinks();
    this.#changes.sort((a, b) => comparePaths(a.path, b.path));
    return this.#options.rootTimes === false && !this.#rootDiffers() ? this.#changes.filter(({ path }) => path !== '') : this.#changes;
  }

  #rootDiffers(): boolean {
    const [before, after] = [this.#before, this.#after];
    if (before === undefined) return true;
    return differs({ layer: before, node: before.root, stat: before.stat(before.root) }, { layer: after, node: after.root, stat: after.stat(after.root) }, { directoryTimes: false });
  }

  #compare(pair: Pair<A, B>): void {
    if (pair.before === undefined || this.#before === undefined) this.#list(pair);
    else if (differs({ layer: this.#before, node: pair.before, stat: this.#before.stat(pair.before) }, { layer: this.#after, node: pair.after, stat: pair.stat }, this.#options)) this.#list(pair);
    if (pair.stat.nlink > 1 && !isDirectory(pair.stat)) {
      const identity = this.#after.identity(pair.after);
      const names = this.#linked.get(identity);
      if (names === undefined) this.#linked.set(identity, [pair]);
      else names.push(pair);
    }
  }

  #compareChildren(pair: Pair<A, B>, pending: Pair<A, B>[]): void {
    const before = this.#before !== undefined && pair.before !== undefined && isDirectory(this.#before.stat(pair.before)) ? pair.before : undefined;
    if (before !== undefined) {
      const key = this.#after.subtreeKey(pair.after);
      if (key !== undefined && key === this.#before?.subtreeKey(before)) return;
    }
    const gone = new Map((before === undefined ? [] : (this.#before?.list(before) ?? [])).map((entry) => [entry.name, entry.node]));
    for (const { name, node } of this.#after.list(pair.after)) {
      pending.push({ path: joinName(pair.path, name), before: gone.get(name), after: node, stat: this.#after.stat(node), parent: pair, listed: false });
      gone.delete(name);
    }
    for (const name of gone.keys()) {
      this.#list(pair);
      this.#changes.push({ kind: 'deleted', path: joinName(pair.path, name) });
    }
  }

  #list(pair: Pair<A, B>): void {
    for (let at: Pair<A, B> | undefined = pair; at !== undefined && !at.listed; at = at.parent) {
      at.listed = true;
      this.#changes.push({ kind: at.before === undefined ? 'added' : 'modified', path: at.path, node: at.after, stat: at.stat });
    }
  }

  #completeLinks(): void {
    for (const names of this.#linked.values()) {
      if (names.some((pair) => pair.listed) || this.#split(names)) for (const pair of names) this.#list(pair);
    }
  }

  /** True where names that are one file now weren't before. */
  #split(names: Pair<A, B>[]): boolean {
    const identities = names.map((pair) => (pair.before === undefined ? undefined : this.#before?.identity(pair.before)));
    return identities.some((identity) => identity !== identities[0]);
  }
}

/** Bytewise by components: "a/b" comes before "a-b", as a directory's children come right behind it. */
export function comparePaths(a: Name, b: Name): number {
  const [left, right] = [a.replaceAll('/', '\0'), b.replaceAll('/', '\0')];
  return left < right ? -1 : left > right ? 1 : 0;
}
