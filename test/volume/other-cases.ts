export interface FromCase {
  spec: string;
  /** Whose volumes, and the mode; absent where it is refused. */
  from?: { id: string; mode: string };
  error?: string;
  older?: string;
}

const from = (spec: string, id: string, mode: string): FromCase => ({ spec, from: { id, mode } });
/** `--volumes-from`. There is a container "source". */
export const FROM_CASES: readonly FromCase[] = [
  from('source', 'source', 'rw'), from('source:', 'source', 'rw'), ...['rw', 'ro', 'z', 'Z', 'ro,z', 'Z,rw', 'cached', 'consistent', 'delegated', 'ro,Z,cached', 'delegated,z'].map((mode) => from(`source:${mode}`, 'source', mode)),
  { spec: '', error: 'volumes-from specification cannot be an empty string' },
  ...['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'ro,shared', 'z,slave', 'nocopy', 'ro,nocopy', 'nocopy,shared', 'foo', 'RO', 'ro,ro', 'ro,rw', 'z,Z', 'cached,delegated', ',', 'ro,', ' ', ' ro', ':', 'ro:', 'ro:z', ':ro', '/data', 'constructor'].map((mode) => ({ spec: `source:${mode}`, error: `invalid mode: ${mode}` })),
  ...['missing', 'missing:ro', 'so', ' source'].map((spec) => ({ ...from(spec, spec.split(':')[0] as string, spec.includes(':') ? 'ro' : 'rw'), error: `No such container: ${spec.split(':')[0]}` })),
];

export interface TmpfsCase {
  expression: string;
  /** Where, and the options it is mounted with; absent where it is refused. */
  tmpfs?: { destination: string; options: string; rw?: boolean };
  error?: string;
  older?: string;
}

const tmpfs = (expression: string, destination: string, options: string, rw = true): TmpfsCase => ({ expression, tmpfs: { destination, options, rw } });
const ROOT = "invalid specification: destination can't be '/'";
const DEFAULTS = 'noexec,nosuid,nodev,rprivate';
/** `--tmpfs`. */
export const TMPFS_CASES: readonly TmpfsCase[] = [
  tmpfs('/x', '/x', DEFAULTS), tmpfs('/x:', '/x', DEFAULTS), tmpfs('/x/', '/x', DEFAULTS), tmpfs('/a/../x', '/x', DEFAULTS), tmpfs('/ü', '/ü', DEFAULTS), tmpfs('/with space', '/with space', DEFAULTS), tmpfs('/x:defaults', '/x', DEFAULTS),
  tmpfs('/x:size=1m', '/x', `${DEFAULTS},size=1m`), tmpfs('/x:size=1m,size=2m', '/x', `${DEFAULTS},size=2m`), tmpfs('/x:mode=700,size=64k,uid=1,gid=2,nr_inodes=100', '/x', `${DEFAULTS},mode=700,size=64k,uid=1,gid=2,nr_inodes=100`), tmpfs('/x:size=50%', '/x', `${DEFAULTS},size=50%`),
  tmpfs('/x:exec', '/x', 'nosuid,nodev,rprivate,exec'), tmpfs('/x:exec,suid,dev', '/x', 'rprivate,exec,suid,dev'), tmpfs('/x:exec,noexec', '/x', 'nosuid,nodev,rprivate,noexec'), tmpfs('/x:noexec', '/x', 'nosuid,nodev,rprivate,noexec'), tmpfs('/x:rw', '/x', `${DEFAULTS},rw`),
  tmpfs('/x:ro', '/x', `${DEFAULTS},ro`, false), tmpfs('/x:ro,rw', '/x', `${DEFAULTS},rw`), tmpfs('/x:rw,ro,size=1m', '/x', `${DEFAULTS},ro,size=1m`, false), tmpfs('/x:private', '/x', 'noexec,nosuid,nodev,private'), tmpfs('/x:shared,slave', '/x', 'noexec,nosuid,nodev,slave'),
  tmpfs('/x:sync,async,dirsync', '/x', `${DEFAULTS},async,dirsync`), tmpfs('/x:noatime,atime,nodiratime,relatime', '/x', `${DEFAULTS},atime,nodiratime,relatime`), tmpfs('/x:strictatime,nostrictatime', '/x', `${DEFAULTS},nostrictatime`), tmpfs('/x:defaults,size=1m,defaults', '/x', `${DEFAULTS},size=1m`),
  ...['/', '//', '/.', '/..', '/a/..', '/:size=1m', '\\', '/\\..'].map((expression) => ({ expression, error: ROOT })), ...['', ':', ':size=1m', 'x', './x', '..', ' /x', 'c\\d'].map((expression) => ({ expression, error: `invalid mount path: '${(expression.split(':')[0] as string).replaceAll('\\', '/')}' mount path must be absolute` })),
  // 20.10 shows the option's parts.
  ...([['foo', 'foo'], ['foo=1', 'foo=1'], ['size', 'size'], ['size=1m,', ''], [',size=1m', ''], ['size=1m,,ro', ''], [' ro', ' ro'], ['RO', 'RO'], ['ro=1', 'ro=1'], ['exec=1', 'exec=1'], ['z', 'z'], ['nocopy', 'nocopy'], ['huge=always', 'huge=always'], ['foo,bar', 'bar'], ['a"b', 'a"b'],
    ['ü', 'ü'], ['constructor', 'constructor'], ['size=1m:ro,x', 'x']] as const).map(([options, bad]) => {
    const parts = bad.split('=').map((part) => JSON.stringify(part));
    return { expression: `/x:${options}`, error: `invalid tmpfs option ${parts[0]}`, older: `invalid tmpfs option [${parts.join(' ')}]` };
  }),
];
