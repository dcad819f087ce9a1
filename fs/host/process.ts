import { readFileSync, readlinkSync } from 'node:fs';
import { errnoNumber } from '../errno.ts';
import type { Name } from '../name.ts';
import { check, cString, failed, lastErrno, libc } from './native.ts';

/** CAP_DAC_OVERRIDE, CAP_SYS_ADMIN … of linux/capability.h. */
export const CAP_DAC_OVERRIDE = 1;
export const CAP_SYS_ADMIN = 21;
export const CAP_MKNOD = 27;

/** True where the effective set has the capability (number of linux/capability.h). */
export function hasCapability(capability: number): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return line !== null && ((BigInt(`0x${line[1]}`) >> BigInt(capability)) & 1n) === 1n;
}

/** The first user namespace has always had this inode (PROC_USER_INIT_INO of the kernel). */
export function inInitialUserNamespace(): boolean {
  return readlinkSync('/proc/self/ns/user') === 'user:[4026531837]';
}

export function effectiveUid(): number {
  return (process.geteuid as () => number)();
}

export function effectiveGid(): number {
  return (process.getegid as () => number)();
}

/** eventfd(2): a counter other threads can write to and poll(2) can wait for; non-blocking. */
export function eventfd(): number {
  return check(libc.eventfd(0, 0o2000000 | 0o4000), 'make an eventfd');
}

/** Two ends of a unix stream socket. */
export function socketPair(): [number, number] {
  const pair = Buffer.alloc(8);
  check(libc.socketpair(1, 1 | 0o2000000, 0, pair), 'make a socket pair');
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

/** Wakes whoever polls an eventfd. */
export function signalEventfd(fd: number): void {
  check(libc.write(fd, ONE, 8), 'signal an eventfd');
}

const drain = Buffer.alloc(8);

/** Sets an eventfd back to 0. */
export function clearEventfd(fd: number): void {
  libc.read(fd, drain, 8);
}

/** poll(2) over `count` struct pollfd's; `timeout` in milliseconds, -1 for ever. The number that are ready; 0 after a signal. */
export function poll(fds: Buffer, count: number, timeout: number): number {
  const ready = libc.poll(fds, count, timeout) as number;
  if (ready >= 0) return ready;
  if (lastErrno() === errnoNumber('EINTR')) return 0;
  throw failed('poll');
}

/** mount(2). */
export function mount(source: string, target: Name, type: string, flags: number, data: string): void {
  check(libc.mount(cString(source), cString(target), cString(type), flags, cString(data)), `mount ${type} on`, target);
}

/** umount2(2); `flags` are its MNT_ and UMOUNT_ ones. */
export function umount2(target: Name, flags: number): void {
  check(libc.umount2(cString(target), flags), 'unmount', target);
}
