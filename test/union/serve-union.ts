import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import { nameFromText } from '../../fs/name.ts';
import { FuseServer } from '../../fs/server.ts';
import { wantedFor } from '../../fs/transport/mount.ts';
import { UnionFs } from '../../fs/union/union-fs.ts';

/** What the test's worker is started with: a mounted /dev/fuse, which it serves a union of plain directories on until it is unmounted. */
export interface ServeUnion {
  fd: number;
  lower: string;
  upper: string;
  work: string;
  /** Asks, with any message and a `wake`, for what is in memory. */
  asks: MessagePort;
}

/** What is in memory, and how many quiet moments there were. */
export type Counts = ReturnType<UnionFs['counts']> & { quiet: number };

const port = parentPort as MessagePort;
const { fd, lower, upper, work, asks } = workerData as ServeUnion;
let quiet = 0;

const server = new FuseServer({
  onWake: () => {
    while (receiveMessageOnPort(asks) !== undefined) {
      fileSystem.check();
      port.postMessage({ ...fileSystem.counts(), quiet } satisfies Counts);
    }
  },
  // Each first one asks for a second.
  onQuiet: () => {
    quiet += 1;
    return quiet % 2 === 1;
  },
});
const layer = new DirectoryStack([nameFromText(lower)]);
const fileSystem = new UnionFs({ lower: layer, upper: { directory: nameFromText(upper), work: nameFromText(work) } });
server.add({ fd, fileSystem, wanted: wantedFor('auto'), onEnd: () => layer.close() });
port.postMessage({ wakeFd: server.wakeFd });
await server.run({ untilIdle: true });
port.close();
asks.close();
