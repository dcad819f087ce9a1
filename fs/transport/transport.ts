import type { About } from './notify.ts';

/** How requests come from the kernel: by the protocol on /dev/fuse, or through the package fuse-native. */
export type Transport = 'dev-fuse' | 'fuse-native';
export const TRANSPORTS: readonly Transport[] = ['dev-fuse', 'fuse-native'];

/** The way to one kernel connection (or what plays its part), as a session sees it. Requests come in through `Session.handle`. */
export interface Channel {
  /** Delivers the first `length` bytes, a whole reply. False where nobody waits for it any more (the request was aborted, or the mount is gone). */
  send(reply: Buffer, length: number): boolean;
  /** Delivers a notification from another thread, in order with those about the same kind of thing. Resolves when the kernel has acted on it; never rejects. */
  notify(message: Buffer, about: About): Promise<void>;
  /** Registers a descriptor as backing file; an id above 0. Throws FsError. */
  openBacking(fd: number): number;
  closeBacking(id: number): void;
}
