import assert from 'node:assert/strict';
import fs from 'node:fs';
import { fails, file, link, text, withFile } from '../case.ts';
import type { PosixCase, PosixCases } from '../case.ts';
import { endOtherProcess, inOtherProcess, otherPid } from '../other-process.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK, flock, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, lockHolder, lockRange } from '../system.ts';

/** Runs with a file open here and, as 'f', in another process. */
async function both(path: string, flags: string, use: (fd: number) => Promise<void>): Promise<void> {
  const fd = fs.openSync(path, flags);
  try {
    await inOtherProcess({ do: 'open', hold: 'f', path, flags });
    await use(fd);
    await inOtherProcess({ do: 'close', hold: 'f' });
  } finally {
    fs.closeSync(fd);
  }
}

function withLockFile(run: (dir: string, path: string) => Promise<void>): PosixCase {
  return { fixture: { f: file('content') }, run: (dir) => run(dir, `${dir}/f`) };
}

export const lockCases: PosixCases = {
  'flock between processes: shared ones go together, an exclusive one alone': withLockFile((_dir, path) => both(path, 'r+', async (fd) => {
    flock(fd, LOCK_SH);
    assert.equal(await inOtherProcess({ do: 'flock', hold: 'f', operation: LOCK_SH | LOCK_NB }), 'done');
    fails('EAGAIN', () => flock(fd, LOCK_EX | LOCK_NB));
    assert.equal(await inOtherProcess({ do: 'flock', hold: 'f', operation: LOCK_UN }), 'done');
    flock(fd, LOCK_EX | LOCK_NB);
    assert.equal(await inOtherProcess({ do: 'flock', hold: 'f', operation: LOCK_SH | LOCK_NB }), 'EAGAIN');
    flock(fd, LOCK_UN);
  })),
  'an flock goes with the process that holds it': withLockFile(async (_dir, path) => {
    await inOtherProcess({ do: 'open', hold: 'f', path, flags: 'r+' });
    assert.equal(await inOtherProcess({ do: 'flock', hold: 'f', operation: LOCK_EX | LOCK_NB }), 'done');
    withFile(path, 'r+', (fd) => fails('EAGAIN', () => flock(fd, LOCK_EX | LOCK_NB)));
    await endOtherProcess();
    withFile(path, 'r+', (fd) => flock(fd, LOCK_EX | LOCK_NB));
  }),
  'record locks between processes are of ranges, and tell who holds them': withLockFile((_dir, path) => both(path, 'r+', async (fd) => {
    assert.equal(await inOtherProcess({ do: 'lock', hold: 'f', owner: 'process', type: F_WRLCK, start: 10, length: 10 }), 'done');
    fails('EAGAIN', () => lockRange(fd, 'process', F_WRLCK, 15, 10));
    fails('EAGAIN', () => lockRange(fd, 'process', F_RDLCK, 0, 11));
    lockRange(fd, 'process', F_WRLCK, 20, 10);
    lockRange(fd, 'process', F_WRLCK, 0, 10);
    assert.deepEqual([lockHolder(fd, F_WRLCK, 0, 100), lockHolder(fd, F_WRLCK, 0, 10)], [otherPid(), undefined]);
    assert.equal(await inOtherProcess({ do: 'holder', hold: 'f', type: F_RDLCK, start: 25, length: 1 }), process.pid);
    assert.equal(await inOtherProcess({ do: 'lock', hold: 'f', owner: 'process', type: F_UNLCK }), 'done');
    lockRange(fd, 'process', F_WRLCK);
  })),
  'a record lock of a process goes when it closes any descriptor of the file': withLockFile((_dir, path) => both(path, 'r+', async (fd) => {
    lockRange(fd, 'process', F_WRLCK);
    assert.equal(await inOtherProcess({ do: 'lock', hold: 'f', owner: 'process', type: F_WRLCK }), 'EAGAIN');
    withFile(path, 'r', () => undefined);
    assert.equal(await inOtherProcess({ do: 'lock', hold: 'f', owner: 'process', type: F_WRLCK }), 'done');
  })),
  'a record lock of an open file holds against the same process, until that file is closed': withLockFile(async (_dir, path) => {
    withFile(path, 'r+', (first) => {
      lockRange(first, 'description', F_WRLCK, 0, 5);
      withFile(path, 'r+', (second) => {
        fails('EAGAIN', () => lockRange(second, 'description', F_WRLCK, 4, 1));
        lockRange(second, 'description', F_WRLCK, 5, 1);
      });
      withFile(path, 'r', (third) => fails('EAGAIN', () => lockRange(third, 'description', F_RDLCK, 0, 1)));
    });
    await both(path, 'r+', async (fd) => {
      lockRange(fd, 'description', F_WRLCK);
      assert.equal(await inOtherProcess({ do: 'lock', hold: 'f', owner: 'process', type: F_RDLCK }), 'EAGAIN');
    });
  }),
  'a lock is on the file, by whatever name, through renames': {
    fixture: { a: file('x'), b: link('a') },
    async run(dir) {
      const fd = fs.openSync(`${dir}/a`, 'r+');
      try {
        flock(fd, LOCK_EX);
        lockRange(fd, 'process', F_WRLCK);
        fs.renameSync(`${dir}/a`, `${dir}/c`);
        for (const name of ['b', 'c']) {
          await inOtherProcess({ do: 'open', hold: name, path: `${dir}/${name}`, flags: 'r+' });
          assert.equal(await inOtherProcess({ do: 'flock', hold: name, operation: LOCK_EX | LOCK_NB }), 'EAGAIN');
          assert.equal(await inOtherProcess({ do: 'lock', hold: name, owner: 'process', type: F_WRLCK }), 'EAGAIN');
          await inOtherProcess({ do: 'close', hold: name });
        }
      } finally {
        fs.closeSync(fd);
      }
    },
  },
  'a lock taken while the file was open for reading alone holds when it is written to': withLockFile(async (_dir, path) => {
    const fd = fs.openSync(path, 'r');
    try {
      flock(fd, LOCK_EX);
      lockRange(fd, 'process', F_RDLCK);
      await inOtherProcess({ do: 'open', hold: 'f', path, flags: 'r+' });
      assert.equal(await inOtherProcess({ do: 'flock', hold: 'f', operation: LOCK_EX | LOCK_NB }), 'EAGAIN');
      assert.equal(await inOtherProcess({ do: 'lock', hold: 'f', owner: 'process', type: F_WRLCK }), 'EAGAIN');
      await inOtherProcess({ do: 'close', hold: 'f' });
    } finally {
      fs.closeSync(fd);
    }
  }),
  'a lock on an unlinked file isn\'t one on the new file of its name': withLockFile(async (dir, path) => {
    const fd = fs.openSync(path, 'r+');
    try {
      flock(fd, LOCK_EX);
      fs.unlinkSync(path);
      fs.writeFileSync(path, 'new');
      await inOtherProcess({ do: 'open', hold: 'f', path, flags: 'r+' });
      assert.equal(await inOtherProcess({ do: 'flock', hold: 'f', operation: LOCK_EX | LOCK_NB }), 'done');
      await inOtherProcess({ do: 'close', hold: 'f' });
      assert.equal(text(`${dir}/f`), 'new');
    } finally {
      fs.closeSync(fd);
    }
  }),
  'another process reads what this one wrote, before any close or sync': withLockFile((_dir, path) => both(path, 'r+', async (fd) => {
    fs.writeSync(fd, 'CON', 0);
    assert.equal(await inOtherProcess({ do: 'read', hold: 'f' }), 'CONtent');
  })),
};
