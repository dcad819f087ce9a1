/**
 * A C struct as a table of fields: it sizes, reads and writes. Its reader and writer are compiled once, to straight-line code.
 * u64 and i64 are numbers here (offsets, sizes, ids: below 2^53, which `read` doesn't check); what can be larger and is only carried is `opaque`.
 */
export type FieldType = 'u16' | 'u32' | 'i32' | 'u64' | 'i64' | Opaque | AnyStruct;
export type Fields = Readonly<Record<string, FieldType>>;

/** A struct of whatever fields, inside another. */
interface AnyStruct {
  readonly size: number;
  readonly fields: Fields;
  read(view: DataView, offset: number): unknown;
  write(view: DataView, offset: number, value: never): void;
}

/** Bytes that are neither read nor (but as zeros) written. */
export interface Opaque {
  readonly bytes: number;
}

export function opaque(bytes: number): Opaque {
  return { bytes };
}

type KeysOf<F extends Fields> = { [K in keyof F]: F[K] extends Opaque ? never : K }[keyof F];
/** The value of a table of fields. */
export type ValueOf<F extends Fields> = { [K in KeysOf<F>]: F[K] extends Struct<infer G> ? ValueOf<G> : number };
/** The value of a struct: `Value<typeof fuse_read_in>`. */
export type Value<S> = S extends Struct<infer F> ? ValueOf<F> : never;

export interface Struct<F extends Fields> {
  readonly size: number;
  readonly fields: F;
  /** The caller has checked that `size` bytes are there. */
  read(view: DataView, offset: number): ValueOf<F>;
  write(view: DataView, offset: number, value: ValueOf<F>): void;
}

const SIZES = { u16: 2, u32: 4, i32: 4, u64: 8, i64: 8 } as const;
const TWO_32 = '4294967296';

function readCode(type: string, at: string, high: string): string {
  switch (type) {
    case 'u16': return `view.getUint16(${at}, true)`;
    case 'u32': return `view.getUint32(${at}, true)`;
    case 'i32': return `view.getInt32(${at}, true)`;
    case 'u64': return `view.getUint32(${at}, true) + view.getUint32(${high}, true) * ${TWO_32}`;
    default: return `view.getUint32(${at}, true) + view.getInt32(${high}, true) * ${TWO_32}`;
  }
}

function writeCode(type: string, at: string, high: string, value: string): string {
  switch (type) {
    case 'u16': return `view.setUint16(${at}, ${value}, true);`;
    case 'u32': return `view.setUint32(${at}, ${value}, true);`;
    case 'i32': return `view.setInt32(${at}, ${value}, true);`;
    // setUint32 takes a value modulo 2^32, of negative ones too, so the low half needs no arithmetic.
    default: return `view.setUint32(${at}, ${value}, true); view.setInt32(${high}, Math.floor(${value} / ${TWO_32}), true);`;
  }
}

/** Makes a struct. Fields lie one behind the other: the tables write their padding out, as linux/fuse.h does. */
export function struct<const F extends Fields>(fields: F): Struct<F> {
  const reads: string[] = [];
  const writes: string[] = [];
  const nested: AnyStruct[] = [];
  let size = 0;
  for (const [name, type] of Object.entries(fields)) {
    const at = `offset + ${size}`;
    const value = `value.${name}`;
    if (typeof type === 'string') {
      reads.push(`${name}: ${readCode(type, at, `offset + ${size + 4}`)}`);
      writes.push(writeCode(type, at, `offset + ${size + 4}`, value));
      size += SIZES[type];
    } else if ('bytes' in type) {
      for (let done = 0; done < type.bytes; done += 2) writes.push(`view.setUint16(offset + ${size + done}, 0, true);`);
      size += type.bytes;
    } else {
      reads.push(`${name}: nested[${nested.length}].read(view, ${at})`);
      writes.push(`nested[${nested.length}].write(view, ${at}, ${value});`);
      nested.push(type);
      size += type.size;
    }
  }
  const compile = new Function('nested', `return {
    read(view, offset) { return { ${reads.join(', ')} }; },
    write(view, offset, value) { ${writes.join(' ')} },
  };`);
  return { size, fields, ...(compile(nested) as Pick<Struct<F>, 'read' | 'write'>) };
}
