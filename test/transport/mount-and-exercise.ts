import { execFile } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { mount, type MountOptions, unmount } from '../../fs/transport/mount.ts';
import type { ServeMemory } from './serve-memory.ts';

const run = promisify(execFile);

export interface Mounted {
  directory: string;
  fd: number;
  worker: Worker;
  /** Wakes the server. */
  wakeFd: number;
  /** Runs a shell script in the mount; its output. Never from the serving thread. */
  shell(script: string): Promise<string>;
  /** Unmounts and waits until the server has ended; its messages. */
  end(): Promise<unknown[]>;
}

/** Mounts a memory file system that a worker serves. */
export async function mountMemory(options: MountOptions = {}, serve: Partial<ServeMemory> = {}): Promise<Mounted> {
  const directory = mkdtempSync(join(tmpdir(), 'ufs-mount-'));
  const fd = mount(directory, options);
  const messages: unknown[] = [];
  const worker = new Worker(new URL('./serve-memory.js', import.meta.url), {
    workerData: { fds: [fd], wanted: { passthrough: false, writebackCache: true }, ...serve }, transferList: serve.port === undefined ? [] : [serve.port],
  });
  worker.on('message', (message) => messages.push(message));
  const [{ wakeFd }] = await once(worker, 'message') as [{ wakeFd: number }];
  return {
    directory, fd, worker, wakeFd,
    shell: async (script) => (await run('sh', ['-euc', script], { cwd: directory, timeout: 30_000, env: { ...process.env, LC_ALL: 'C' } })).stdout,
    end: async () => {
      unmount(directory, { lazy: true });
      await once(worker, 'exit');
      rmdirSync(directory);
      return messages;
    },
  };
}

/** What every mount must do, whoever made it; its output is `EXERCISED`. */
export const EXERCISE = `
  umask 027
  echo hello > a; cat a; stat -c '%a %s %F' a
  mkdir d; touch d/x; ls d; ln -s a l; readlink l; mv a b; ln b c; stat -c %h c; rm b; cat c
  chmod 4711 c; stat -c %a c; touch -d @1.5 c; stat -c %.9Y c
  printf %s more >> c; cat c; echo; truncate -s 3 c; cat c; echo
  dd if=/dev/zero of=big bs=1M count=5 status=none; cp big copy; cmp big copy; stat -c %s copy
  for i in $(seq 500); do echo > d/$i; done; ls d | wc -l
  rm -r d; test ! -e d; ls -A
`;
export const EXERCISED = 'hello\n640 6 regular file\nx\na\n2\nhello\n4711\n1.500000000\nhello\nmore\nhel\n5242880\n501\nbig\nc\ncopy\nl\n';

// As a program: exercises a mount as the user, or in the user namespace, it runs in.
if (process.argv[1] === import.meta.filename) {
  const mounted = await mountMemory({ allowOther: process.geteuid?.() === 0 });
  try {
    process.stdout.write(await mounted.shell(EXERCISE));
  } finally {
    await mounted.end();
  }
}
