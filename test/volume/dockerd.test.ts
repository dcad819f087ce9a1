import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Mount, type MountPoint, parseMountRaw, parseMountSpec, parseTmpfs, tmpfsMountOptions } from '../../src/index.ts';
import { Dockerd } from '../e2e/dockerd.ts';
import { needsDocker } from '../e2e/served-driver.ts';
import { Bench } from '../helpers/cli.ts';
import { inApi } from './api-words.ts';
import { post } from './docker-api.ts';
import { FROM_CASES, TMPFS_CASES } from './other-cases.ts';
import { RAW_CASES, RAW_COMBINATIONS } from './raw-cases.ts';
import { SPEC_CASES } from './spec-cases.ts';

/** What `docker inspect` tells of a mount. */
interface Inspected {
  Type: string;
  Name?: string;
  Source: string;
  Destination: string;
  Driver?: string;
  Mode: string;
  RW: boolean;
  Propagation: string;
}

describe('dockerd takes and refuses what the tables say', { skip: needsDocker }, () => {
  let bench: Bench;
  let dockerd: Dockerd;
  let isKnown = false;
  before(async () => {
    bench = new Bench();
    dockerd = await Dockerd.start(bench, 'docker');
    bench.sh('mkdir -p root/bin && cp /bin/busybox root/bin/ && tar -C root -cf root.tar .');
    dockerd.docker('import', bench.path('root.tar'), 'base');
    isKnown = dockerd.docker('version', '--format', '{{.Server.Version}}').startsWith('20.10.');
  });
  after(async () => {
    await dockerd?.stop();
    bench?.close();
  });

  const create = async (hostConfig: object): Promise<{ id: string; error: string }> => {
    const { answer } = await post(bench.path('docker/socket'), '/v1.41/containers/create', { Image: 'base', Cmd: ['/bin/busybox', 'true'], HostConfig: { NetworkMode: 'none', ...hostConfig } });
    return { id: answer.Id ?? '', error: answer.message ?? '' };
  };
  /** What it makes of these, all in one container. */
  const inspected = async (hostConfig: object): Promise<Map<string, Inspected>> => {
    const { id, error } = await create(hostConfig);
    assert.equal(error, '');
    const [{ Mounts }] = JSON.parse(dockerd.docker('inspect', id)) as [{ Mounts: Inspected[] }];
    return new Map(Mounts.map((mount) => [mount.Destination, mount]));
  };
  /** 20.10 says some things in other words: what a newer one says is in the table as the parser's. */
  const expected = ({ error, older }: { error?: string; older?: string }): string => (isKnown ? older : undefined) ?? error ?? '';
  /** Where a source has dockerd's own data below it, by its letters, dockerd chooses another propagation. */
  const holdsData = (source: string): boolean => bench.path('docker/data').startsWith(source);
  /** What a mount point looks like there once its volume is made. */
  const shown = ({ type, name, source, destination, mode, rw, propagation, spec }: MountPoint, { Name, Source, Driver }: Inspected): Inspected => {
    if (type === 'tmpfs') return { Type: type, Source: '', Destination: destination, Mode: mode, RW: rw, Propagation: propagation };
    if (type === 'bind') return { Type: type, Source: source, Destination: destination, Mode: mode, RW: rw, Propagation: holdsData(spec.source as string) && spec.bindOptions === undefined ? 'rslave' : propagation };
    return { Type: type, Name: name || (Name as string), Source, Destination: destination, Driver: Driver as string, Mode: mode || 'z', RW: rw, Propagation: propagation };
  };
  const compare = (points: readonly MountPoint[], mounts: Map<string, Inspected>): void => {
    const there = points.map((point) => mounts.get(point.destination) as Inspected);
    assert.deepEqual(there, points.map((point, at) => shown(point, there[at] as Inspected)));
  };

  test('-v: each that is refused, in its words', async () => {
    const refused = [...RAW_CASES, ...RAW_COMBINATIONS.filter((_, at) => at % 23 === 0)].filter(({ point, parserOnly }) => point === undefined && parserOnly === undefined);
    const errors = await Promise.all(refused.map(async ({ raw, driver = '' }) => (await create({ Binds: [raw], VolumeDriver: driver })).error));
    assert.deepEqual(refused.map(({ raw }, at) => [raw, errors[at]]), refused.map((one) => [one.raw, expected(one)]));
  });

  test('-v: all that are taken, and what they are', async () => {
    const written = RAW_CASES.filter(({ point, parserOnly }) => point !== undefined && parserOnly === undefined).map(({ raw, driver = '' }) => ({ raw, driver }));
    const combined = RAW_COMBINATIONS.filter(({ point }) => point !== undefined).map(({ raw }, at) => ({ raw: raw.replace('/in/container', `/in/container${at}`), driver: '' }));
    for (let left = [...written, ...combined]; left.length > 0; ) {
      // Those of a container have one driver, and a destination each.
      const batch = new Map(left.filter(({ driver }) => driver === left[0]?.driver).map((one) => [parseMountRaw(one.raw, one.driver).destination, one]));
      const ones = [...batch.values()];
      compare(ones.map(({ raw, driver }) => parseMountRaw(raw, driver)), await inspected({ Binds: ones.map(({ raw }) => raw), VolumeDriver: ones[0]?.driver }));
      left = left.filter((one) => !ones.includes(one));
    }
  });

  test('mounts of the API: each that is refused, in its words', async () => {
    const refused = SPEC_CASES.filter((one) => one.parserOnly === undefined && expected(one) !== '');
    const errors = await Promise.all(refused.map(async ({ spec }) => (await create({ Mounts: [inApi(spec)] })).error));
    assert.deepEqual(refused.map(({ spec }, at) => [spec, errors[at]]), refused.map((one) => [one.spec, expected(one)]));
  });

  test('mounts of the API: all that are taken, and what they are', async () => {
    const taken = SPEC_CASES.filter((one) => one.point !== undefined && one.parserOnly === undefined && expected(one) === '');
    const specs = taken.map(({ spec }, at): Mount => ({ ...spec, target: `${spec.target}/${at}` }));
    compare(specs.map((spec) => parseMountSpec(spec, () => true)), await inspected({ Mounts: specs.map(inApi) }));
  });

  test('two for one destination', async () => {
    assert.equal((await create({ Binds: ['/tmp:/x', 'name:/x/'] })).error, 'Duplicate mount point: /x');
    assert.equal((await create({ Binds: ['/tmp:/x/../y', 'name:/y'] })).error, 'Duplicate mount point: /y');
  });

  test('--volumes-from', async () => {
    dockerd.docker('create', '--name', 'source', '-v', 'from:/data', 'base', '/bin/busybox');
    const errors = await Promise.all(FROM_CASES.map(async ({ spec }) => (await create({ VolumesFrom: [spec] })).error));
    assert.deepEqual(FROM_CASES.map(({ spec }, at) => [spec, errors[at]]), FROM_CASES.map((one) => [one.spec, expected(one)]));
  });

  test('--tmpfs: each that is refused, at once or when it starts, in its words', () => {
    const refused = TMPFS_CASES.filter(({ tmpfs }) => tmpfs === undefined);
    const errors = refused.map(({ expression }) => {
      const { err } = dockerd.try('run', '--rm', '--network', 'none', '--tmpfs', expression, 'base', '/bin/busybox', 'true');
      return /Error response from daemon: (.*)\.\n/.exec(err)?.[1] ?? err;
    });
    assert.deepEqual(refused.map(({ expression }, at) => [expression, errors[at]]), refused.map((one) => [one.expression, expected(one)]));
  });

  test('--tmpfs: those that are mounted have the options we give', () => {
    const expressions = TMPFS_CASES.filter(({ tmpfs }) => tmpfs?.destination === '/x').map(({ expression }, at) => expression.replace(/^[^:]*/, `/x${at}`));
    const mounts = dockerd.docker('run', '--rm', '--network', 'none', ...expressions.flatMap((expression) => ['--tmpfs', expression]), 'base', '/bin/busybox', 'cat', '/proc/mounts').split('\n').map((line) => line.split(' '));
    for (const expression of expressions) {
      const point = parseTmpfs(expression);
      const shown = mounts.find(([, target]) => target === point.destination)?.[3]?.split(',') ?? [];
      const options = tmpfsMountOptions(point);
      const common = (words: readonly string[]): string[] => ['ro', 'noexec', 'nosuid', 'nodev', 'sync', 'dirsync', 'noatime', 'nodiratime', 'mode=700', 'uid=1', 'gid=2', 'nr_inodes=100'].filter((word) => words.includes(word));
      assert.deepEqual(common(shown), common(options), expression);
      assert.equal(shown.includes('size=2048k'), options.includes('size=2m'), expression);
    }
  });
});
