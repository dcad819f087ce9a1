import { type Logger, pino } from 'pino';

export type { Logger };

/** JSON lines for a daemon's log file, at a level of pino's ("info" unless said otherwise). Written at once: the last line before a crash is there. */
export function fileLogger(path: string, level = 'info'): Logger {
  return pino({ level, base: { pid: process.pid } }, pino.destination({ dest: path, sync: true, mode: 0o600 }));
}
