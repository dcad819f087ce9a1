import type { IncomingMessage } from 'node:http';
import { BadRequest } from './bad-request.ts';
import type { CreateOptions, IdMap, InitOptions } from './graph-driver.ts';
import { bodyOf } from './request-body.ts';

/** Bytes a JSON message may have: Docker's are a few hundred. */
const MESSAGE_MAX = 1 << 20;
/** Docker's ids are 64 hex digits, some with "-init", BuildKit's 25 letters and digits. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/;
/** Bytes a file's name may have. */
const NAME_MAX = 255;

/** A message's fields, by their names in lower case: Go takes any case. */
export type Message = ReadonlyMap<string, unknown>;

/** The JSON object a request carries. Docker's retries after a lost connection have empty bodies, which are refused where anything is needed of them. */
export async function readMessage(request: IncomingMessage): Promise<Message> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of bodyOf(request)) {
    size += piece.length;
    if (size > MESSAGE_MAX) throw new BadRequest(`Cannot take a message of more than ${MESSAGE_MAX} bytes`, { status: 413 });
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString().trim();
  if (text === '') return new Map();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BadRequest(`Cannot read the message: ${(cause as Error).message}`, { cause });
  }
  return fields(value, 'the message');
}

function fields(value: unknown, what: string): Message {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new BadRequest(`Cannot read ${what}: not a JSON object`);
  return new Map(Object.entries(value).map(([key, field]) => [key.toLowerCase(), field]));
}

function text(message: Message, key: string): string {
  const value = message.get(key.toLowerCase()) ?? '';
  if (typeof value !== 'string') throw new BadRequest(`Cannot read ${key}: not a string`);
  return value;
}

/** The layer a request is about: never a default, because a retried request has lost it. */
export function idOf(message: Message): string {
  return checkId(text(message, 'ID'), 'ID');
}

/** Another layer, where one is named. */
export function parentOf(message: Message): string | undefined {
  const parent = text(message, 'Parent');
  return parent === '' ? undefined : checkId(parent, 'Parent');
}

export function checkId(id: string, what: string): string {
  if (!ID.test(id)) throw new BadRequest(id === '' ? `Cannot tell which layer is meant: ${what} is missing` : `Cannot use ${JSON.stringify(id.slice(0, 300))} as ${what}: only letters, digits and _ . - are allowed, 255 at most`);
  return id;
}

export function mountLabelOf(message: Message): string {
  return text(message, 'MountLabel');
}

export function createOptions(message: Message): CreateOptions {
  return { parent: parentOf(message), mountLabel: mountLabelOf(message), storageOptions: optionsOf(message, 'StorageOpt', 'storage option') };
}

/** Options by their names; null, or nothing, is none. */
function optionsOf(message: Message, key: string, what: string): Record<string, string> {
  const given = message.get(key.toLowerCase()) ?? {};
  const found: Record<string, string> = Object.create(null) as Record<string, string>;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new BadRequest(`Cannot read ${key}: not a JSON object`);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== 'string') throw new BadRequest(`Cannot read the ${what} ${name}: not a string`);
    found[name] = value;
  }
  return found;
}

/** The volume a request is about, by moby's rule for names (daemon/names/names.go). It has no limit of their length, but drivers make files of them. */
export function volumeNameOf(message: Message): string {
  const name = text(message, 'Name');
  if (name === '') throw new BadRequest('Cannot tell which volume is meant: Name is missing');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new BadRequest(`Cannot use ${JSON.stringify(name.slice(0, 300))} as name of a volume: it needs two characters or more, only letters, digits and _ . - are allowed, and the first is a letter or a digit`);
  }
  if (name.length > NAME_MAX) throw new BadRequest(`Cannot use ${JSON.stringify(`${name.slice(0, 30)}…`)} as name of a volume: it has ${name.length} characters, and ${NAME_MAX} are allowed`);
  return name;
}

/** Who mounts a volume, or gives it back. */
export function holderOf(message: Message): string {
  const id = text(message, 'ID');
  if (id === '') throw new BadRequest('Cannot tell who uses the volume: ID is missing');
  return checkId(id, 'ID');
}

export function volumeOptions(message: Message): Record<string, string> {
  return optionsOf(message, 'Opts', 'option');
}

export function initOptions(message: Message): InitOptions {
  const options = message.get('opts') ?? [];
  if (!Array.isArray(options) || options.some((option) => typeof option !== 'string')) throw new BadRequest('Cannot read Opts: not a list of strings');
  const home = text(message, 'Home');
  if (home === '') throw new BadRequest('Cannot start: Home is missing');
  return { home, options: options as string[], uidMaps: idMaps(message, 'UIDMaps'), gidMaps: idMaps(message, 'GIDMaps') };
}

/** The daemon spells them container_id, the documentation ContainerID. */
function idMaps(message: Message, key: string): IdMap[] {
  const maps = message.get(key.toLowerCase()) ?? [];
  if (!Array.isArray(maps)) throw new BadRequest(`Cannot read ${key}: not a list`);
  return maps.map((map: unknown) => {
    const found = fields(map, `a map of ${key}`);
    const number = (...spellings: string[]): number => {
      const value = spellings.map((spelling) => found.get(spelling)).find((each) => each !== undefined);
      if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > 2 ** 32) throw new BadRequest(`Cannot read ${key}: ${spellings[0]} is no id`);
      return value as number;
    };
    return { containerId: number('container_id', 'containerid'), hostId: number('host_id', 'hostid'), size: number('size') };
  });
}
