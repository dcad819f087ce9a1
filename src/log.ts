import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';

export type { Logger };

/** Bytes after which a log file becomes "<path>.1", and its predecessor goes. */
const LOG_MAX = 1 << 20;

/** JSON lines for a daemon's log file, at a level of pino's ("info" unless said otherwise). Written at once: the last line before a crash is there. */
export function fileLogger(path: string, level = 'info', max = LOG_MAX): Logger {
  let fd = openSync(path, 'a', 0o600);
  let size = fstatSync(fd).size;
  const write = (line: string): void => {
    try {
      if (size > 0 && size + line.length > max) {
        renameSync(path, `${path}.1`);
        closeSync(fd);
        fd = openSync(path, 'a', 0o600);
        size = 0;
      }
      size += writeSync(fd, line);
    } catch {
      // A full disk: what is served matters more than what is told of it.
    }
  };
  return pino({ level, base: { pid: process.pid } }, { write });
}
