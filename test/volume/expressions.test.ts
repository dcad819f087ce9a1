import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  convertTmpfsOptions, defaultCopyMode, defaultPropagationMode, hasResource, inMountOrder, isBackwardCompatible, parseMountOption, parseMountRaw, parseMountSpec, parseTmpfs, parseVolumesFrom, readWrite,
  type TmpfsOptions, tmpfsMountOptions, validateTmpfsMountDestination, validateVolumeName,
} from '../../src/index.ts';
import { FROM_CASES, TMPFS_CASES } from './other-cases.ts';

describe('--volumes-from', () => {
  for (const { spec, from, error } of FROM_CASES) {
    test(`${JSON.stringify(spec)} is ${from === undefined ? 'refused' : 'taken'}`, () => {
      if (from === undefined) assert.throws(() => parseVolumesFrom(spec), { code: 'UFS_USAGE', message: error });
      else assert.deepEqual(parseVolumesFrom(spec), from);
    });
  }
});

describe('--tmpfs', () => {
  for (const { expression, tmpfs, error } of TMPFS_CASES) {
    test(`${JSON.stringify(expression)} is ${tmpfs === undefined ? 'refused' : 'taken'}`, () => {
      if (tmpfs === undefined) return assert.throws(() => parseTmpfs(expression), { code: 'UFS_USAGE', message: error });
      const point = parseTmpfs(expression);
      const { type, destination, rw, mode, source, name, driver, propagation, copyData } = point;
      assert.deepEqual({ type, destination, rw, mode, source, name, driver, propagation, copyData }, {
        type: 'tmpfs', destination: tmpfs.destination, rw: tmpfs.rw, mode: expression.split(':').slice(1).join(':'), source: '', name: '', driver: '', propagation: '', copyData: false,
      });
      assert.deepEqual(tmpfsMountOptions(point), tmpfs.options.split(','));
    });
  }

  test('--mount of one is mounted with its own options', () => {
    const options = (value: string): string => tmpfsMountOptions(parseMountSpec(parseMountOption(value))).join();
    assert.equal(options('type=tmpfs,dst=/x'), 'noexec,nosuid,nodev,rprivate');
    assert.equal(options('type=tmpfs,dst=/x,tmpfs-size=64m,tmpfs-mode=0700,ro'), 'noexec,nosuid,nodev,rprivate,ro,mode=700,size=64m');
    assert.equal(tmpfsMountOptions(parseMountSpec({ type: 'tmpfs', target: '/x', tmpfsOptions: { options: [['exec']] } })).join(), 'nosuid,nodev,rprivate,exec');
  });

  for (const target of ['/', '//', '/..', '\\', '', 'x', '..']) test(`its destination can't be ${JSON.stringify(target)}`, () => assert.throws(() => validateTmpfsMountDestination(target), { code: 'UFS_USAGE' }));
  for (const target of ['/x', '/x/', '/ ', '\\x', '/a/../b']) test(`its destination can be ${JSON.stringify(target)}`, () => validateTmpfsMountDestination(target));
});

describe('options of a tmpfs', () => {
  const [K, M, G] = [2 ** 10, 2 ** 20, 2 ** 30];
  const taken: [TmpfsOptions | undefined, boolean, string][] = [
    [undefined, false, ''], [undefined, true, 'ro'], [{}, false, ''], [{}, true, 'ro'], [{ sizeBytes: M, mode: 0o700 }, false, 'mode=700,size=1m'], [{ sizeBytes: M, mode: 0o700 }, true, 'ro,mode=700,size=1m'],
    [{ sizeBytes: 0, mode: 0 }, false, ''], [{ mode: 0o1777 }, false, 'mode=1777'], [{ mode: 0o7 }, false, 'mode=7'], [{ mode: 0xffff_ffff }, false, 'mode=37777777777'],
    ...([[1, '1'], [1023, '1023'], [K, '1k'], [K + 1, '1025'], [1.5 * K, '1536'], [1000 * K, '1000k'], [M, '1m'], [M + K, '1025k'], [G, '1g'], [1.5 * G, '1536m'], [G + 1, '1073741825'], [4096 * G, '4096g'], [2 ** 60, '1073741824g'], [-K, '-1k'], [2 ** 53 + 2, '9007199254740994']] as const)
      .map(([sizeBytes, text]): [TmpfsOptions, boolean, string] => [{ sizeBytes }, false, `size=${text}`]),
    [{ options: [['exec']] }, true, 'ro,exec'], [{ options: [['noexec']] }, false, 'noexec'], [{ options: [['exec'], ['noexec']] }, false, 'exec,noexec'], [{ options: [['exec', 'x']] }, false, 'exec=x'], [{ options: [['exec', '']] }, false, 'exec='], [{ options: [] }, false, ''],
    [{ sizeBytes: 64 * M, mode: 0o755, options: [['exec']] }, true, 'ro,mode=755,size=64m,exec'],
  ];
  for (const [options, readOnly, text] of taken) test(`${JSON.stringify(options)}${readOnly ? ', read-only,' : ''} are "${text}"`, () => assert.equal(convertTmpfsOptions(options, readOnly), text));

  const refused: [string[][], string][] = [
    [[['INVALID']], 'invalid option: INVALID'], [[['size', '1m']], 'invalid option: size'], [[['exec=1']], 'invalid option: exec=1'], [[['']], 'invalid option: '], [[['exec'], ['ro']], 'invalid option: ro'], [[[]], 'invalid option array length'], [[['exec', 'a', 'b']], 'invalid option array length'],
    [[['exec'], []], 'invalid option array length'], [[['constructor']], 'invalid option: constructor'],
  ];
  for (const [options, message] of refused) test(`${JSON.stringify(options)} are refused`, () => assert.throws(() => convertTmpfsOptions({ options }, false), { code: 'UFS_USAGE', message }));
});

