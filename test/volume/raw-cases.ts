/** What the parser makes of an expression, as far as it isn't said by its type. */
export interface Point {
  type: 'bind' | 'volume' | 'tmpfs';
  destination: string;
  source?: string;
  rw?: boolean;
  name?: string;
  driver?: string;
  mode?: string;
  propagation?: string;
  copyData?: boolean;
}

export interface RawCase {
  raw: string;
  driver?: string;
  /** What it is; absent where it is refused. */
  point?: Point;
  /** The whole error. */
  error?: string;
  /** What dockerd 20.10 says instead. */
  older?: string;
  /** dockerd isn't asked: what comes after the parser (its driver `local`, its container) would answer. */
  parserOnly?: string;
}

const invalid = (raw: string): string => `invalid volume specification: '${raw}'`;
const config = (raw: string, type: string, why: string): string => `${invalid(raw)}: invalid mount config for type "${type}": ${why}`;
const ROOT = "invalid specification: destination can't be '/'";
const relative = (path: string): string => `invalid mount path: '${path.replaceAll('\\', '/')}' mount path must be absolute`;

const bind = (raw: string, source: string, destination: string, rest: Partial<Point> = {}): RawCase => ({ raw, point: { type: 'bind', source, destination, ...rest } });
const volume = (raw: string, name: string, destination: string, rest: Partial<Point> = {}): RawCase => ({ raw, point: { type: 'volume', name, destination, ...rest } });
const local = (name: string): string => `the driver local refuses ${JSON.stringify(name)} as a name`;
const named = (raw: string, name: string, destination: string, rest: Partial<Point> = {}): RawCase => ({ ...volume(raw, name, destination, rest), parserOnly: local(name) });
const refusedAs = (words: (raw: string) => string, ...raws: string[]): RawCase[] => raws.map((raw) => ({ raw, error: words(raw) }));

const TARGETS = [
  volume('/home', '', '/home'), volume('/with space', '', '/with space'), volume('/a/', '', '/a'), volume('//a///b//', '', '/a/b'), volume('/a/./b/../c', '', '/a/c'),
  volume('/../a', '', '/a'), volume('/...', '', '/...'), volume('/.a', '', '/.a'), volume('/a,b', '', '/a,b'), volume('/ro', '', '/ro'), volume('/ü', '', '/ü'), volume('/日本語/📦', '', '/日本語/📦'),
  volume('/ ', '', '/ '), volume('/a\nb', '', '/a\nb'), volume('/a"b\'c', '', '/a"b\'c'), volume('/=', '', '/='), volume('/a\\b', '', '/a\\b'), volume('/~', '', '/~'), volume(`/${'x'.repeat(255)}`, '', `/${'x'.repeat(255)}`),
  // The parser's backslash is a slash when it asks whether a path is absolute; the path keeps it.
  { ...volume('\\a', '', '\\a'), parserOnly: 'such a path is below the working directory of dockerd' },
  ...refusedAs((raw) => config(raw, 'volume', ROOT), '/', '//', '///', '/.', '/./', '/..', '/../..', '/a/..', '/a/../', '/a/b/../..', '\\', '\\\\', '/\\', '\\..', '/a\\..', '\\a\\..'),
  ...refusedAs((raw) => config(raw, 'volume', relative(raw)), '.', './', '..', '../', '../..', 'a', 'a/b', './a', '../a', ' ', ' /a', '~', '~/a', 'ro', 'rw', 'z', '-', 'ü', '.\\a', 'a\\b', '\ta', 'a,b', '"/a"', 'http', '$HOME'),
];

