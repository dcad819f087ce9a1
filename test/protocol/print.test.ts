import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../fs/protocol/decode.ts';
import { OPCODE } from '../../fs/protocol/opcode.ts';
import { printReply, printRequest } from '../../fs/protocol/print.ts';
import { bytes, request } from './bytes.ts';

test('a request prints as one line that names its fields as the kernel does', () => {
  const lookup = decode(request(OPCODE.LOOKUP, bytes('61 0a 00')));
  assert.equal(printRequest(lookup), 'LOOKUP #deadbeefbaadf00d node 1 uid 1000 gid 1001 pid 77: "a\\x0a"');
  const mkdir = decode(request(OPCODE.MKDIR, bytes('ed 01 00 00  12 00 00 00  61 00')));
  assert.match(printRequest(mkdir), /: \{in: \{mode: 0755, umask: 022\}, name: "a"\}$/);
  assert.equal(printReply(lookup, 0, 2), '-> #deadbeefbaadf00d ENOENT');
  assert.equal(printReply(lookup, 128, 0), '-> #deadbeefbaadf00d 128 bytes');
});
