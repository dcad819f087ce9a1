import type { Mount } from '../../src/index.ts';

export interface OptionCase {
  value: string;
  /** Absent where it is refused. */
  mount?: Mount;
  /** The whole error. */
  error?: string;
  /** What the command line of 20.10 says instead; '' where it takes it, whatever it makes of it. */
  older?: string;
}

/** Relative sources are below it. */
export const DIRECTORY = '/some/where';

const takes = (value: string, mount: Partial<Mount>, rest: Partial<OptionCase> = {}): OptionCase => ({ value, mount: { type: 'volume', ...mount }, ...rest });
const refuses = (value: string, error: string, older?: string): OptionCase => ({ value, error, ...(older === undefined ? {} : { older }) });
const bind = (rest: Partial<Mount> = {}): Mount => ({ type: 'bind', source: '/source', target: '/target', ...rest });
const BIND = 'type=bind,src=/source,dst=/target';
const VOLUME = 'type=volume,dst=/target';
const TMPFS = 'type=tmpfs,dst=/target';
const OLD_TARGET = 'target is required';

const KEYS: OptionCase[] = [
  ...['src', 'source', 'SRC', 'Source'].flatMap((source) => ['dst', 'target', 'destination', 'DST', 'Destination'].map((target) => takes(`type=bind,${source}=/source,${target}=/target`, bind()))),
  ...['bind', 'BIND', 'Bind'].map((type) => takes(`type=${type},src=/source,dst=/target`, bind())), takes('dst=/target,src=/source,type=bind', bind()), takes(`TYPE=bind,src=/source,dst=/target`, bind()),
  takes('target=/target,source=/foo', { source: '/foo', target: '/target' }), takes('dst=/x', { target: '/x' }), takes('type=volume,src=name,dst=/x', { source: 'name', target: '/x' }), takes(TMPFS, { type: 'tmpfs', target: '/target' }),
  // The last one counts.
  takes('type=bind,src=/a,src=/b,dst=/c,dst=/d', bind({ source: '/b', target: '/d' })), takes('type=tmpfs,type=bind,src=/source,dst=/target', bind()), takes(`${BIND},ro,ro=false`, bind({ readOnly: false })), takes(`${BIND},readonly=0,ro`, bind({ readOnly: true })),
  // The daemon decides on types and targets.
  takes('type=image,src=x,dst=/x', { type: 'image', source: 'x', target: '/x' }), takes('type=nonsense,dst=/x', { type: 'nonsense', target: '/x' }), takes('type=bind', { type: 'bind' }, { older: OLD_TARGET }), takes('ro', { readOnly: true }, { older: OLD_TARGET }),
  takes('src=a=b,dst=/x=y', { source: 'a=b', target: '/x=y' }), takes('src=a:b,dst=/x:y', { source: 'a:b', target: '/x:y' }), takes('src=a b,dst=/x y', { source: 'a b', target: '/x y' }), takes('src=ü,dst=/日本', { source: 'ü', target: '/日本' }),
  takes('dst=relative', { target: 'relative' }), takes('dst=/', { target: '/' }), takes('dst=/a/../b/', { target: '/a/../b/' }), takes('src=/a/../b/,dst=/x', { source: '/a/../b/', target: '/x' }), takes('src=~/a,dst=/x', { source: '~/a', target: '/x' }), takes('src=c:\\a,dst=/x', { source: 'c:\\a', target: '/x' }),
  ...['consistent', 'cached', 'delegated', 'default', 'CACHED', 'nonsense'].map((word) => takes(`${BIND},consistency=${word}`, bind({ consistency: word.toLowerCase() }))),
];

const RELATIVE: OptionCase[] = ([['.', '/some/where'], ['./', '/some/where'], ['..', '/some'], ['../', '/some'], ['./a', '/some/where/a'], ['../a/', '/some/a'], ['.hidden', '/some/where/.hidden'], ['...', '/some/where/...'], ['./a/../b', '/some/where/b'], ['../../../..', '/']] as const).flatMap(([source, below]) => [
  takes(`type=bind,src=${source},dst=/target`, bind({ source: below }), { older: '' }), takes(`src=${source},dst=/target`, { source: below, target: '/target' }, { older: '' }),
]);