describe('a mode', () => {
  for (const mode of ['', 'rw', 'z', 'rw,z', 'Z,rw', 'nocopy', 'shared', 'rslave,Z', 'cached', 'rw,nocopy,delegated']) test(`"${mode}" lets be written`, () => assert.equal(readWrite(mode), true));
  for (const mode of ['ro', 'ro,z', 'Z,ro', 'slave,ro', 'nocopy,ro,cached', 'RW', 'rw,rw', 'ro,rw', 'foo', ',', 'rw,', ' ', 'z,Z']) test(`"${mode}" doesn't let be written`, () => assert.equal(readWrite(mode), false));

  test('has these words where nobody says otherwise', () => assert.deepEqual([defaultPropagationMode(), defaultCopyMode()], ['rprivate', true]));
});

describe('mount points', () => {
  const inside: [string, string, boolean][] = [
    ['/data', '/data', true], ['/data', '/data/', true], ['/data', '/data/a/b', true], ['/data', '/data/../data/a', true], ['/data', '/', false], ['/data', '/dat', false], ['/data', '/database', false], ['/data', '/data/..', false], ['/data', '/data/../other', false],
    ['/data', '/other', false], ['/data', '/data/..a', true], ['/data', '/data/...', true], ['/a/b', '/a', false], ['/a/b', '/a/c/../b/d', true], ['/data', 'data', false], ['/data', '', false], ['/data', '.', false], ['/ü', '/ü/x', true], ['/data', '//data//x', true], ['/data', '/Data', false], ['/data', '/data\\x', false],
    ['\\data', '/data', false], ['\\data', '\\data/x', true], ['\\data', '..', false], ['\\data', '../\\data', false],
  ];
  for (const [destination, path, expected] of inside) test(`${JSON.stringify(path)} is ${expected ? '' : 'not '}in ${JSON.stringify(destination)}`, () => assert.equal(hasResource(parseMountRaw(`/source:${destination}`), path), expected));

  test('of binds and of the default driver replace what older containers had', () => {
    const replaces = (raw: string, driver?: string): boolean => isBackwardCompatible(parseMountRaw(raw, driver));
    assert.deepEqual([replaces('/a:/b'), replaces('a:/b'), replaces('a:/b', 'local'), replaces('a:/b', 'other'), replaces('/b'), replaces('/b', 'local')], [true, false, true, false, false, true]);
  });

  test('are mounted so that none hides another, and otherwise in the order they were given', () => {
    const order = (...raws: string[]): string[] => inMountOrder(raws.map((raw) => parseMountRaw(raw))).map(({ destination }) => destination);
    assert.deepEqual(order('/s:/etc/resolv.conf', '/s:/etc', '/s:/a/b/c', 'v:/a', '/s:/a/b'), ['/etc', '/a', '/etc/resolv.conf', '/a/b', '/a/b/c']);
    assert.deepEqual(order('/s:/b', '/s:/a', '/s:/c'), ['/b', '/a', '/c']);
    assert.deepEqual(order(), []);
  });

  test('have a destination each', () => {
    const points = [parseMountRaw('/a:/x/'), parseTmpfs('/y'), parseMountSpec({ type: 'volume', source: 'v', target: '/a/../x' })];
    assert.throws(() => inMountOrder(points), { code: 'UFS_USAGE', message: 'Duplicate mount point: /x' });
    assert.throws(() => inMountOrder([parseTmpfs('/y/'), parseMountRaw('v:/y')]), { code: 'UFS_USAGE', message: 'Duplicate mount point: /y' });
  });

  test('have volumes of any name', () => {
    for (const name of ['', 'a', '../x', '/etc', 'ü', ' ', 'x'.repeat(300), 'con']) validateVolumeName(name);
  });
});
