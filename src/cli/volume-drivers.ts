import type { Volume as StoreVolume } from '../graph/volume-record.ts';
import { type Volumes, volumeOptionTexts } from '../graph/volumes.ts';
import { VolumeDrivers } from '../volume/drivers.ts';
import { DEFAULT_DRIVER, type Driver, type Volume } from '../volume/volume.ts';

/** The volumes of a store as a driver, under the name "ufs" and as the one that is meant where none is named. */
export function volumeDrivers(volumes: Volumes): VolumeDrivers {
  const drivers = new VolumeDrivers();
  for (const name of ['ufs', DEFAULT_DRIVER]) drivers.register(storeDriver(volumes, name));
  return drivers;
}

function storeDriver(volumes: Volumes, name: string): Driver {
  const volumeOf = (found: StoreVolume): Volume => ({
    name: found.name, driverName: name,
    path: async () => volumes.mountpoint(found.name) ?? '',
    mount: (holder) => volumes.mount(found.name, holder),
    unmount: (holder) => volumes.unmount(found.name, holder),
    createdAt: async () => new Date(found.created),
    status: async () => volumeOptionTexts(found),
  });
  return {
    name,
    create: async (volume, options) => volumeOf(volumes.list().find((there) => there.name === volume) ?? (await volumes.create(volume, options))),
    remove: (volume) => volumes.remove(volume.name),
    list: async () => volumes.list().map(volumeOf),
    get: async (volume) => volumeOf(volumes.find(volume)),
    scope: () => 'local',
  };
}
