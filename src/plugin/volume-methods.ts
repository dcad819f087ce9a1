import { UfsError } from '../errors.ts';
import { holderOf, type Message, readMessage, volumeNameOf, volumeOptions } from './messages.ts';
import type { Capability, Method } from './methods.ts';
import type { VolumeDriver, VolumeInfo } from './volume-driver.ts';

/** The methods of a volume plugin (https://docs.docker.com/engine/extend/plugins_volume/) on a driver. */
export function volumeMethods(driver: VolumeDriver): Capability {
  const named = (act: (message: Message) => Promise<object | void>): Method => async ({ request }) => ({ ...(await act(await readMessage(request))), Err: '' });
  return {
    implements: 'VolumeDriver',
    methods: {
      'VolumeDriver.Create': named((message) => driver.create(volumeNameOf(message), volumeOptions(message))),
      'VolumeDriver.Remove': named((message) => driver.remove(volumeNameOf(message))),
      'VolumeDriver.List': named(async () => ({ Volumes: (await driver.list()).map(described) })),
      'VolumeDriver.Get': named(async (message) => ({ Volume: described(await driver.get(volumeNameOf(message))) })),
      'VolumeDriver.Path': named(async (message) => ({ Mountpoint: await driver.path(volumeNameOf(message)) })),
      'VolumeDriver.Mount': named(async (message) => ({ Mountpoint: await mounted(driver, volumeNameOf(message), holderOf(message)) })),
      'VolumeDriver.Unmount': named((message) => driver.unmount(volumeNameOf(message), holderOf(message))),
      'VolumeDriver.Capabilities': named(async () => ({ Capabilities: { Scope: driver.capabilities().scope } })),
    },
  };
}

/** Docker binds the path into a container as it is: a relative one would be of its own working directory. */
async function mounted(driver: VolumeDriver, name: string, id: string): Promise<string> {
  const path = await driver.mount(name, id);
  if (!path.startsWith('/')) throw new UfsError('UFS_PLUGIN', `Cannot mount volume "${name}": the driver says it is at ${JSON.stringify(path)}, which is no absolute path`);
  return path;
}

function described({ name, mountpoint = '', createdAt, status }: VolumeInfo): object {
  return { Name: name, Mountpoint: mountpoint, ...(createdAt === undefined ? {} : { CreatedAt: timeOf(name, createdAt) }), Status: status };
}

/** In RFC 3339: Docker can't read an answer that has anything else, not even an empty string. */
function timeOf(name: string, time: Date): string {
  const text = Number.isNaN(time.getTime()) ? 'an invalid date' : time.toISOString();
  if (!/^\d{4}-/.test(text)) throw new UfsError('UFS_PLUGIN', `Cannot say when volume "${name}" was created: the driver says ${text}`);
  return text;
}
