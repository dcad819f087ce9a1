import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { nameFromText } from '../../fs/name.ts';
import { MountClient } from '../../src/mount/mount-client.ts';
import type { MountSpec } from '../../src/mount/spec.ts';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

describe('a mount server', { skip: needsRootAndFuse }, () => {
  const inBench = async (use: (bench: Bench, open: (store?: string) => Promise<MountClient>, said: string[]) => Promise<void>): Promise<void> => {
    const bench = new Bench();
    bench.sh('mkdir store other m low; echo low >low/f');
    const said: string[] = [];
    try {
      await use(bench, (store = 'store') => MountClient.open({ socket: bench.path('run/mounts.sock'), serves: bench.path(store), logFile: bench.path('mounts.log'), log: (message) => said.push(message) }), said);
    } finally {
      bench.close();
    }
  };
  const spec = (bench: Bench): MountSpec => ({ target: nameFromText(bench.path('m')), lower: { kind: 'directories', paths: [nameFromText(bench.path('low'))] }, passthrough: 'auto', mount: {} });
  const isThere = (bench: Bench): boolean => fs.existsSync(bench.path('run/mounts.sock'));

  test('mounts outlive a client, and another finds them; the server ends with the last mount and client', async () => {
    await inBench(async (bench, open) => {
      const first = await open();
      await first.mount(spec(bench));
      await first.close();
      assert.equal(fs.readFileSync(bench.path('m/f'), 'utf8'), 'low\n');
      const second = await open();
      const [found, ...others] = second.mounts();
      assert.deepEqual([found?.spec, others], [spec(bench), []]);
      bench.sh('umount m');
      await until(() => second.mounts().length === 0, 'the client has heard that it is unmounted');
      await found?.ended;
      assert.ok(isThere(bench), 'it has a client');
      await second.close();
      await until(() => !isThere(bench), 'it has ended');
    });
  });

  test('why something can not be mounted is told, and it goes on', async () => {
    await inBench(async (bench, open) => {
      const client = await open();
      await assert.rejects(client.mount({ ...spec(bench), target: nameFromText(bench.path('missing')) }), { code: 'UFS_MOUNT', message: /missing/ });
      await assert.rejects(client.mount({ ...spec(bench), lower: { kind: 'layer', store: bench.path('store'), layer: 'none' } }), /store\.json/);
      assert.deepEqual(mountsBelow(bench.directory), []);
      await client.mount(spec(bench));
      bench.sh('umount m');
      await client.close();
    });
  });

  test('another store, or another version, is refused and its mounts stay', async () => {
    await inBench(async (bench, open) => {
      const client = await open();
      await client.mount(spec(bench));
      await assert.rejects(open('other'), { code: 'UFS_STORE_IN_USE', message: /serves mounts of .*\/store; each store needs a run directory of its own/ });
      assert.equal(fs.readFileSync(bench.path('m/f'), 'utf8'), 'low\n');
      bench.sh('umount m');
      await client.close();
    });
    await inBench(async (bench, open) => {
      fs.mkdirSync(bench.path('run'));
      const newer = createServer((socket) => socket.write(`${JSON.stringify({ kind: 'hello', protocol: 99, serves: bench.path('store'), pid: 7 })}\n`));
      await once(newer.listen(bench.path('run/mounts.sock')), 'listening');
      await assert.rejects(open(), { code: 'UFS_STORE_IN_USE', message: /process 7 is of another version/ });
      newer.close();
    });
  });

  test('what is no message, or a client that goes without hearing the answer, ends the connection alone', async () => {
    await inBench(async (bench, open) => {
      const client = await open();
      await client.mount(spec(bench));
      bench.sh(`node -e 'const s = require("net").connect("run/mounts.sock", () => s.write("{nonsense\\n")); s.on("close", () => process.exit(0)); s.resume()'`);
      for (let count = 0; count < 20; count += 1) {
        const socket = connect(bench.path('run/mounts.sock'));
        await once(socket, 'connect');
        await new Promise((sent) => socket.write('{"call":1}\n', sent));
        socket.destroy();
      }
      assert.equal(fs.readFileSync(bench.path('m/f'), 'utf8'), 'low\n');
      bench.sh('umount m');
      await client.close();
    });
  });
});