const PAIRS = [
  bind('/home:/home', '/home', '/home'), bind('/home:/something/else', '/home', '/something/else'), bind('/home:/with space', '/home', '/with space'), bind('/with space:/home', '/with space', '/home'),
  bind('/tmp:/tmp1', '/tmp', '/tmp1'), bind('/:/host', '/', '/host'), bind('//:/host', '/', '/host'), bind('/.:/host', '/', '/host'), bind('/..:/host', '/', '/host'), bind('/a/..:/host', '/', '/host'),
  bind('/a/:/b/', '/a', '/b'), bind('/a//b:/c//d', '/a/b', '/c/d'), bind('/a/../b:/c/../d', '/b', '/d'), bind('/a/.:/b/.', '/a', '/b'), bind('/../a:/../b', '/a', '/b'),
  bind('/rw:/ro', '/rw', '/ro'), bind('/ro:/rw', '/ro', '/rw'), bind('/ü:/é', '/ü', '/é'), bind('/日本:/語', '/日本', '/語'), bind('/📦:/📦', '/📦', '/📦'), bind('/a b:/c d', '/a b', '/c d'),
  bind('/a,b:/c,d', '/a,b', '/c,d'), bind('/a=b:/c=d', '/a=b', '/c=d'), bind('/a\\b:/c', '/a\\b', '/c'), bind('/a\nb:/c', '/a\nb', '/c'), bind('/ :/ ', '/ ', '/ '), bind("/a'b:/c", "/a'b", '/c'),
  bind('/dev/null:/x', '/dev/null', '/x'), bind(`/${'x'.repeat(255)}:/y`, `/${'x'.repeat(255)}`, '/y'), bind('/c:/windows', '/c', '/windows'), bind('/var/run/docker.sock:/var/run/docker.sock', '/var/run/docker.sock', '/var/run/docker.sock'),
  volume('name:/named1', 'name', '/named1'), volume('data.1:/x', 'data.1', '/x'), volume('a_b-c.d:/x', 'a_b-c.d', '/x'), volume('0123:/x', '0123', '/x'), volume('ro:/x', 'ro', '/x'), volume('rw:/y', 'rw', '/y'), volume('name:/a/../b/', 'name', '/b'),
  volume(`${'n'.repeat(200)}:/x`, 'n'.repeat(200), '/x'), volume('shared:/x', 'shared', '/x'), volume('NAME:/x', 'NAME', '/x'), volume('relative:/absolute-path', 'relative', '/absolute-path'),
  named('local/name:/tmp', 'local/name', '/tmp'), named('a:/x', 'a', '/x'), named('.:/x', '.', '/x'), named('..:/x', '..', '/x'), named('./a:/x', './a', '/x'), named('../a:/x', '../a', '/x'), named('a/b:/x', 'a/b', '/x'), named('~:/x', '~', '/x'),
  named('~/a:/x', '~/a', '/x'), named(' :/x', ' ', '/x'), named(' /a:/x', ' /a', '/x'), named('ü:/x', 'ü', '/x'), named('日本:/x', '日本', '/x'), named('\\a:/x', '\\a', '/x'), named('c\\d:/x', 'c\\d', '/x'), named('-a:/x', '-a', '/x'),
  named('.hidden:/x', '.hidden', '/x'), named('a b:/x', 'a b', '/x'), named('a,b:/x', 'a,b', '/x'), volume('http:/x', 'http', '/x'), named('a\nb:/x', 'a\nb', '/x'), named('__proto__:/x', '__proto__', '/x'),
  // Paths of Windows: a drive is a volume, and a target with backslashes absolute.
  { ...volume('c:\\data', 'c', '\\data'), parserOnly: local('c') }, { ...volume('c:/data', 'c', '/data'), parserOnly: local('c') }, { ...bind('/a:\\b', '/a', '\\b'), parserOnly: 'such a path is below the working directory of dockerd' },
  ...refusedAs((raw) => config(raw, 'bind', ROOT), '/a:/', '/a://', '/a:/.', '/a:/..', '/a:/b/..', '/a:/../../', '/:/', '/a:\\', '/a:/\\', '/a:\\..', '/a:/b\\..'),
  ...refusedAs((raw) => config(raw, 'volume', ROOT), 'name:/', 'name://', 'name:/./', 'name:/..', 'name:\\', 'c:\\', 'c:/', 'name:/a/b/../..'),
  ...['path', '../', '.', 'a/b', ' /x', '~', 'c\\d'].flatMap((target) => [
    ...refusedAs((raw) => config(raw, 'bind', relative(target)), `/:${target}`, `/a:${target}`),
    ...refusedAs((raw) => config(raw, 'volume', relative(target)), `name:${target}`),
  ]),
  // Two words of one kind are no mode, so they are a target.
  ...refusedAs((raw) => config(raw, 'bind', relative('ro,ro')), '/a:ro,ro'), ...refusedAs((raw) => config(raw, 'bind', relative('sw')), '/a:sw'), ...refusedAs((raw) => config(raw, 'bind', relative('RO')), '/a:RO'),
  ...refusedAs((raw) => config(raw, 'volume', relative('rw,ro')), 'name:rw,ro'), ...refusedAs((raw) => config(raw, 'volume', relative('ro,')), 'name:ro,'),
  ...refusedAs(invalid, '/path:rw', '/path:ro', '/path:z', '/path:Z', '/path:shared', '/path:rshared', '/path:slave', '/path:rslave', '/path:private', '/path:rprivate', '/path:nocopy', '/path:consistent', '/path:cached', '/path:delegated', '/path:ro,z', '/path:ro,shared,Z',
    '/path:nocopy,ro', '/rw:rw', 'path:ro', 'name:z', 'name:nocopy', 'name:cached', 'a:rw', '/:ro', '.:rw', '..:ro', '/a:rw,rslave,cached,nocopy,Z'),
];

