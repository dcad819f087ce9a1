import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import type { ImageRecord, Manifest } from './records.ts';

/** The version of everything on disk. A store of another one isn't opened. */
export const FORMAT_VERSION = 1;

/** A record as the text of its file: JSON with a checksum over the rest, because it is the truth the index is made from. */
function seal(record: object): string {
  const sealed = { format: FORMAT_VERSION, ...record };
  return `${JSON.stringify({ ...sealed, checksum: checksum(sealed) }, undefined, 1)}\n`;
}

function checksum(record: object): string {
  return createHash('sha256').update(JSON.stringify(record)).digest('hex');
}

function unseal(path: string): Record<string, unknown> {
  try {
    const { checksum: expected, ...record } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    if (checksum(record) !== expected) throw new Error('its checksum does not fit');
    const { format, ...rest } = record;
    if (format !== FORMAT_VERSION) throw new Error(`its format is ${format}, not ${FORMAT_VERSION}`);
    return rest;
  } catch (cause) {
    throw new UfsError('UFS_LAYER_DAMAGED', `Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

export function encodeManifest(manifest: Manifest): string {
  return seal(manifest);
}

export function readManifest(path: string): Manifest {
  return unseal(path) as unknown as Manifest;
}

export function encodeImage(image: Omit<ImageRecord, 'names'>): string {
  return seal({ ...image, config: image.config.toString('base64') });
}

export function readImage(path: string): Omit<ImageRecord, 'names'> {
  const record = unseal(path) as unknown as Omit<ImageRecord, 'names' | 'config'> & { config: string };
  return { ...record, config: Buffer.from(record.config, 'base64') };
}

/** Names of images, each with the id of its image. */
export function encodeNames(names: ReadonlyMap<string, string>): string {
  return seal({ names: [...names] });
}

export function readNames(path: string): Map<string, string> {
  return new Map((unseal(path) as { names: [string, string][] }).names);
}
