import type { Mount } from '../../src/index.ts';
import type { Point } from './raw-cases.ts';

export interface SpecCase {
  spec: Mount;
  point?: Point;
  /** The whole error. */
  error?: string;
  /** What dockerd 20.10 says instead; '' where it takes it. */
  older?: string;
  /** dockerd isn't asked: why. */
  parserOnly?: string;
}

/** Of all paths, these are the ones the tests say exist. */
export const EXISTING = ['/', '/usr', '/etc/passwd'];

const why = (type: string, words: string): string => `invalid mount config for type "${type}": ${words}`;
const ROOT = "invalid specification: destination can't be '/'";
const relative = (path: string): string => `invalid mount path: '${path.replaceAll('\\', '/')}' mount path must be absolute`;
const missing = (field: string): string => `field ${field} must not be empty`;
const extra = (field: string): string => `field ${field} must not be specified`;

const takes = (spec: Mount, point: Partial<Point>, rest: Partial<SpecCase> = {}): SpecCase => ({ spec, point: { type: spec.type as Point['type'], destination: spec.target as string, ...point }, ...rest });
const refuses = (spec: Mount, words: string, rest: Partial<SpecCase> = {}): SpecCase => ({ spec, error: why(spec.type, words), ...rest });

const bind = (rest: Partial<Mount> = {}): Mount => ({ type: 'bind', source: '/usr', target: '/foo', ...rest });
const volume = (rest: Partial<Mount> = {}): Mount => ({ type: 'volume', source: 'hello', target: '/foo', ...rest });
const tmpfs = (rest: Partial<Mount> = {}): Mount => ({ type: 'tmpfs', target: '/foo', ...rest });
/** Docker 25 and newer know them. */
const NEWER = '20.10 has no such option';

const BINDS = [
  takes(bind(), { source: '/usr' }), takes(bind({ readOnly: true }), { source: '/usr', rw: false }), takes(bind({ source: '/usr/' }), { source: '/usr' }), takes(bind({ target: '/foo/' }), { source: '/usr', destination: '/foo' }),
  takes(bind({ source: '/' }), { source: '/' }), takes(bind({ source: '/etc/passwd' }), { source: '/etc/passwd' }), takes(bind({ target: '/a/../b//c' }), { source: '/usr', destination: '/b/c' }), takes(bind({ target: '/ü' }), { source: '/usr' }),
  takes(bind({ consistency: 'cached' }), { source: '/usr' }), takes(bind({ consistency: 'nonsense' }), { source: '/usr' }), takes(bind({ bindOptions: {} }), { source: '/usr' }), takes(bind({ bindOptions: { propagation: '' } }), { source: '/usr' }),
  ...['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'].flatMap((propagation) => [false, true].map((readOnly) => takes(bind({ readOnly, bindOptions: { propagation } }), { source: '/usr', propagation, rw: !readOnly }))),
  takes(bind({ bindOptions: { nonRecursive: true } }), { source: '/usr' }), takes(bind({ readOnly: true, bindOptions: { readOnlyNonRecursive: true } }), { source: '/usr', rw: false }), takes(bind({ readOnly: true, bindOptions: { readOnlyForceRecursive: true } }), { source: '/usr', rw: false }),
  takes(bind({ source: '/new', bindOptions: { createMountpoint: true } }), { source: '/new' }, { older: why('bind', 'bind source path does not exist: /new') }),
  ...['Shared', 'RPRIVATE', 'rbind', 'unbindable', 'ro', ' ', 'shared,ro', 'ü', 'constructor'].map((propagation) => refuses(bind({ bindOptions: { propagation } }), `invalid propagation mode: ${propagation}`)),
  refuses({ type: 'bind' }, missing('Target')), refuses(bind({ target: '' }), missing('Target')), refuses({ type: 'bind', target: '/foo' }, missing('Source')), refuses(bind({ source: '' }), missing('Source')),
  ...['/', '//', '/.', '/..', '/a/..', '\\', '/\\..'].map((target) => refuses(bind({ target }), ROOT)), ...['foo', '.', '..', './foo', ' /foo', '~', 'c\\d', 'c:\\d'].map((target) => refuses(bind({ target }), relative(target))),
  ...['foo', '.', '..', './foo', '../foo', ' /foo', '~/foo', 'c:\\foo', 'http://x'].map((source) => refuses(bind({ source }), relative(source))),
  ...['/foo', '/usr/definitely-no-such-path', '/usr/../nowhere', '/ü', '/with space'].map((source) => refuses(bind({ source }), `bind source path does not exist: ${source}`)),
  refuses(bind({ source: '/foo', bindOptions: { createMountpoint: false } }), 'bind source path does not exist: /foo'),
  refuses(bind({ volumeOptions: {} }), extra('VolumeOptions')), refuses(bind({ volumeOptions: { noCopy: true } }), extra('VolumeOptions')), refuses(bind({ tmpfsOptions: {} }), extra('TmpfsOptions'), { older: '' }),
  // What is in the order of Docker 28 found first.
  refuses(bind({ target: '', volumeOptions: {} }), extra('VolumeOptions'), { older: why('bind', missing('Target')) }), refuses(bind({ source: '/foo', bindOptions: { propagation: 'x' } }), 'invalid propagation mode: x'), refuses(bind({ source: 'foo', target: '/' }), ROOT),
];

