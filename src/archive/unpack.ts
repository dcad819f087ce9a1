import { createHash, type Hash } from 'node:crypto';
import { nameToText, type Name } from '../../fs/name.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';
import type { Change, Content, NewInode } from '../tree/change.ts';
import type { ContentSink, ContentWriter, Entry, Tree, TreeReader } from '../tree/entry.ts';
import { LayerTree, type Spot } from './layer-tree.ts';
import { attributesOf, linkAttributes } from './member-attributes.ts';
import { AUFS_LINKS, AUFS_PREFIX, cleanPath, OPAQUE_MARK, refused, splitPath, WHITEOUT_PREFIX } from './member-name.ts';
import { aboutMember, ArchiveReader, WHOLE_MAX, type ArchiveMember, type MemberHandler } from './reader.ts';
import type { RecipeWriter } from './recipe.ts';

/** What one layer may cost, whoever wrote it. */
export interface ApplyLimits {
  /** Members, and names in the tree they make. */
  entries: number;
  /** Bytes of all files, holes too. */
  size: number;
  /** Bytes of holes in sparse files: they are cheap to send and dear to hash. */
  holes: number;
  /** Bytes of names, symlink targets and xattrs, which are held in memory. */
  metadata: number;
  /** Bytes behind the archive's end mark. */
  trailing: number;
}

export const DEFAULT_LIMITS: ApplyLimits = { entries: 2_000_000, size: 2 ** 44, holes: 16 * 2 ** 30, metadata: 512 * 2 ** 20, trailing: 2 ** 30 };

export interface ApplyOptions {
  /** The layers below, merged. */
  lower?: { tree: Tree; reader: TreeReader };
  sink: ContentSink;
  recipe: RecipeWriter;
  /** After each piece: bytes and members so far. */
  progress?: (bytes: number, entries: number) => void;
  /** What was dropped and why. */
  warn?: (message: string) => void;
  signal?: AbortSignal;
  limits?: Partial<ApplyLimits>;
  /** Refuse two members of one name, as Docker does; else the last one wins. */
  strict?: boolean;
}

export interface AppliedArchive {
  root: Change;
  diffId: `sha256:${string}`;
  archiveSize: number;
  entries: number;
  /** Apparent bytes of the layer's inodes but directories, each once. */
  size: number;
}

/**
 * Turns an uncompressed layer archive into a tree of changes, its files' data into the sink, and the rest into the recipe. Where it fails, the recipe is aborted
 * and what the sink has got is of no use. Nothing is made visible here.
 */
export async function applyArchive(stream: AsyncIterable<Buffer>, options: ApplyOptions): Promise<AppliedArchive> {
  const { progress, signal, recipe } = options;
  const unpacker = new Unpacker(options);
  const reader = new ArchiveReader(unpacker);
  const hash = createHash('sha256');
  let archiveSize = 0;
  let trailing = 0;
  try {
    for await (const chunk of stream) {
      signal?.throwIfAborted();
      hash.update(chunk);
      archiveSize += chunk.length;
      if (reader.ended && (trailing += chunk.length) > unpacker.limits.trailing) throw new UfsError('UFS_LIMIT', `Cannot apply the archive: over ${unpacker.limits.trailing} bytes follow its end`);
      reader.push(chunk);
      progress?.(archiveSize, unpacker.entries);
    }
    signal?.throwIfAborted();
    reader.finish();
    return { ...finishRecipe(recipe, hash, archiveSize), archiveSize, root: unpacker.root, entries: unpacker.entries, size: unpacker.size() };
  } catch (error) {
    unpacker.abort();
    recipe.abort();
    throw error;
  }
}

function finishRecipe(recipe: RecipeWriter, hash: Hash, size: number): { diffId: `sha256:${string}` } {
  const sha256 = hash.digest('hex');
  recipe.finish({ sha256, size });
  return { diffId: `sha256:${sha256}` };
}

/** A file whose data is still to come. */
interface OpenFile {
  member: ArchiveMember;
  /** Gets what the data turned out to be. */
  inode: NewInode;
  writer: ContentWriter | undefined;
  /** Of a sparse file: the segment at hand, and where writing is. */
  segment: number;
  offset: number;
}

class Unpacker implements MemberHandler {
  readonly limits: ApplyLimits;
  entries = 0;
  readonly #options: ApplyOptions;
  readonly #tree: LayerTree;
  readonly #aufsLinks = new Map<Name, NewInode>();
  readonly #linked = new Set<NewInode>();
  #open: OpenFile | undefined;
  #size = 0;
  #holes = 0;
  #metadata = 0;

