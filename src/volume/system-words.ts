import { getSystemErrorMap } from 'node:util';
import { hasCode } from '../../fs/errno.ts';

/** Where Linux's words, which moby's errors have, aren't Node's. */
const WORDS: Record<string, string> = {
  EEXIST: 'file exists', ELOOP: 'too many levels of symbolic links', ENAMETOOLONG: 'file name too long', EIO: 'input/output error', EXDEV: 'invalid cross-device link',
  ERR_INVALID_ARG_VALUE: 'invalid argument',
};

/** Why a call failed, in Linux's words ("permission denied"); of an error without an errno, its message. */
export function systemWords(error: unknown): string {
  const known = Object.entries(WORDS).find(([code]) => hasCode(error, code));
  if (known !== undefined) return known[1];
  const { errno, message } = error as NodeJS.ErrnoException;
  return getSystemErrorMap().get(errno ?? 0)?.[1] ?? message;
}
