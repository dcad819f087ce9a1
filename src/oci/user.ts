import { readFileSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { close, statFd } from '../../fs/host/at.ts';
import { O_NONBLOCK, O_RDONLY } from '../../fs/host/constants.ts';
import { openInRoot } from '../../fs/host/in-root.ts';
import { isRegular } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';

/** Whom a process runs as. */
export interface ProcessUser {
  uid: number;
  gid: number;
  additionalGids: number[];
}

/** Bytes of an account file at most. */
const ACCOUNTS_MAX = 8 * 1024 * 1024;
/** Linux has ids above, but account files haven't (moby/sys, user/user.go). */
const ID_MAX = 2 ** 31 - 1;

/**
 * Whom "user", "uid", "user:group" … means in a root file system, by its own account files; "" is root. `root`: a descriptor of its root directory. Who is named has to be there; an
 * id needn't be. Without a group it is the user's, with the further groups they are in. UFS_USER_NOT_FOUND.
 */
export function resolveUser(root: number, words: string): ProcessUser {
  const [userWord = '', groupWord = ''] = words.split(':');
  const wanted = userWord === '' ? '0' : userWord;
  const found = accounts(root, 'etc/passwd').find(([name, , uid]) => name === wanted || (isId(wanted) && isId(uid) && Number(uid) === Number(wanted)));
  const account = found !== undefined && isId(found[2]) && isId(found[3]) ? { name: found[0] as string, uid: Number(found[2]), gid: Number(found[3]) } : undefined;
  if (account === undefined && !isId(wanted)) throw new UfsError('UFS_USER_NOT_FOUND', `Cannot run as "${words}": unable to find user ${wanted}: no matching entries in passwd file`);
  const { uid, gid } = account ?? { uid: Number(wanted), gid: 0 };
  if (groupWord === '') {
    const groups = account === undefined ? [] : accounts(root, 'etc/group').filter((fields) => isId(fields[2]) && (fields[3] ?? '').split(',').includes(account.name));
    return { uid, gid, additionalGids: [...new Set(groups.map((fields) => Number(fields[2])))] };
  }
  const group = accounts(root, 'etc/group').find(([name, , id]) => name === groupWord || (isId(groupWord) && isId(id) && Number(id) === Number(groupWord)));
  if (group !== undefined && isId(group[2])) return { uid, gid: Number(group[2]), additionalGids: [] };
  if (!isId(groupWord)) throw new UfsError('UFS_USER_NOT_FOUND', `Cannot run as "${words}": unable to find group ${groupWord}: no matching entries in group file`);
  return { uid, gid: Number(groupWord), additionalGids: [] };
}

function isId(word: string | undefined): word is string {
  return word !== undefined && /^\d{1,10}$/.test(word) && Number(word) <= ID_MAX;
}

/** The fields of each line; none where there is no such file. */
function accounts(root: number, path: string): string[][] {
  let fd: number;
  try {
    // What an image calls so may be a fifo, which would be waited for.
    fd = openInRoot(root, path, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
  try {
    const stat = statFd(fd);
    if (!isRegular(stat) || stat.size > ACCOUNTS_MAX) throw new UfsError('UFS_USER_NOT_FOUND', `Cannot read /${path} of the image: it is no file, or too large`);
    return readFileSync(fd, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split(':'));
  } finally {
    close(fd);
  }
}