const EMPTY_PARTS = [
  ...refusedAs(invalid, '', ':', '::', ':::', ':test', ':/test', ':test:', ':/tmp::', ':/a:ro', ':/a:', '/tmp:', 'tmp:', './:', '/tmp:::', 'name:::', '/a:/b::', '/a:/b:ro:', '/a:/b:ro:z', 'a:b:c:d', 'a:b:c:d:e', '::::::', '/a:/b:/c:/d', 'c:\\a:d:\\b', 'c:\\a:d:\\b:ro',
    'c:/foo:/x:ro', '/a:/b: :', 'http://x:80/y:/z:ro'),
  ...refusedAs((raw) => config(raw, 'bind', 'field Target must not be empty'), '/tmp::', '/tmp::ro', '/::z', '/a::shared'),
  ...refusedAs((raw) => config(raw, 'volume', 'field Target must not be empty'), 'name::', 'name::ro', 'name::cached'),
  bind('/a:/b:', '/a', '/b'), volume('name:/b:', 'name', '/b'),
];

const MODES = [
  ...['sw', 'rwz', 'RO', 'Ro', 'RW', 'r', 'o', 'x', 'zz', 'zZ', 'copy', 'default', 'bind', 'rbind', 'rro', 'exec', 'noexec', 'nosuid', 'U', 'O', 'readonly', 'unbindable', 'volume-nocopy', 'ro=1', 'nocopy=true', 'ro;z', 'ro z', 'ro|z', ' ro', 'ro ', ' ', '\tro', ',', ',,', 'ro,', ',ro', 'ro,,z', 'ro, z',
    'ro,foo', 'foo,ro', 'ro,ro', 'rw,rw', 'rw,ro', 'ro,rw', 'z,z', 'z,Z', 'Z,z', 'ro,z,Z', 'shared,shared', 'shared,rshared', 'slave,private', 'ro,rshared,rslave', 'ro,z,rshared,rslave', 'nocopy,nocopy', 'cached,cached', 'cached,consistent', 'delegated,cached', 'ü', 'rø', '/b', '..', '0', 'true', '__proto__', 'constructor',
    'ro,constructor', 'ro\n', 'SHARED', 'Nocopy', 'NOCOPY', 'tmpfs', 'size=1m', 'uid=0', 'dev', 'ro\\,z'].flatMap((mode) => refusedAs(() => `invalid mode: ${mode}`, `/a:/b:${mode}`)),
  ...refusedAs(() => 'invalid mode: /b', 'c:\\a:/b', 'c:/a:/b', 'z:/a:/b'), ...refusedAs(() => 'invalid mode: foo', 'name:/b:foo', '/a::foo', '/a:/:foo', 'name:b:foo', '/tmp:/tmp4:foo'),
];

