import { constants } from 'node:os';

/** Errno names Linux knows that Node's table leaves out, with the numbers of asm-generic/errno.h. */
const EXTRA = {
  ENOTBLK: 15, EDEADLK: 35, ENOLCK: 37, ENODATA: 61, ESTALE: 116, EUCLEAN: 117, EDQUOT: 122, EOPNOTSUPP: 95, ENOTSUP: 95,
} as const;

const NUMBERS: ReadonlyMap<string, number> = new Map<string, number>([
  ...Object.entries(constants.errno),
  ...Object.entries(EXTRA),
]);
const NAMES: ReadonlyMap<number, string> = new Map(
  [...NUMBERS].filter(([name]) => name !== 'EWOULDBLOCK' && name !== 'ENOTSUP').map(([name, number]) => [number, name]),
);

/** The number of an errno name, EIO's for a name that isn't one. */
export function errnoNumber(name: string): number {
  return NUMBERS.get(name) ?? constants.errno.EIO;
}

/** The name of an errno number ("ENOENT" for 2), "errno 9999" where there is none. */
export function errnoName(number: number): string {
  return NAMES.get(number) ?? `errno ${number}`;
}

/** A file system call that failed: `code` is the errno's name, the message says what was attempted, on what, and why. */
export class FsError extends Error {
  /** Whether they have stacks, which take ten times the time of all the rest: a thread that serves refuses things all day, and says so by errno. */
  static stacks = true;
  readonly code: string;
  readonly errno: number;

  constructor(code: string, message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error;
    if (!FsError.stacks) Error.stackTraceLimit = 0;
    super(`${message} (${code})`, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'FsError';
    this.code = code;
    this.errno = errnoNumber(code);
  }
}

/** True for an error, ours or Node's, with one of these errno names. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(error.code as string);
}

/** Does what nothing depends on: where it fails, what stays behind harms nobody and is cleared up later. */
export function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof FsError)) throw error;
  }
}

/** The errno number an error becomes on the wire; what has none is EIO. */
export function toErrno(error: unknown): number {
  if (error instanceof FsError) return error.errno;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return errnoNumber(error.code);
  return constants.errno.EIO;
}

/** True for FsErrors and Node's own errors of system calls: any other is a mistake in the program. */
export function isExpected(error: unknown): boolean {
  if (error instanceof FsError) return true;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error && errnoNumber(error.code) > 0;
}