const boolean = (key: string, value: string): string => `invalid value for '${key}': invalid boolean value ("${value}"): must be one of "true", "1", "false", or "0" (default "true")`;
const BOOLEANS: OptionCase[] = ['ro', 'readonly', 'RO', 'ReadOnly'].flatMap((key) => [
  takes(`${BIND},${key}`, bind({ readOnly: true })), ...['1', 'true'].map((value) => takes(`${BIND},${key}=${value}`, bind({ readOnly: true }))), ...['0', 'false'].map((value) => takes(`${BIND},${key}=${value}`, bind({ readOnly: false }))),
  ...['no', 'yes', '2', 'ü'].map((value) => refuses(`${BIND},${key}=${value}`, boolean(key.toLowerCase(), value), `invalid value for ${key.toLowerCase()}: ${value}`)), ...['TRUE', 'False', 't'].map((value) => refuses(`${BIND},${key}=${value}`, boolean(key.toLowerCase(), value), '')),
]);

const NONRECURSIVE = 'bind-nonrecursive is deprecated, use bind-recursive=disabled instead';

const BINDS: OptionCase[] = [
  ...['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'nonsense', 'RSHARED'].map((word) => takes(`${BIND},bind-propagation=${word}`, bind({ bindOptions: { propagation: word.toLowerCase() } }))),
  refuses(`${BIND},bind-nonrecursive`, NONRECURSIVE, ''), refuses(`${BIND},bind-nonrecursive=true`, NONRECURSIVE, ''), refuses(`${BIND},bind-nonrecursive=x`, NONRECURSIVE, 'invalid value for bind-nonrecursive: x'),
  ...([
    ['bind-recursive=enabled', {}], ['bind-recursive=disabled', { bindOptions: { nonRecursive: true } }], ['bind-recursive=writable,ro', { readOnly: true, bindOptions: { readOnlyNonRecursive: true } }],
    ['bind-recursive=readonly,ro,bind-propagation=rprivate', { readOnly: true, bindOptions: { readOnlyForceRecursive: true, propagation: 'rprivate' } }], ['bind-create-src', { bindOptions: { createMountpoint: true } }], ['bind-create-src=1', { bindOptions: { createMountpoint: true } }],
    ['bind-create-src=true', { bindOptions: { createMountpoint: true } }], ['bind-create-src=0', { bindOptions: { createMountpoint: false } }], ['bind-create-src=false,bind-propagation=slave', { bindOptions: { createMountpoint: false, propagation: 'slave' } }],
  ] as const).map(([words, rest]) => takes(`${BIND},${words}`, bind(rest), { older: words === 'bind-create-src' ? "invalid field 'bind-create-src' must be a key=value pair" : `unexpected key '${words.split('=')[0]}' in '${words.split(',')[0]}'` })),
  ...([
    ['bind-recursive=writable', "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"], ['bind-recursive=readonly', "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction"],
    ['bind-recursive=readonly,ro', "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"], ['bind-recursive=readonly,ro,bind-propagation=private', "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"],
    ['bind-recursive=ENABLED', 'invalid value for bind-recursive: ENABLED (must be "enabled", "disabled", "writable", or "readonly")'], ['bind-recursive=constructor', 'invalid value for bind-recursive: constructor (must be "enabled", "disabled", "writable", or "readonly")'],
    ['bind-recursive=1', 'invalid value for bind-recursive: 1 (must be "enabled", "disabled", "writable", or "readonly")'], ['bind-create-src=no', boolean('bind-create-src', 'no')],
  ] as const).map(([words, error]) => refuses(`${BIND},${words}`, error, `unexpected key '${words.split('=')[0]}' in '${words.split(',')[0]}'`)),
  refuses(`${BIND},bind-recursive`, "invalid field 'bind-recursive' must be a key=value pair"), refuses(`${BIND},bind-foo=1`, "unknown option 'bind-foo' in 'bind-foo=1'", "unexpected key 'bind-foo' in 'bind-foo=1'"), refuses(`${BIND},bind-=1`, "unknown option 'bind-' in 'bind-=1'", "unexpected key 'bind-' in 'bind-=1'"),
];

const volume = (volumeOptions: Mount['volumeOptions']): Partial<Mount> => ({ target: '/target', volumeOptions });
const options = (entries: Record<string, string>): Partial<Mount> => volume({ driverConfig: { options: entries } });
const VOLUMES: OptionCase[] = [
  ...['volume-nocopy', 'volume-nocopy=1', 'volume-nocopy=true'].map((word) => takes(`${VOLUME},${word}`, volume({ noCopy: true }))), ...['volume-nocopy=0', 'volume-nocopy=false'].map((word) => takes(`${VOLUME},${word}`, volume({ noCopy: false }))),
  refuses(`${VOLUME},volume-nocopy=no`, boolean('volume-nocopy', 'no'), 'invalid value for volume-nocopy: no'),
  takes(`${VOLUME},volume-label=foo=foo-value`, volume({ labels: { foo: 'foo-value' } })), takes(`${VOLUME},volume-label=foo=a,volume-label=bar=b`, volume({ labels: { foo: 'a', bar: 'b' } })), takes(`${VOLUME},volume-label=foo=,volume-label=bar`, volume({ labels: { foo: '', bar: '' } })),
  takes(`${VOLUME},volume-label=a=b=c`, volume({ labels: { a: 'b=c' } })), takes(`${VOLUME},volume-label=a=1,volume-label=a=2`, volume({ labels: { a: '2' } })), takes(`${VOLUME},volume-label==x`, volume({}), { older: '' }),
  takes(`${VOLUME},volume-driver=my-driver`, volume({ driverConfig: { name: 'my-driver' } })), takes(`${VOLUME},volume-driver=vieux/sshfs:latest`, volume({ driverConfig: { name: 'vieux/sshfs:latest' } })), takes(`${VOLUME},volume-driver=a,volume-driver=b`, volume({ driverConfig: { name: 'b' } })),
  takes(`${VOLUME},volume-opt=foo=foo-value`, options({ foo: 'foo-value' })), takes(`${VOLUME},volume-opt=foo=a,volume-opt=bar=b`, options({ foo: 'a', bar: 'b' })), takes(`${VOLUME},volume-opt=foo=,volume-opt=bar`, options({ foo: '', bar: '' })), takes(`${VOLUME},volume-opt==x`, volume({ driverConfig: {} }), { older: '' }),
  takes(`${VOLUME},volume-opt=device=:/srv/nfs`, options({ device: ':/srv/nfs' })), takes(`${VOLUME},"volume-opt=o=addr=10.0.0.1,rw,nfsvers=4"`, options({ o: 'addr=10.0.0.1,rw,nfsvers=4' })), takes(`${VOLUME},volume-opt=Key=Value`, options({ Key: 'Value' })), takes(`${VOLUME},volume-opt=a=1,volume-opt=a=2`, options({ a: '2' })),
  takes(`${VOLUME},volume-driver=my-driver,volume-label=foo=a,volume-label=empty=,volume-opt=foo=b,volume-opt=empty=`, volume({ labels: { foo: 'a', empty: '' }, driverConfig: { name: 'my-driver', options: { foo: 'b', empty: '' } } })),
  takes(`${VOLUME},volume-label=a,volume-nocopy,ro`, { readOnly: true, ...volume({ labels: { a: '' }, noCopy: true }) }),
  takes(`${VOLUME},volume-subpath=a/b`, volume({ subpath: 'a/b' }), { older: "unexpected key 'volume-subpath' in 'volume-subpath=a/b'" }), takes(`${VOLUME},volume-subpath=../a`, volume({ subpath: '../a' }), { older: "unexpected key 'volume-subpath' in 'volume-subpath=../a'" }),
  ...['volume-label', 'volume-driver', 'volume-opt', 'volume-subpath'].map((key) => refuses(`${VOLUME},${key}`, `invalid field '${key}' must be a key=value pair`)), refuses(`${VOLUME},volume-size=1`, "unknown option 'volume-size' in 'volume-size=1'", "unexpected key 'volume-size' in 'volume-size=1'"),
];

const size = (sizeBytes: number): Partial<Mount> => ({ type: 'tmpfs', target: '/target', tmpfsOptions: { sizeBytes } });
const sizes = (older: string | undefined, ...pairs: [string, number][]): OptionCase[] => pairs.map(([text, bytes]) => takes(`${TMPFS},tmpfs-size=${text}`, size(bytes), older === undefined ? {} : { older: `invalid value for tmpfs-size: ${text}` }));
const K = 1024;
const SIZES: OptionCase[] = [
  ...sizes(undefined, ['0', 0], ['1', 1], ['1b', 1], ['1B', 1], ['1k', K], ['1K', K], ['1kb', K], ['1KB', K], ['1kib', K], ['1KiB', K], ['1m', K ** 2], ['1MB', K ** 2], ['1MiB', K ** 2], ['1g', K ** 3], ['1t', K ** 4], ['1p', K ** 5], ['64m', 64 * K ** 2], ['1.5g', 1.5 * K ** 3], ['1 k', K], ['1 kb', K], ['1.5 GiB', 1.5 * K ** 3],
    ['007', 7], ['1.9', 1], ['0.5k', 512], ['123456789', 123456789], ['4095p', 4095 * K ** 5]),
  ...sizes('newer', ['.5k', 512], ['5.', 5], ['5.k', 5 * K], ['+5', 5], ['1e3', 1000], ['1e3k', 1000 * K], ['1E+3', 1000], ['1e-3k', 1], ['-0', 0]),
  ...['foo', 'm', 'k1', '1x', '1kk', '1bb', '1kiB2', '-1', '-1k', '1.5.2', '.', '..', '1e', 'e3', 'inf', 'nan', 'Infinity', '1_000', '5  k', '5 5k', '1 000', '0x', '50%', '1kilobyte', '1mbs', 'ü', '１', '1e400', '٣'].map((text) => refuses(`${TMPFS},tmpfs-size=${text}`, `invalid value for tmpfs-size: ${text}`)),
  refuses(`${TMPFS},tmpfs-size=1ib`, 'invalid value for tmpfs-size: 1ib', ''),
  // 20.10 makes negative sizes of what takes more than 63 bits.
  ...['8192p', '99999999999999999999'].map((text) => refuses(`${TMPFS},tmpfs-size=${text}`, `invalid value for tmpfs-size: ${text}`, '')),
];

const mode = (bits: number): Partial<Mount> => ({ type: 'tmpfs', target: '/target', tmpfsOptions: { mode: bits } });
const MODES: OptionCase[] = [
  ...([['0', 0], ['700', 0o700], ['0700', 0o700], ['00700', 0o700], ['1777', 0o1777], ['7777', 0o7777], ['7', 7], ['37777777777', 0xffff_ffff]] as const).map(([text, bits]) => takes(`${TMPFS},tmpfs-mode=${text}`, mode(bits))),
  ...['foo', '8', '0o700', '0x1', '-1', '+7', '7.0', '7_7', '778', '40000000000', '1 7', 'u=rwx', '７'].map((text) => refuses(`${TMPFS},tmpfs-mode=${text}`, `invalid value for tmpfs-mode: ${text}`)),
  takes(`${TMPFS},tmpfs-size=1m,tmpfs-mode=0700,ro`, { type: 'tmpfs', target: '/target', readOnly: true, tmpfsOptions: { sizeBytes: K ** 2, mode: 0o700 } }), takes(`${TMPFS},tmpfs-size=1m,tmpfs-size=2m`, size(2 * K ** 2)), takes(`TMPFS-SIZE=1,${TMPFS}`, size(1)),
  ...['tmpfs-size', 'tmpfs-mode'].map((key) => refuses(`${TMPFS},${key}`, `invalid field '${key}' must be a key=value pair`)), ...['tmpfs-opt=exec', 'tmpfs-uid=0', 'tmpfs-=1'].map((field) => refuses(`${TMPFS},${field}`, `unknown option '${field.split('=')[0]}' in '${field}'`, `unexpected key '${field.split('=')[0]}' in '${field}'`)),
];

const MIXED: OptionCase[] = [
  ...['volume', 'tmpfs', 'nonsense'].map((type) => refuses(`type=${type},dst=/x,bind-propagation=shared`, `cannot mix 'bind-*' options with mount type '${type}'`)), ...['bind', 'tmpfs', 'nonsense'].map((type) => refuses(`type=${type},dst=/x,volume-nocopy`, `cannot mix 'volume-*' options with mount type '${type}'`)),
  ...['bind', 'volume', 'nonsense'].map((type) => refuses(`type=${type},dst=/x,tmpfs-size=1m`, `cannot mix 'tmpfs-*' options with mount type '${type}'`)), refuses('dst=/x,bind-propagation=shared,type=tmpfs', "cannot mix 'bind-*' options with mount type 'tmpfs'"), refuses('dst=/x,tmpfs-mode=0', "cannot mix 'tmpfs-*' options with mount type 'volume'"),
  refuses('type=bind,dst=/x,volume-label==x', "cannot mix 'volume-*' options with mount type 'bind'"), refuses('type=tmpfs,dst=/x,bind-propagation=shared,volume-nocopy', "cannot mix 'bind-*' options with mount type 'tmpfs'", "cannot mix 'volume-*' options with mount type 'tmpfs'"),
];

const unknown = (field: string, key = field.split('=')[0] as string): OptionCase => refuses(`${VOLUME},${field}`, `unknown option '${key.toLowerCase()}' in '${field}'`, `unexpected key '${key.toLowerCase()}' in '${field}'`);
const pair = (field: string): OptionCase => refuses(`${VOLUME},${field}`, `invalid field '${field}' must be a key=value pair`);
const FIELDS: OptionCase[] = [
  ...['bogus=foo', 'BOGUS=foo', 'image-subpath=a', 'mode=ro', 'rw=1', 'readonly-=1', 'opt=x', 'z=1', '=x', 'src:=/x', 'constructor=1', '__proto__=1', 'uid=0'].map((field) => unknown(field)), ...['bogus', 'type', 'src', 'target', 'rw', 'z', 'consistency', 'shared', 'Bogus', ''].map(pair), refuses(`,${VOLUME}`, "invalid field '' must be a key=value pair"), refuses(',', "invalid field '' must be a key=value pair"), refuses('x', "invalid field 'x' must be a key=value pair"),
  // 20.10 looks neither for empty values nor for white space.
  ...([['src', ''], ['source', ''], ['SRC', ''], ['dst', OLD_TARGET], ['type', 'type is required'], ['ro', 'invalid value for ro: '], ['readonly', 'invalid value for readonly: '], ['consistency', ''], ['volume-label', ''], ['volume-opt', ''], ['volume-nocopy', 'invalid value for volume-nocopy: '],
    ['tmpfs-size', 'invalid value for tmpfs-size: '], ['tmpfs-mode', 'invalid value for tmpfs-mode: '], ['bind-create-src', "unexpected key 'bind-create-src' in 'bind-create-src='"], ['bogus', "unexpected key 'bogus' in 'bogus='"], ['', "unexpected key '' in '='"]] as const)
    .map(([key, older]) => refuses(`${VOLUME},${key}=`, `invalid value for '${key}': value is empty`, older)),
  ...[' src=/foo', 'src =/foo', '\tsrc=/foo', ' bogus=1', ' SRC =/foo', '\u00a0src=/foo', '\u0085src=/foo', '\u2003ro\u2003=1'].map((field) => {
    const [key] = field.split('=') as [string];
    return refuses(`type=volume,${field},target=/foo`, `invalid option '${key.replace(/[\s\u0085]/g, '')}' in '${field}': option should not have whitespace`, `unexpected key '${key.toLowerCase()}' in '${field}'`);
  }),
  ...[' ro', '  ', 'ro '].map((field) => refuses(`type=volume,${field},target=/foo`, `invalid option '${field.trim()}' in '${field}': option should not have whitespace`, `invalid field '${field}' must be a key=value pair`)),
  ...([['src= /foo', ''], ['src=/foo ', ''], ['src=\t/foo', ''], ['target=/x ', ''], ['src=/foo\u2003', ''], ['ro= true', 'invalid value for ro:  true'], ['bogus= x', "unexpected key 'bogus' in 'bogus= x'"]] as const)
    .map(([field, older]) => refuses(`type=volume,${field},target=/foo`, `invalid value for '${field.split('=')[0]}' in '${field}': value should not have whitespace`, older)),
  ...['src= ', 'src=  \t'].map((field) => refuses(`type=volume,${field},target=/foo`, "invalid value for 'src': value is empty", '')),
  { value: '', error: 'value is empty', older: 'EOF' }, { value: '  ', error: 'value is empty', older: "invalid field '  ' must be a key=value pair" }, { value: '\n', error: 'value is empty', older: 'EOF' },
];

const CSV: OptionCase[] = [
  takes('"type=bind","src=/source","dst=/target"', bind()), takes('type=bind,"src=/a,b",dst=/target', bind({ source: '/a,b' })), takes('type=bind,"src=/a""b""",dst=/target', bind({ source: '/a"b"' })), takes('type=bind,"src=/a\nb",dst=/target', bind({ source: '/a\nb' })), takes('type=bind,"src=/a\r\nb",dst=/target', bind({ source: '/a\nb' })),
  takes("type=bind,src='/a',dst=/target", bind({ source: "'/a'" })), takes('type=bind,src=\\,dst=/target', bind({ source: '\\' })), takes(`${BIND}\nbogus`, bind()), takes(`"type=bind",src=/source,"dst=/target"\nbogus`, bind()), takes(` ${BIND}\n`, bind(), { older: `unexpected key ' type' in ' type=bind'` }), takes(`\n\n${BIND}`, bind()),
  refuses('type=volume,ta"rget=/x', 'parse error on line 1, column 15: bare " in non-quoted-field'), refuses('src="/a",dst=/x', 'parse error on line 1, column 5: bare " in non-quoted-field'), refuses('type=bind,src=/ü"', 'parse error on line 1, column 18: bare " in non-quoted-field'), refuses('"', 'parse error on line 1, column 2: extraneous or missing " in quoted-field'),
  refuses('"type=volume', 'parse error on line 1, column 13: extraneous or missing " in quoted-field'), refuses('"type=volume"x,dst=/x', 'parse error on line 1, column 13: extraneous or missing " in quoted-field'), refuses('type=bind,"src=/ü"x', 'parse error on line 1, column 19: extraneous or missing " in quoted-field'),
  refuses('type=bind,"a\nb', 'record on line 1; parse error on line 2, column 2: extraneous or missing " in quoted-field'), refuses('"type=bind\n",b"', 'record on line 1; parse error on line 2, column 4: bare " in non-quoted-field'), refuses('"a""', 'parse error on line 1, column 5: extraneous or missing " in quoted-field'), refuses('"a" ,b', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
  refuses('"a\n\n"x', 'record on line 1; parse error on line 3, column 1: extraneous or missing " in quoted-field'), refuses('""', "invalid field '' must be a key=value pair"), refuses('"",dst=/x', "invalid field '' must be a key=value pair"), refuses('"""",dst=/x', `invalid field '"' must be a key=value pair`), refuses('a\nb"', "invalid field 'a' must be a key=value pair"),
];

export const OPTION_CASES: readonly OptionCase[] = [...KEYS, ...RELATIVE, ...BOOLEANS, ...BINDS, ...VOLUMES, ...SIZES, ...MODES, ...MIXED, ...FIELDS, ...CSV];
