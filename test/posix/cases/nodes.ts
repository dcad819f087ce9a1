import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { mknodAt } from '../../../fs/host/make.ts';
import { statPath } from '../../../fs/host/at.ts';
import { AT_FDCWD, O_RDWR } from '../../../fs/host/constants.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK } from '../../../fs/stat.ts';
import { fails, file, names, node, permissions, stat, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';

export const nodeCases: PosixCases = {
  'mknod makes fifos, sockets and empty files': {
    run(dir) {
      for (const [name, type] of [['p', S_IFIFO], ['s', S_IFSOCK], ['f', S_IFREG]] as const) {
        mknodAt(AT_FDCWD, `${dir}/${name}`, type | 0o620);
        assert.equal(Number(stat(`${dir}/${name}`).mode), type | 0o620);
        fails('EEXIST', () => mknodAt(AT_FDCWD, `${dir}/${name}`, type | 0o620));
      }
      assert.deepEqual(names(dir), ['f', 'p', 's']);
    },
  },
  'mknod makes devices with any number': {
    hostRoot: true,
    run(dir) {
      for (const [name, type, major, minor] of [['null', S_IFCHR, 1, 3], ['disk', S_IFBLK, 8, 17], ['big', S_IFCHR, 4095, 1048575]] as const) {
        mknodAt(AT_FDCWD, `${dir}/${name}`, type | 0o666, major, minor);
        const now = statPath(`${dir}/${name}`);
        assert.deepEqual([now.mode, now.rdevMajor, now.rdevMinor], [type | 0o666, major, minor]);
      }
    },
  },
  'a device there keeps its number when mode, owner and times change': {
    hostRoot: true,
    fixture: { null: node(S_IFCHR, 1, 3) },
    run(dir) {
      fs.chmodSync(`${dir}/null`, 0o600);
      fs.chownSync(`${dir}/null`, 5, 6);
      fs.utimesSync(`${dir}/null`, 1, 2);
      fs.renameSync(`${dir}/null`, `${dir}/zero`);
      const now = statPath(`${dir}/zero`);
      assert.deepEqual([now.mode, now.rdevMajor, now.rdevMinor, now.uid, now.gid, now.mtimeSec], [S_IFCHR | 0o600, 1, 3, 5, 6, 2]);
    },
  },
  'what goes into a fifo comes out': {
    fixture: { p: node(S_IFIFO) },
    run(dir) {
      withFile(`${dir}/p`, O_RDWR, (fd) => {
        fs.writeSync(fd, 'through');
        const bytes = Buffer.alloc(7);
        fs.readSync(fd, bytes);
        assert.equal(bytes.toString(), 'through');
      });
      fs.chmodSync(`${dir}/p`, 0o600);
      assert.equal(permissions(`${dir}/p`), 0o600);
      assert.ok(fs.lstatSync(`${dir}/p`).isFIFO());
      fails('ENXIO', () => fs.openSync(`${dir}/p`, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK));
    },
  },
  'a server listens and is reached on a socket': {
    async run(dir) {
      const server = net.createServer((connection) => connection.end('hello'));
      await new Promise<void>((resolve, reject) => server.on('error', reject).listen(`${dir}/s`, resolve));
      try {
        assert.ok(fs.lstatSync(`${dir}/s`).isSocket());
        const reply = await new Promise<string>((resolve, reject) => {
          net.connect(`${dir}/s`).on('error', reject).on('data', (data) => resolve(data.toString()));
        });
        assert.equal(reply, 'hello');
        fails('ENXIO', () => fs.openSync(`${dir}/s`, 'r'));
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    },
  },
  'a socket nobody listens on refuses': {
    fixture: { s: node(S_IFSOCK), f: file() },
    async run(dir) {
      const code = await new Promise((resolve) => net.connect(`${dir}/s`).on('error', (error: NodeJS.ErrnoException) => resolve(error.code)));
      assert.equal(code, 'ECONNREFUSED');
    },
  },
};
