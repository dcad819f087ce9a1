import { errnoName } from '../errno.ts';
import { nameToText } from '../name.ts';
import type { Request } from './decode.ts';
import { FATTR, flagNames, INIT, INIT2 } from './flags.ts';
import { OPCODE, opcodeName } from './opcode.ts';

/** "LOOKUP #1c node 1 uid 0 gid 0 pid 77: "etc"": one line a request, for traces. */
export function printRequest(request: Request): string {
  const head = `${opcodeName(request.opcode)} #${unique(request)} node ${request.nodeid} uid ${request.uid} gid ${request.gid} pid ${request.pid}`;
  return request.body === undefined ? head : `${head}: ${printBody(request)}`;
}

/** "-> #1c 128 bytes" or "-> #1c ENOENT"; `errno` is 0 or a positive number. */
export function printReply(request: Request, bodyLength: number, errno: number): string {
  return `-> #${unique(request)} ${errno === 0 ? `${bodyLength} bytes` : errnoName(errno)}`;
}

function unique(request: Request): string {
  return ((BigInt(request.uniqueHigh) << 32n) | BigInt(request.uniqueLow)).toString(16);
}

function printBody(request: Request): string {
  return printValue(request.body, (key, value) => {
    if (request.opcode === OPCODE.SETATTR && key === 'valid') return flagNames(FATTR, value);
    if (request.opcode === OPCODE.INIT && key === 'flags') return flagNames(INIT, value);
    if (request.opcode === OPCODE.INIT && key === 'flags2') return flagNames(INIT2, value);
    return /mode|mask/.test(key) ? `0${value.toString(8)}` : String(value);
  });
}

function printValue(value: unknown, number: (key: string, value: number) => string, key = ''): string {
  if (typeof value === 'string') return `"${nameToText(value)}"`;
  if (typeof value === 'number') return number(key, value);
  if (Buffer.isBuffer(value)) return `<${value.length} bytes>`;
  if (Array.isArray(value)) return `[${value.map((item) => printValue(item, number)).join(', ')}]`;
  return `{${Object.entries(value as object).map(([name, item]) => `${name}: ${printValue(item, number, name)}`).join(', ')}}`;
}
