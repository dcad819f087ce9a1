import type { Volume } from './volume-record.ts';
import type { Volumes } from './volumes.ts';

/** How a volume is now. */
export interface VolumeStatus {
  /** Bytes and inodes that are written to it, besides what it is from. */
  used: { bytes: number; inodes: number };
  mountpoint?: string;
  holders: { holder: string; count: number; doubtful: boolean }[];
}

export async function volumeStatus(volumes: Volumes, { name }: Volume): Promise<VolumeStatus> {
  const mountpoint = volumes.mountpoint(name);
  return { used: await volumes.taken(name), ...(mountpoint === undefined ? {} : { mountpoint }), holders: volumes.holders(name) };
}
