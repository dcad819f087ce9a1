/** The library: the store, layer archives, changes, and mounts. `ufs/fs` has the file system alone. */
export { treeChanges, type TreeChange } from './changes/changes.ts';
export { changesSize } from './changes/size.ts';
export { UfsError } from './errors.ts';
export { applyLayer } from './graph/apply.ts';
export { commitContainer } from './graph/commit.ts';
export { changesArchive, changesOf, sizeOf } from './graph/diff.ts';
export { importArchive, layerArchive, loadImages, nameLayer, savedImages } from './graph/images.ts';
export { findImage, findSubject, openTrees, type Subject } from './graph/trees.ts';
export { StoreDriver } from './docker/driver.ts';
export type { ChangeKind, CreateOptions, GraphDriver, IdMap, InitOptions } from './plugin/graph-driver.ts';
export { graphMethods } from './plugin/graph-methods.ts';
export { GraphDriverHandler, PluginHandler, type HandlerOptions, type TlsFiles } from './plugin/handler.ts';
export type { Call, Capability, Method } from './plugin/methods.ts';
export { PluginMetrics } from './plugin/metrics.ts';
export type { PluginLog } from './plugin/server.ts';
export { Mounter, type Mounted } from './mount/mounter.ts';
export type { MountSpec } from './mount/spec.ts';
export { Store } from './store/store.ts';