  constructor(options: ApplyOptions) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#options = options;
    this.#tree = new LayerTree(options.lower, this.limits.entries);
  }

  get root(): Change {
    return this.#tree.root;
  }

  raw(bytes: Buffer): void {
    this.#options.recipe.raw(bytes);
  }

  member(member: ArchiveMember): boolean {
    try {
      this.#charge(member);
      return this.#apply(member);
    } catch (error) {
      throw aboutMember(error, 'apply', member.name);
    }
  }

  data(piece: Buffer, last: boolean): void {
    const open = this.#open!;
    try {
      const content = this.#store(open, piece, last);
      if (!last) return;
      open.inode.content = content;
      this.#open = undefined;
      this.#record(open.member, content);
    } catch (error) {
      throw aboutMember(error, 'store', open.member.name);
    }
  }

  /** Drops the file being written. */
  abort(): void {
    const writer = this.#open?.writer;
    this.#open = undefined;
    writer?.abort();
  }

  /** What the layer holds: each inode once, however many names it has. */
  size(): number {
    let size = 0;
    const counted = new Set<NewInode>();
    const pending: Change[] = [this.root];
    for (let change = pending.pop(); change !== undefined; change = pending.pop()) {
      if (change.children !== undefined) for (const child of change.children.values()) pending.push(child);
      else if (change.inode !== undefined && !counted.has(change.inode)) {
        size += change.inode.attributes.size;
        if (this.#linked.has(change.inode)) counted.add(change.inode);
      }
    }
    return size;
  }

  #charge(member: ArchiveMember): void {
    const { limits } = this;
    if (++this.entries > limits.entries) throw limit(`the archive has over ${limits.entries} members`);
    this.#size += member.sparse?.realSize ?? member.payload;
    if (this.#size > limits.size) throw limit(`the archive's files are over ${limits.size} bytes`);
    if (member.sparse !== undefined) this.#holes += member.sparse.realSize - member.payload;
    if (this.#holes > limits.holes) throw limit(`the holes in its sparse files are over ${limits.holes} bytes`);
    this.#metadata += member.name.length + member.linkName.length;
    for (const [key, value] of member.pax ?? []) this.#metadata += key.length + value.length;
    if (this.#metadata > limits.metadata) throw limit(`the archive's names and xattrs are over ${limits.metadata} bytes`);
  }

  /** True where the member's data is wanted. */
  #apply(member: ArchiveMember): boolean {
    const path = cleanPath(member.name);
    if (path.includes(WHITEOUT_PREFIX)) {
      const special = this.#applySpecial(member, path);
      if (special !== undefined) return special;
    }
    if (member.type === '1') {
      this.#link(member, path);
      return false;
    }
    const inode = this.#inode(member);
    if ((inode.attributes.mode & S_IFMT) === S_IFDIR && path === '') this.#tree.root.inode = inode;
    else if (path === '') throw refused('only a directory can be the root');
    else this.#place(this.#tree.spot(path), inode);
    return this.#expectData(member, inode);
  }

  /** What a name with ".wh." in it means; undefined: it is an ordinary one. */
  #applySpecial(member: ArchiveMember, path: Name): boolean | undefined {
    if (path.startsWith(AUFS_PREFIX) && path !== OPAQUE_MARK) return this.#keepForAufsLinks(member, path);
    const [parent, leaf] = splitPath(path);
    if (`/${parent}`.includes(`/${WHITEOUT_PREFIX}`)) throw refused('it is below a name that begins with ".wh."');
    if (leaf === OPAQUE_MARK) this.#tree.hideBelow(parent);
    else if (leaf.startsWith(WHITEOUT_PREFIX)) {
      const hidden = leaf.slice(WHITEOUT_PREFIX.length);
      if (hidden === '' || hidden === '.' || hidden === '..') throw refused('it is a whiteout of no name');
      // No layer can have a name that begins with ".wh.", so there is nothing to hide.
      if (!hidden.startsWith(WHITEOUT_PREFIX)) this.#tree.hide(parent === '' ? hidden : `${parent}/${hidden}`);
    } else return undefined;
    return false;
  }

  #keepForAufsLinks(member: ArchiveMember, path: Name): boolean {
    const [parent, leaf] = splitPath(path);
    if (parent !== AUFS_LINKS || member.type !== '0') return false;
    const inode = this.#inode(member);
    this.#aufsLinks.set(leaf, inode);
    return this.#expectData(member, inode);
  }

  #inode(member: ArchiveMember): NewInode {
    const size = member.type === '0' ? (member.sparse?.realSize ?? member.payload) : 0;
    return { attributes: attributesOf(member, size, (message) => this.#options.warn?.(`"${nameToText(member.name)}": ${message}`)) };
  }

  #place(spot: Spot, inode: NewInode): void {
    if (this.#options.strict && spot.directory.children?.get(spot.leaf)?.inode !== undefined) throw refused('the archive has two members of this name');
    if ((inode.attributes.mode & S_IFMT) === S_IFDIR) this.#tree.placeDirectory(spot, inode);
    else this.#tree.placeFile(spot, inode);
  }

  #link(member: ArchiveMember, path: Name): void {
    if (path === '') throw refused('only a directory can be the root');
    const inode = member.linkName.startsWith(`${AUFS_LINKS}/`) ? this.#aufsLink(member.linkName) : this.#linkTarget(member, path);
    this.#place(this.#tree.spot(path), inode);
    this.#linked.add(inode);
  }

  #aufsLink(linkName: Name): NewInode {
    const inode = this.#aufsLinks.get(linkName.slice(AUFS_LINKS.length + 1));
    if (inode === undefined) throw refused(`its link target "${nameToText(linkName)}" isn't in the archive`);
    return inode;
  }

  #linkTarget(member: ArchiveMember, path: Name): NewInode {
    const target = this.#cleanTarget(member.linkName);
    const spot = target === '' ? undefined : this.#tree.existing(target);
    const about = `its link target "${nameToText(member.linkName)}"`;
    if (target === '') throw refused(`${about} is a directory (EPERM)`);
    if (spot === undefined || target === path) throw refused(`${about} doesn't exist before it`);
    const found = spot.directory.children?.get(spot.leaf);
    if (found?.children !== undefined || (spot.lower !== undefined && (spot.lower.mode & S_IFMT) === S_IFDIR)) throw refused(`${about} is a directory (EPERM)`);
    const inode = found?.inode ?? (spot.lower === undefined ? undefined : this.#copyUp(target, spot.lower));
    if (inode === undefined) throw refused(`${about} doesn't exist before it`);
    const [old, own] = [this.#tree.spot(target), this.#tree.spot(path)];
    if (own.leaf === old.leaf && own.directory === old.directory) throw refused(`${about} is itself`);
    inode.attributes = linkAttributes(inode.attributes, member, (message) => this.#options.warn?.(`"${nameToText(member.name)}": ${message}`));
    return inode;
  }

  #cleanTarget(linkName: Name): Name {
    try {
      return cleanPath(linkName);
    } catch (error) {
      throw aboutMember(error, 'link to', linkName);
    }
  }

  /** Makes a lower file this layer's own, so that it can get another name. */
  #copyUp(path: Name, lower: Entry): NewInode {
    const { mode, uid, gid, size, mtimeSec, mtimeNsec, rdevMajor, rdevMinor, target, xattrs } = lower;
    const inode: NewInode = { attributes: { mode, uid, gid, size, mtimeSec, mtimeNsec, rdevMajor, rdevMinor, ...(target === undefined ? {} : { target }), xattrs } };
    if ((mode & S_IFMT) === S_IFREG && size > 0) {
      const content = this.#options.sink.share(lower);
      if (content !== undefined) inode.content = content;
    }
    this.#tree.placeFile(this.#tree.spot(path), inode);
    this.#linked.add(inode);
    return inode;
  }

  #expectData(member: ArchiveMember, inode: NewInode): boolean {
    if (member.type !== '0') return false;
    if (member.payload > 0) {
      this.#open = { member, inode, writer: undefined, segment: 0, offset: 0 };
      return true;
    }
    if (inode.attributes.size > 0) {
      // All hole.
      const writer = this.#options.sink.open();
      writer.skip(inode.attributes.size);
      inode.content = writer.finish();
    }
    return false;
  }

  /** Hands a piece to the sink; the content once it was the last. */
  #store(open: OpenFile, piece: Buffer, last: boolean): Content | undefined {
    const { sparse, payload } = open.member;
    if (sparse === undefined && last && payload === piece.length && payload <= WHOLE_MAX) return this.#options.sink.put(piece);
    const writer = (open.writer ??= this.#options.sink.open());
    if (sparse === undefined) writer.write(piece);
    else this.#storeSparse(open, writer, piece);
    if (!last) return undefined;
    if (sparse !== undefined && open.offset < sparse.realSize) writer.skip(sparse.realSize - open.offset);
    open.writer = undefined;
    return writer.finish();
  }

  #storeSparse(open: OpenFile, writer: ContentWriter, piece: Buffer): void {
    const segments = open.member.sparse!.segments;
    for (let done = 0; done < piece.length;) {
      const { offset, length } = segments[open.segment];
      if (open.offset < offset) {
        writer.skip(offset - open.offset);
        open.offset = offset;
      }
      const count = Math.min(offset + length - open.offset, piece.length - done);
      if (count > 0) writer.write(piece.subarray(done, done + count));
      open.offset += count;
      done += count;
      if (open.offset === offset + length) open.segment++;
    }
  }

  #record(member: ArchiveMember, content: Content | undefined): void {
    if (content === undefined) throw new UfsError('UFS_ARCHIVE_STORE', 'its data wasn\'t kept');
    for (const { offset, length } of member.sparse?.segments ?? [{ offset: 0, length: member.payload }]) {
      if (length > 0) this.#options.recipe.content({ digest: content.digest, offset, length });
    }
  }
}

function limit(reason: string): UfsError {
  return new UfsError('UFS_LIMIT', reason);
}
