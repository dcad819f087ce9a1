import { UfsError } from '../errors.ts';

const DEPTH_MAX = 64;

/**
 * JSON from somebody else's image. One document must not mean different things to different readers, so a key that comes twice in one object is refused, and so is
 * nesting deeper than any image needs.
 */
export function parseStrictJson(bytes: Buffer, what: string): unknown {
  const refuse = (reason: string): UfsError => new UfsError('UFS_IMAGE_INVALID', `Cannot read ${what}: ${reason}`);
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    checkDepth(text);
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw refuse(`the key "${twice}" comes twice`);
  return value;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs;

function checkDepth(text: string): void {
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    if (depth > DEPTH_MAX) throw new Error(`it is nested over ${DEPTH_MAX} deep`);
  }
}

/** A key that comes twice in one object of a valid document, whatever the case of its letters: some readers don't look at that. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const key = JSON.parse(last) as string;
      const keys = open.at(-1);
      if (keys?.has(key.toLowerCase())) return key;
      keys?.add(key.toLowerCase());
    }
    last = token;
  }
  return undefined;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** The value as an object; {} where it isn't one. */
export function jsonObject(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

export function jsonArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value as a string; '' where it isn't one. */
export function jsonString(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