/** An option of another type is found before the target is looked at; 20.10 looks at the target first. */
const ORDER: RawCase[] = [
  { raw: '/a:/:nocopy', error: config('/a:/:nocopy', 'bind', 'field VolumeOptions must not be specified'), older: config('/a:/:nocopy', 'bind', ROOT) },
  { raw: '/a::nocopy', error: config('/a::nocopy', 'bind', 'field VolumeOptions must not be specified'), older: config('/a::nocopy', 'bind', 'field Target must not be empty') },
  { raw: 'name:b:shared', error: config('name:b:shared', 'volume', 'field BindOptions must not be specified'), older: config('name:b:shared', 'volume', relative('b')) },
];

const DRIVERS: RawCase[] = [
  { ...volume('name:/named2', 'name', '/named2', { driver: 'external' }), driver: 'external', parserOnly: 'there is no such driver' },
  { ...volume('name:/named3:ro', 'name', '/named3', { driver: 'local', rw: false, mode: 'ro' }), driver: 'local' },
  { ...volume('/anonymous', '', '/anonymous', { driver: 'local' }), driver: 'local' },
  { ...volume('name:/x:nocopy', 'name', '/x', { driver: 'local', mode: 'nocopy', copyData: false }), driver: 'local' },
  { ...bind('/a:/b', '/a', '/b'), driver: 'external' },
  ...['/hostPath:/containerPath:ro,Z,rprivate', '/hostPath:/containerPath:slave,ro,Z'].map((raw) => ({ ...bind(raw, '/hostPath', '/containerPath', { rw: false, mode: raw.split(':')[2] as string, propagation: raw.includes('slave') ? 'slave' : 'rprivate' }), driver: 'local' })),
];

/** Each mode that is one: every choice of one word or none from each row. */
function* everyMode(): Generator<{ words: string[]; write: string; propagation: string; copy: string }> {
  for (const write of ['', 'rw', 'ro']) {
    for (const label of ['', 'z', 'Z']) {
      for (const propagation of ['', 'private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']) {
        for (const copy of ['', 'nocopy']) {
          for (const consistency of ['', 'consistent', 'cached', 'delegated']) {
            yield { words: [write, label, propagation, copy, consistency].filter((word) => word !== ''), write, propagation, copy };
          }
        }
      }
    }
  }
}

/** For each of these a bind and a volume. The order of words is turned from one to the next. */
function combinations(): RawCase[] {
  const cases: RawCase[] = [];
  for (const { words, write, propagation, copy } of everyMode()) {
    const turn = words.length === 0 ? 0 : cases.length % words.length;
    const mode = [...words.slice(turn), ...words.slice(0, turn)].join(',');
    const rw = write !== 'ro';
    const [ofBind, ofVolume] = [`/host:/in/container:${mode}`, `named:/in/container:${mode}`];
    cases.push(copy === '' ? bind(ofBind, '/host', '/in/container', { rw, mode, propagation: propagation || 'rprivate' }) : { raw: ofBind, error: config(ofBind, 'bind', 'field VolumeOptions must not be specified') });
    cases.push(propagation === '' ? volume(ofVolume, 'named', '/in/container', { rw, mode, copyData: copy === '' }) : { raw: ofVolume, error: config(ofVolume, 'volume', 'field BindOptions must not be specified') });
  }
  return cases;
}

/** Written out: what an expression is, or how it is refused. */
export const RAW_CASES: readonly RawCase[] = [...TARGETS, ...PAIRS, ...EMPTY_PARTS, ...MODES, ...ORDER, ...DRIVERS];
export const RAW_COMBINATIONS: readonly RawCase[] = combinations();
