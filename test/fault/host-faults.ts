import koffi from 'koffi';
import { errnoNumber } from '../../fs/errno.ts';
import { O_CREAT, O_TMPFILE, RENAME_WHITEOUT } from '../../fs/host/constants.ts';
import { libc } from '../../fs/host/native.ts';

/**
 * All system calls of the file system go through the table `libc`: put in there, these functions make the Nth one fail. Whoever imports this file has
 * them in its process; they do what they stand for until `withFault` says otherwise.
 */
export type FaultKind =
  /** That call fails; those after it work. */
  | 'once'
  /** The disk is full from there on: that call, and all that need space after it. Others aren't counted. */
  | 'full'
  /** The process is dead: nothing is done from that call on. Only those that change something are counted: between others it makes no difference. */
  | 'killed';

export interface Fault {
  kind: FaultKind;
  /** Which call, from 1. */
  at: number;
  /** The errno's name. */
  code: string;
}

type Call = (...values: unknown[]) => unknown;

let fault: Fault | undefined;
let calls = 0;
let failedCall: string | undefined;

const table = libc as unknown as Record<string, Call>;
for (const [name, call] of Object.entries(table)) {
  table[name] = (...values) => {
    if (fault === undefined || !fails(fault, name, values)) return call(...values);
    failedCall ??= name;
    // close(2) closes, whatever it says.
    if (name === 'close') call(...values);
    koffi.errno(errnoNumber(fault.code));
    return -1;
  };
}

function fails({ kind, at }: Fault, name: string, values: unknown[]): boolean {
  if (kind === 'full' && !needsSpace(name, values)) return false;
  if (kind === 'killed' && calls < at && !changes(name, values)) return false;
  calls += 1;
  return kind === 'once' ? calls === at : calls >= at;
}

const LOOKS = new Set([
  'close', 'statx', 'readlinkat', 'lgetxattr', 'getxattr', 'llistxattr', 'listxattr', 'read', 'pread', 'preadv2', 'fsync', 'fdatasync', 'lseek', 'statfs',
  'fstatfs', 'getdents64',
]);

function changes(name: string, values: unknown[]): boolean {
  return name === 'openat' ? needsSpace(name, values) : !LOOKS.has(name);
}

const SPACE = new Set(['mkdirat', 'mknodat', 'symlinkat', 'linkat', 'lsetxattr', 'setxattr', 'write', 'pwrite', 'fallocate', 'copy_file_range']);

function needsSpace(name: string, values: unknown[]): boolean {
  if (name === 'openat') return ((values[2] as number) & O_CREAT) !== 0 || ((values[2] as number) & O_TMPFILE) === O_TMPFILE;
  if (name === 'renameat2') return values[4] === RENAME_WHITEOUT;
  return SPACE.has(name);
}

/** Does `action` under the fault. `call`: the name of the one that failed, undefined where there weren't so many. */
export function withFault(wanted: Fault, action: () => void): { call: string | undefined; error: unknown } {
  fault = wanted;
  calls = 0;
  failedCall = undefined;
  let error: unknown;
  try {
    action();
  } catch (thrown) {
    error = thrown;
  } finally {
    fault = undefined;
  }
  return { call: failedCall, error };
}