const VOLUMES = [
  takes(volume(), { name: 'hello' }), takes(volume({ readOnly: true }), { name: 'hello', rw: false }), takes(volume({ target: '/foo/' }), { name: 'hello', destination: '/foo' }), takes({ type: 'volume', target: '/foo' }, {}), takes(volume({ source: '' }), {}),
  takes(volume({ volumeOptions: {} }), { name: 'hello' }), takes(volume({ volumeOptions: { noCopy: true } }), { name: 'hello', copyData: false }), takes(volume({ volumeOptions: { noCopy: false } }), { name: 'hello' }), takes(volume({ volumeOptions: { labels: { a: 'b' } } }), { name: 'hello' }),
  takes(volume({ volumeOptions: { driverConfig: {} } }), { name: 'hello' }), takes(volume({ volumeOptions: { driverConfig: { name: 'local' } } }), { name: 'hello', driver: 'local' }), takes(volume({ source: 'other', volumeOptions: { driverConfig: { name: 'none', options: { o: 'x' } } } }), { name: 'other', driver: 'none' }, { parserOnly: 'there is no such driver' }),
  takes(volume({ source: '/usr' }), { name: '/usr' }, { parserOnly: 'the driver local refuses the name' }), takes(volume({ source: '../x' }), { name: '../x' }, { parserOnly: 'the driver local refuses the name' }), takes(volume({ consistency: 'x' }), { name: 'hello' }),
  // Docker 29 takes them; before, nobody could have put anything there.
  takes({ type: 'volume', target: '/foo', readOnly: true }, { rw: false }, { older: why('volume', 'must not set ReadOnly mode when using anonymous volumes') }),
  ...['world', 'a/b', 'a/../b', '.', './a', '...', '..a', 'a/..', 'ü', 'a b', '\\..'].map((subpath) => takes(volume({ volumeOptions: { subpath } }), { name: 'hello' }, { parserOnly: NEWER })),
  ...['/', '/a', '..', '../a', 'a/../..', 'a/../../b', './..', '//a'].map((subpath) => refuses(volume({ volumeOptions: { subpath } }), 'subpath must be a relative path within the volume', { parserOnly: NEWER })),
  refuses({ type: 'volume', target: '/foo', volumeOptions: { subpath: 'a' } }, 'must not set Subpath when using anonymous volumes', { parserOnly: NEWER }), refuses({ type: 'volume', target: '/foo', volumeOptions: { subpath: '..' } }, 'must not set Subpath when using anonymous volumes', { parserOnly: NEWER }),
  takes(volume({ volumeOptions: { subpath: '' } }), { name: 'hello' }),
  refuses({ type: 'volume' }, missing('Target')), ...['/', '/..', '\\'].map((target) => refuses(volume({ target }), ROOT)), ...['foo', './foo', ' /'].map((target) => refuses(volume({ target }), relative(target))),
  refuses(volume({ bindOptions: {} }), extra('BindOptions')), refuses(volume({ bindOptions: { propagation: 'shared' } }), extra('BindOptions')), refuses(volume({ tmpfsOptions: { mode: 0o700 } }), extra('TmpfsOptions'), { older: '' }),
];

