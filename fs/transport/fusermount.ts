import { execFileSync, spawnSync } from 'node:child_process';
import { FsError } from '../errno.ts';
import { close } from '../host/at.ts';
import { addressOf, check, libc } from '../host/native.ts';
import { socketPair } from '../host/process.ts';
import { nameToBytes, nameToText, type Name } from '../name.ts';

const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/** The program that mounts for people who may not. */
const HELPER = 'fusermount3';

/** Mounts through fusermount3 and takes the descriptor it hands over. */
export function mountWithHelper(target: Name, options: string[]): number {
  const [ours, theirs] = socketPair();
  try {
    // The helper finds its end as descriptor 3; what it sends waits in the socket until it has ended.
    const result = spawnSync(HELPER, ['-o', options.join(','), '--', textOf(target)], {
      env: { ...process.env, _FUSE_COMMFD: '3' }, stdio: ['ignore', 'ignore', 'pipe', theirs], encoding: 'utf8',
    });
    if (result.error !== undefined) throw new FsError('ENOENT', `Cannot mount on "${nameToText(target)}": ${HELPER} doesn't run`, { cause: result.error });
    if (result.status !== 0) throw new FsError('EPERM', `Cannot mount on "${nameToText(target)}": ${result.stderr.trim()}`);
    return receiveDescriptor(ours);
  } finally {
    close(ours);
    close(theirs);
  }
}

export function unmountWithHelper(target: Name, lazy: boolean): void {
  try {
    execFileSync(HELPER, [lazy ? '-uz' : '-u', '--', textOf(target)], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new FsError(/busy/.test(stderr) ? 'EBUSY' : 'EINVAL', `Cannot unmount "${nameToText(target)}": ${stderr}`, { cause: error });
  }
}

/** Arguments of a program are text to Node. */
function textOf(path: Name): string {
  const text = nameToBytes(path).toString('utf8');
  if (text.includes('\ufffd')) throw new FsError('EINVAL', `Cannot hand "${nameToText(path)}" to ${HELPER}: it isn't UTF-8`);
  return text;
}

/** recvmsg(2) of one byte with one descriptor beside it. */
function receiveDescriptor(socket: number): number {
  const byte = Buffer.allocUnsafeSlow(1);
  const vector = Buffer.allocUnsafeSlow(16);
  vector.writeBigUInt64LE(addressOf(byte), 0);
  vector.writeBigUInt64LE(1n, 8);
  // struct cmsghdr { size_t len; int level; int type; int fd; } padded to 24 bytes.
  const control = Buffer.allocUnsafeSlow(24).fill(0);
  const message = Buffer.allocUnsafeSlow(56).fill(0);
  message.writeBigUInt64LE(addressOf(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(addressOf(control), 32);
  message.writeBigUInt64LE(24n, 40);
  check(libc.recvmsg(socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), `take the descriptor from ${HELPER}`);
  if (control.readBigUInt64LE(0) < 20n || control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) {
    throw new FsError('EPROTO', `Cannot take the descriptor from ${HELPER}: it sent none`);
  }
  return control.readInt32LE(16);
}
