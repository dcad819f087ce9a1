import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT_DRIVER, type Driver, parseMountRaw, VolumeDrivers, type VolumeScope } from '../../src/index.ts';
import { DirectoryDriver } from './directory-driver.ts';

const driver = (name: string, scope: VolumeScope = 'local'): Driver => new DirectoryDriver(name, '/nowhere', scope);

test('a driver is found by its name until it is taken out', () => {
  const drivers = new VolumeDrivers();
  const fake = driver('fake');
  drivers.register(fake);
  assert.equal(drivers.get('fake'), fake);
  drivers.unregister('fake');
  assert.throws(() => drivers.get('fake'), { code: 'UFS_VOLUME_DRIVER_NOT_FOUND', message: 'volume driver not found: fake' });
  assert.throws(() => drivers.unregister('fake'), { code: 'UFS_VOLUME_DRIVER_NOT_FOUND', message: 'volume driver not found: fake' });
  drivers.register(fake);
});

test('the driver without a name is the default', () => {
  const drivers = new VolumeDrivers();
  assert.throws(() => drivers.get(''), { code: 'UFS_VOLUME_DRIVER_NOT_FOUND', message: 'volume driver not found: local' });
  const local = driver(DEFAULT_DRIVER);
  drivers.register(local);
  assert.deepEqual([drivers.get(''), drivers.get('local')], [local, local]);
});

test('a name is given once', () => {
  const drivers = new VolumeDrivers();
  const first = driver('twice');
  drivers.register(first);
  assert.throws(() => drivers.register(driver('twice')), { code: 'UFS_VOLUME_DRIVER_EXISTS', message: 'Cannot register a volume driver as "twice": there is one of that name' });
  assert.throws(() => drivers.register(driver('other'), 'twice'), { code: 'UFS_VOLUME_DRIVER_EXISTS' });
  drivers.register(first, 'another');
  assert.deepEqual([drivers.get('twice'), drivers.get('another')], [first, first]);
});

test('names are listed in order', () => {
  const drivers = new VolumeDrivers();
  assert.deepEqual(drivers.names(), []);
  for (const name of ['ufs', 'local', 'vieux/sshfs:latest', 'a']) drivers.register(driver(name));
  assert.deepEqual(drivers.names(), ['a', 'local', 'ufs', 'vieux/sshfs:latest']);
});

for (const name of ['', ' ', 'a b', '/a', '-a', '.a', '_a', 'ü', 'a\n', 'a\0', '../a', 'a,b']) {
  test(`a driver can't be called ${JSON.stringify(name)}`, () => {
    const message = name === '' ? 'driver name cannot be empty' : /^Cannot register a volume driver as ".*": a name has letters/;
    assert.throws(() => new VolumeDrivers().register(driver('fake'), name), { code: 'UFS_USAGE', message });
  });
}

for (const name of ['a', 'A1', 'local', 'rexray/ebs', 'vieux/sshfs:latest', 'registry.example:5000/x/y@sha256:00', 'a_b-c.d']) test(`a driver can be called ${name}`, () => new VolumeDrivers().register(driver(name)));

for (const scope of ['local', 'global'] as const) test(`the scope of a driver can be ${scope}`, () => new VolumeDrivers().register(driver('fake', scope)));

for (const scope of ['', 'Local', 'GLOBAL', 'cluster', 'swarm']) {
  test(`the scope of a driver can't be "${scope}"`, () => {
    const drivers = new VolumeDrivers();
    assert.throws(() => drivers.register(driver('fake', scope as VolumeScope)), { code: 'UFS_USAGE', message: `Driver "fake" provided an invalid capability scope: ${scope}` });
    assert.deepEqual(drivers.names(), []);
  });
}

test('a mount point\'s driver makes its volume, which it mounts', async () => {
  const root = mkdtempSync(join(tmpdir(), 'ufs-drivers-'));
  try {
    const drivers = new VolumeDrivers();
    drivers.register(new DirectoryDriver('directories', root));
    const point = parseMountRaw('data:/data', 'directories');
    point.volume = await drivers.get(point.driver).create(point.name, {});
    assert.equal((await point.setup()).path, join(root, 'data'));
    await point.cleanup();
    const again = await drivers.get('directories').get('data');
    assert.deepEqual([again.driverName, await again.path()], ['directories', join(root, 'data')]);
    await drivers.get('directories').remove(again);
    assert.deepEqual(await drivers.get('directories').list(), []);
    await assert.rejects(drivers.get('directories').get('data'), /no such volume: data/);
  } finally {
    rmSync(root, { recursive: true });
  }
});