const TMPFS = [
  takes(tmpfs(), {}), takes(tmpfs({ readOnly: true }), { rw: false }), takes(tmpfs({ source: '' }), {}), takes(tmpfs({ tmpfsOptions: {} }), {}), takes(tmpfs({ tmpfsOptions: { sizeBytes: 1 << 20, mode: 0o1777 } }), {}), takes(tmpfs({ target: '/foo/../bar/' }), { destination: '/bar' }),
  takes(tmpfs({ tmpfsOptions: { options: [['exec']] } }), {}), takes(tmpfs({ tmpfsOptions: { options: [['noexec'], ['exec', 'yes']] } }), {}), takes(tmpfs({ tmpfsOptions: { options: [] } }), {}),
  refuses(tmpfs({ tmpfsOptions: { options: [['size=1m']] } }), 'invalid option: size=1m', { parserOnly: NEWER }), refuses(tmpfs({ tmpfsOptions: { options: [['INVALID']] } }), 'invalid option: INVALID', { parserOnly: NEWER }), refuses(tmpfs({ tmpfsOptions: { options: [['exec'], ['uid', '0']] } }), 'invalid option: uid', { parserOnly: NEWER }),
  refuses(tmpfs({ tmpfsOptions: { options: [[]] } }), 'invalid option array length', { parserOnly: NEWER }), refuses(tmpfs({ tmpfsOptions: { options: [['exec', 'a', 'b']] } }), 'invalid option array length', { parserOnly: NEWER }), refuses(tmpfs({ tmpfsOptions: { options: [['']] } }), 'invalid option: ', { parserOnly: NEWER }),
  refuses(tmpfs({ source: '/usr' }), extra('Source')), refuses(tmpfs({ source: 'tmpfs' }), extra('Source')), refuses({ type: 'tmpfs' }, missing('Target')), ...['/', '/a/..', '\\'].map((target) => refuses(tmpfs({ target }), ROOT)), ...['foo', '..', ' /foo'].map((target) => refuses(tmpfs({ target }), relative(target))),
  refuses(tmpfs({ bindOptions: {} }), extra('BindOptions')), refuses(tmpfs({ volumeOptions: {} }), extra('VolumeOptions'), { older: '' }),
];

const TYPES = [
  ...['invalid', 'Bind', 'VOLUME', 'npipe', ' bind', '', 'ü', 'a"b', 'constructor'].map((type) => ({ spec: { type, source: '/usr', target: '/foo' }, error: `invalid mount config for type ${JSON.stringify(type)}: mount type unknown` })),
  { spec: { type: 'a\x01\n\u200b', target: '/foo' }, error: 'invalid mount config for type "a\\x01\\n\\u200b": mount type unknown' },
  { spec: { type: 'cluster', source: 'x', target: '/foo' }, error: why('cluster', 'mount type unknown') },
  { spec: { type: 'image', source: 'x', target: '/foo' }, error: why('image', 'mount type unknown') },
  { spec: { type: 'invalid' }, error: why('invalid', missing('Target')) }, { spec: { type: 'invalid', target: '/' }, error: why('invalid', ROOT) }, { spec: { type: 'invalid', target: 'x' }, error: why('invalid', relative('x')) },
  { spec: { type: 'invalid', target: '/x', bindOptions: {} }, error: why('invalid', extra('BindOptions')), older: why('invalid', 'mount type unknown') },
];

export const SPEC_CASES: readonly SpecCase[] = [...BINDS, ...VOLUMES, ...TMPFS, ...TYPES];
