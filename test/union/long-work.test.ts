import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { appendFile, lstat, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { close, openPath } from '../../fs/host/at.ts';
import { O_RDONLY } from '../../fs/host/constants.ts';
import { addressOf } from '../../fs/host/native.ts';
import { eventfd, signalEventfd } from '../../fs/host/process.ts';
import { nameFromText } from '../../fs/name.ts';
import { Helpers } from '../../fs/union/helpers.ts';
import { mountUnion } from '../helpers/mount.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { mountMemory } from '../transport/mount-and-exercise.ts';

const skip = needsRootAndFuse;
const SIZE = 1 << 20;

/** A mounted directory whose files are read only when they are let: the slowest disk there is. */
async function slowDirectory(): Promise<{ directory: string; asked: (count: number) => Promise<void>; letAll: () => void; end: () => Promise<void> }> {
  const { port1, port2 } = new MessageChannel();
  const mounted = await mountMemory({}, { port: port2, wanted: { passthrough: false, writebackCache: false } });
  for (const name of ['a', 'b', 'c', 'd']) {
    await writeFile(join(mounted.directory, name), '');
    // Not written: nothing of it is in memory.
    await truncate(join(mounted.directory, name), SIZE);
  }
  let waiting = 0;
  let open = false;
  let changed = (): void => {};
  const answer = (): void => {
    for (; open && waiting > 0; waiting -= 1) port1.postMessage('go on');
    signalEventfd(mounted.wakeFd);
  };
  port1.on('message', () => {
    waiting += 1;
    if (open) answer();
    changed();
  });
  return {
    directory: mounted.directory,
    asked: async (count) => {
      while (waiting < count) await new Promise<void>((resolve) => (changed = resolve));
    },
    letAll: () => {
      open = true;
      answer();
    },
    end: async () => {
      await mounted.end();
      port1.close();
    },
  };
}

for (const passthrough of ['auto', 'never'] as const) {
  test(`a stat is answered while a read waits for a lower file's disk, passthrough=${passthrough}`, { skip, timeout: 60_000 }, async () => {
    const slow = await slowDirectory();
    const upper = mkdtempSync(join(tmpdir(), 'ufs-upper-'));
    const mounted = await mountUnion({ lowers: [slow.directory], upper, passthrough });
    try {
      const reading = readFile(join(mounted.path, 'a'));
      await slow.asked(1);
      assert.equal((await lstat(join(mounted.path, 'b'))).size, SIZE);
      await writeFile(join(mounted.path, 'new'), 'x');
      slow.letAll();
      assert.deepEqual(await reading, Buffer.alloc(SIZE));
    } finally {
      slow.letAll();
      await mounted.close();
      await slow.end();
      for (const path of [upper, `${upper}.work`]) rmSync(path, { recursive: true, force: true });
    }
  });
}

test('a stat is answered while files are copied up, and a read doesn\'t queue behind them', { skip, timeout: 60_000 }, async () => {
  const slow = await slowDirectory();
  const upper = mkdtempSync(join(tmpdir(), 'ufs-upper-'));
  const mounted = await mountUnion({ lowers: [slow.directory], upper, passthrough: 'never' });
  try {
    const files = await Promise.all(['a', 'd'].map((name) => open(join(mounted.path, name))));
    const appending = ['b', 'c'].map((name) => appendFile(join(mounted.path, name), 'more'));
    await slow.asked(2);
    assert.equal((await lstat(join(mounted.path, 'b'))).size, SIZE);
    const reading = files[0]?.read(Buffer.alloc(10), 0, 10, 0);
    await slow.asked(3);
    slow.letAll();
    assert.equal((await reading)?.bytesRead, 10);
    await Promise.all(appending);
    assert.equal((await lstat(join(mounted.path, 'b'))).size, SIZE + 4);
    await Promise.all(files.map((file) => file.close()));
  } finally {
    slow.letAll();
    await mounted.close();
    await slow.end();
    for (const path of [upper, `${upper}.work`]) rmSync(path, { recursive: true, force: true });
  }
});

test('a file that is closed while a helper thread reads it is read to its end', { skip, timeout: 60_000 }, async () => {
  const slow = await slowDirectory();
  const wakeFd = eventfd();
  const helpers = new Helpers({ wakeFd });
  try {
    const into = Buffer.allocUnsafeSlow(SIZE).fill(1);
    const fd = openPath(nameFromText(join(slow.directory, 'a')), O_RDONLY);
    const job = helpers.run({ kind: 'read', fd, address: addressOf(into), length: SIZE, offset: 0 }, into);
    await slow.asked(1);
    close(fd);
    slow.letAll();
    let done: number | undefined;
    job.then((value) => (done = value));
    while (done === undefined) {
      helpers.drain();
      await new Promise(setImmediate);
    }
    assert.equal(done, SIZE);
    assert.deepEqual(into, Buffer.alloc(SIZE));
  } finally {
    slow.letAll();
    await helpers.close();
    close(wakeFd);
    await slow.end();
  }
});
