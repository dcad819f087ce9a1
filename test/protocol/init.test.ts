import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INIT, INIT2 } from '../../fs/protocol/flags.ts';
import { negotiate } from '../../fs/protocol/init.ts';

const ALL = 0xffff_ffff;
const NEW = { major: 7, minor: 45, max_readahead: 131072, flags: ALL, flags2: ALL };
const BOTH = { passthrough: true, writebackCache: true };

function agree(kernel: typeof NEW, wanted = BOTH) {
  const result = negotiate(kernel, wanted);
  if (result.outcome !== 'agreed') assert.fail('asked for INIT again');
  return result;
}

test('passthrough goes before the writeback cache, with a stack depth of 1', () => {
  const { out, agreed } = agree(NEW);
  assert.equal(agreed.passthrough, true);
  assert.equal(agreed.writebackCache, false);
  assert.equal(out.flags & INIT.WRITEBACK_CACHE, 0);
  assert.notEqual(out.flags2 & INIT2.PASSTHROUGH, 0);
  assert.equal(out.max_stack_depth, 1);
});

test('a kernel without passthrough gets the writeback cache where it is allowed', () => {
  const old = { ...NEW, minor: 39, flags2: ALL & ~INIT2.PASSTHROUGH };
  assert.deepEqual([agree(old).agreed.passthrough, agree(old).agreed.writebackCache, agree(old).out.max_stack_depth], [false, true, 0]);
  assert.equal(agree(old, { passthrough: true, writebackCache: false }).agreed.writebackCache, false);
});

test('nothing is asked that the kernel does not offer', () => {
  const { out, agreed } = agree({ major: 7, minor: 31, max_readahead: 131072, flags: INIT.ASYNC_READ, flags2: ALL });
  assert.equal(out.flags, INIT.ASYNC_READ);
  assert.equal(out.flags2, 0, 'without INIT_EXT, flags2 is noise');
  assert.equal(agreed.setxattrExt, false);
  assert.equal(out.max_write, 128 * 1024, 'without MAX_PAGES a request has 32 pages');
});

test('requests of 1 MiB, umasks, ACLs and kernel locks are as the union needs them', () => {
  const { out, agreed } = agree(NEW);
  assert.deepEqual([out.max_write, out.max_pages, out.time_gran], [1 << 20, 256, 1]);
  for (const flag of ['DONT_MASK', 'POSIX_ACL', 'HANDLE_KILLPRIV_V2', 'ATOMIC_O_TRUNC', 'CACHE_SYMLINKS', 'EXPLICIT_INVAL_DATA'] as const) {
    assert.notEqual(out.flags & INIT[flag], 0, flag);
  }
  for (const flag of ['POSIX_LOCKS', 'FLOCK_LOCKS', 'AUTO_INVAL_DATA', 'EXPORT_SUPPORT', 'NO_OPEN_SUPPORT'] as const) assert.equal(out.flags & INIT[flag], 0, flag);
  assert.equal(agreed.minor, 45);
});

test('a newer major is asked to speak ours; an older protocol is refused', () => {
  const again = negotiate({ ...NEW, major: 8 }, BOTH);
  assert.deepEqual([again.outcome, again.out.major], ['again', 7]);
  assert.throws(() => negotiate({ ...NEW, minor: 30 }, BOTH), { code: 'EPROTO' });
  assert.throws(() => negotiate({ ...NEW, major: 6 }, BOTH), { code: 'EPROTO' });
});
