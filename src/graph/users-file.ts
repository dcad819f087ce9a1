import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';

/** What the file holds. */
interface Users {
  /** When the machine was started: no mount, and no user of one, is older. */
  boot: string;
  users: [key: string, users: number][];
}

/** How many have each mount, in a file that outlives the process, but not the machine's next start. */
export class UsersFile {
  readonly #path: string;
  readonly #boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

  constructor(path: string) {
    this.#path = path;
  }

  /** Nothing where there is no file, or one of before the machine's start. */
  read(): Users['users'] {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
    try {
      const { boot, users } = JSON.parse(text) as Users;
      return boot === this.#boot ? users : [];
    } catch {
      // The kernel's crash may leave half a file, and takes the mounts along.
      return [];
    }
  }

  /** The file is there as a whole or as it was, whenever the process is killed. */
  write(users: Users['users']): void {
    const aside = `${this.#path}.new`;
    writeFileSync(aside, JSON.stringify({ boot: this.#boot, users } satisfies Users), { mode: 0o600 });
    renameSync(aside, this.#path);
  }
}
