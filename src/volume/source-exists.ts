import { statSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { systemWords } from './system-words.ts';

/** Whether the host has a path; throws where that can't be told. */
export type SourceExists = (path: string) => boolean;

/** Asks the host's file system, following symlinks. */
export const existsOnHost: SourceExists = (path) => {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw new Error(`stat ${path}: ${systemWords(error)}`, { cause: error });
  }
};
