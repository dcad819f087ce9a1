import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountInfo, unescapeMount } from '../../fs/transport/mounts.ts';

test('a mount point with spaces, newlines and backslashes is read as it is', () => {
  assert.equal(unescapeMount('/a\\040b\\011c\\012d\\134e'), '/a b\tc\nd\\e');
});

test('mountinfo lines are read past any number of optional fields', () => {
  const text = [
    '42 27 0:39 / /mnt/a\\040b rw,relatime - fuse.ufs ufs rw,user_id=0',
    '43 27 0:40 / /mnt/c ro,nosuid shared:1 master:2 - ext4 /dev/vda1 rw',
    '',
  ].join('\n');
  assert.deepEqual(parseMountInfo(text), [
    { id: 42, device: '0:39', target: '/mnt/a b', options: 'rw,relatime', propagation: '', type: 'fuse.ufs', source: 'ufs', superOptions: 'rw,user_id=0' },
    { id: 43, device: '0:40', target: '/mnt/c', options: 'ro,nosuid', propagation: 'shared:1 master:2', type: 'ext4', source: '/dev/vda1', superOptions: 'rw' },
  ]);
});
