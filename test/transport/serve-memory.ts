import { writeSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import { FuseServer } from '../../fs/server.ts';
import type { Wanted } from '../../fs/protocol/init.ts';
import { MemoryFileSystem } from '../helpers/memory-file-system.ts';

/** What the test's worker is started with: it serves each descriptor with a memory file system of its own, until all are unmounted. */
export interface ServeMemory {
  fds: number[];
  wanted: Wanted;
  /** The answers of read and fsync come later, when the helper's `port` has answered (through `wake`). */
  port?: MessagePort;
  trace?: boolean;
}

const port = parentPort as MessagePort;
const data = workerData as ServeMemory;
const waiting: (() => void)[] = [];

const server = new FuseServer({
  onError: (error) => port.postMessage({ error: String(error) }),
  onWake: () => {
    while (data.port !== undefined && receiveMessageOnPort(data.port) !== undefined) waiting.shift()?.();
  },
});

for (const fd of data.fds) {
  const fileSystem = new MemoryFileSystem();
  const helper = data.port;
  if (helper !== undefined) {
    fileSystem.delay = () => new Promise((resolve) => {
      waiting.push(resolve);
      helper.postMessage('work');
    });
  }
  server.add({
    fd, fileSystem, wanted: data.wanted,
    onEnd: () => port.postMessage({ ended: fd, destroyed: fileSystem.destroyed }),
    ...(data.trace === true ? { trace: (line: string) => writeSync(2, `${line}\n`) } : {}),
  });
  // Changes that come from somewhere else than the mount, to be announced.
  port.on('message', (change: { fd: number; write: string }) => {
    if (change.fd !== fd) return;
    const node = [...fileSystem.nodes.values()].find((candidate) => candidate.data.length > 0);
    if (node === undefined) return;
    fileSystem.write(node.id, 0, 0, Buffer.from(change.write));
    void fileSystem.kernel?.invalidateNode(node.id, 0, 0);
    fileSystem.kernel?.invalidateEntry(1, 'absent');
  });
}
port.postMessage({ wakeFd: server.wakeFd });
await server.run({ untilIdle: true });
port.close();
