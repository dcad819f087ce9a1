import { dirname } from 'node:path';
import { UfsError } from '../errors.ts';
import type { MountSpec } from '../mount/spec.ts';
import type { Container } from '../store/containers.ts';
import type { LayerId } from '../store/layer-id.ts';
import { withLimits } from '../store/limits.ts';
import type { Labels } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { KIND } from './layer-labels.ts';
import { upperOf } from './trees.ts';
import type { VolumeOptions } from './volume-options.ts';

/** A volume of the store. */
export interface Volume {
  name: string;
  /** In RFC 3339. */
  created: string;
  /** What it was made with; its limits may have been changed since. */
  options: VolumeOptions;
  /** Where what is written to it is. */
  container: Container;
  /** The layer it stands on, if it is from something. */
  layer: LayerId | undefined;
}

const ENGINE = 'volume:';
const OPTIONS = 'ufs.volume.options';
/** When it was made, where its container is younger. */
export const CREATED = 'ufs.volume.created';
/** Docker's names (moby, volume/names.go), which have to be names of directories too. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,239}$/;

/** UFS_USAGE for what Docker would take for no name. */
export function checkVolumeName(name: string): string {
  if (!NAME.test(name)) throw new UfsError('UFS_USAGE', `Cannot call a volume ${JSON.stringify(name.slice(0, 300))}: only 2 to 240 letters, digits and _ . - are allowed, and a letter or digit in front`);
  return name;
}

/** The id of the container that a volume is. */
export function containerIdOf(name: string): string {
  return `${ENGINE}${name}`;
}

/** All volumes, in the order they were made in. */
export function listVolumes(store: Store): Volume[] {
  return store.containers().filter(({ id }) => id.startsWith(ENGINE)).map((container) => toVolume(store, container)).sort((a, b) => (a.created < b.created ? -1 : 1));
}

/** Undefined where there is none. */
export function findVolume(store: Store, name: string): Volume | undefined {
  const container = store.container(containerIdOf(name));
  return container && toVolume(store, container);
}

function toVolume(store: Store, container: Container): Volume {
  const { id, created, labels } = container;
  return { name: id.slice(ENGINE.length), created: labels[CREATED] ?? created, options: JSON.parse(labels[OPTIONS] ?? '{}') as VolumeOptions, container, layer: store.below(container).layer };
}

/** The labels of the container that a volume is, which may have others. */
export function labelsOfVolume(options: VolumeOptions, others: Labels = {}): Labels {
  return { ...withLimits(others, { limit: options.size, inodes: options.inodes }), [KIND]: 'volume', [OPTIONS]: JSON.stringify(options) };
}

/** How a volume is mounted. */
export function mountSpecOf(store: Store, { container, options: { size, inodes, readOnly, uidMap, gidMap } }: Volume): Omit<MountSpec, 'target'> {
  const { layer, containers } = store.below(container);
  const room = store.roomOf(container);
  const upper = upperOf(container);
  return {
    ...(uidMap === undefined && gidMap === undefined ? {} : { idMaps: { uid: uidMap ?? [], gid: gidMap ?? uidMap ?? [] } }),
    passthrough: 'auto', mount: { source: container.id, ...(readOnly === true ? { readonly: true } : {}) },
    lower: layer === undefined ? { kind: 'directories', paths: [] } : { kind: 'layer', store: store.root, layer },
    between: [...containers.map(upperOf), ...(readOnly === true ? [upper] : [])],
    ...(readOnly === true ? {} : { upper: { ...upper, metacopy: true, ...(room === undefined ? {} : { room }) } }),
    ...(size === undefined && inodes === undefined ? {} : { limitsOf: dirname(container.diff) }),
  };
}
