/** What a program that serves a file system of its own, or works with layers, may use of `fs/`. */
export { errnoName, errnoNumber, FsError, hasCode, toErrno } from './errno.ts';
export * from './file-system.ts';
export { DirectoryStack } from './layer/directory-stack.ts';
export { EmptyLayer } from './layer/empty-layer.ts';
export type { Layer, LayerEntry } from './layer/layer.ts';
export { nameFromBytes, nameFromText, nameToBytes, nameToText, type Name } from './name.ts';
export { FuseServer, type Mount, type ServerOptions } from './server.ts';
export * from './stat.ts';
export { mount, type MountOptions, type PassthroughMode, unmount, wantedFor } from './transport/mount.ts';
export { MergedLayer } from './union/merged-layer.ts';
export type { Room } from './union/usage.ts';
export { UnionFs, type UnionOptions } from './union/union-fs.ts';
