import { attempt, hasCode } from '../errno.ts';
import { close, statFd } from '../host/at.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_RDWR } from '../host/constants.ts';
import { fallocate, truncateFd } from '../host/file.ts';
import { forgetSaved, putBack, saveAttributes, type SavedAttributes } from '../layer/file-marks.ts';
import { removeMark, writeMark } from '../layer/overlay-xattr.ts';
import { type Job, perform } from './job.ts';
import type { Node } from './node.ts';
import type { Union } from './state.ts';

/** Files up to this size are copied at once where nothing is synced: asking a helper thread costs more. */
const INLINE = 256 * 1024;

/** Syncing may take long however little there is to sync; in helper threads several copies share what the disk does. */
export function copiedAtOnce(union: Union, size: number): boolean {
  const { helpers, volatile } = union.options;
  return helpers === undefined || size === 0 || (volatile === true && size <= INLINE);
}

/** Copies all data, and has it on disk, unless nothing ever is. */
export function copyJob(union: Union, { from, to, size }: { from: number; to: number; size: number }): Job {
  return { kind: 'copy', from, to, size, sync: union.options.volatile !== true };
}

interface Copying {
  from: number;
  to: number;
  size: number;
  saved: SavedAttributes;
}

/**
 * Makes a metadata-only copy a whole one, in place: all its names and descriptors stay those of one inode. Its mark goes last, when the data is on disk, so
 * that a crash finds it either marked or whole; what copying changes of its attributes is noted in it meanwhile. A failure leaves it as it was. As `copyUp`.
 */
export function copyDataUp(union: Union, node: Node): Promise<void> | undefined {
  const copying = begin(union, node);
  if (copiedAtOnce(union, copying.size)) {
    try {
      perform(copyJob(union, copying));
      complete(union, node, copying);
    } catch (error) {
      undo(node, copying);
      throw error;
    } finally {
      end(copying);
    }
    return undefined;
  }
  node.copyUp = copyLater(union, node, copying);
  return node.copyUp;
}

async function copyLater(union: Union, node: Node, copying: Copying): Promise<void> {
  node.busy += 1;
  try {
    await union.run(copyJob(union, copying));
    complete(union, node, copying);
  } catch (error) {
    undo(node, copying);
    throw error;
  } finally {
    end(copying);
    node.copyUp = undefined;
    node.busy -= 1;
    union.table.release(node);
  }
}

function begin(union: Union, node: Node): Copying {
  union.usage?.require(union.lower.stat(node.lower).size);
  const from = union.openLower(node);
  try {
    const to = union.openUpper(node, O_RDWR);
    try {
      const { ctimeSec, ctimeNsec } = union.stat(node);
      node.saved = saveAttributes(to, union.writable().namespace);
      node.ctime = { shown: { ctimeSec, ctimeNsec }, host: undefined };
      return { from, to, size: union.lower.stat(node.lower).size, saved: node.saved };
    } catch (error) {
      close(to);
      throw error;
    }
  } catch (error) {
    close(from);
    throw error;
  }
}

function complete(union: Union, node: Node, { to, saved }: Copying): void {
  union.usage?.measured(statFd(to));
  putBack(to, saved);
  removeMark(to, 'metacopy');
  node.data = undefined;
  node.saved = undefined;
  switchHandles(node);
  forgetSaved(to);
  keepCtime(node, to);
}

function keepCtime(node: Node, to: number): void {
  if (node.ctime !== undefined) node.ctime.host = statFd(to);
}

/** Best effort: what can't be undone now is when the file is next looked up after a crash, or copied again. */
function undo(node: Node, { to, size, saved }: Copying): void {
  if (node.data === undefined) return;
  node.saved = undefined;
  attempt(() => fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size));
  attempt(() => {
    putBack(to, saved);
    forgetSaved(to);
    keepCtime(node, to);
  });
}

function end({ from, to }: Copying): void {
  close(from);
  close(to);
}

/** Makes a metadata-only copy an empty file. */
export function emptyCopy(union: Union, node: Node): void {
  const fd = union.openUpper(node, O_RDWR);
  try {
    // The size first: a copy of size 0 is whole, marked or not.
    truncateFd(fd, 0);
    node.data = undefined;
    switchHandles(node);
    removeMark(fd, 'metacopy');
  } finally {
    close(fd);
  }
}

/**
 * Before a metadata-only copy gets another name: it says itself where its data is from now on. Where it has no room for that, or its path isn't known, the
 * data is copied up. As `copyUp`.
 */
export function freeOfName(union: Union, node: Node): Promise<void> | undefined {
  const { data } = node;
  if (data === undefined || data.redirected) return undefined;
  const { namespace, redirects } = union.writable();
  if (data.path === undefined || !redirects) return copyDataUp(union, node);
  try {
    union.withDescriptor(node, (fd) => writeMark(fd, namespace, 'redirect', `/${data.path as string}`));
  } catch (error) {
    if (!hasCode(error, 'ENOSPC', 'E2BIG', 'ERANGE')) throw error;
    return copyDataUp(union, node);
  }
  data.redirected = true;
  return undefined;
}

/**
 * Reads through files opened before must see what is written from now on: they open the upper file when they are next used. Those passed through to the
 * kernel can't be moved (see `open`).
 */
export function switchHandles(node: Node): void {
  for (const handle of node.handles ?? []) {
    if (handle.passthrough || handle.fd === undefined || handle.upper) continue;
    close(handle.fd);
    handle.fd = undefined;
  }
}
