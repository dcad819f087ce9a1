import { writeFileSync } from 'node:fs';
import { needsProgram } from '../helpers/needs.ts';

/** The ids that the user may give away. */
export const SUBORDINATE = { first: 300_000, count: 65_536 };

/** Why there can't be such a user here; false where there can. */
export const needsSubordinateUser: string | false = needsProgram('newuidmap') || needsProgram('setpriv') || needsProgram('unshare');

/** An unprivileged user with subordinate ids, whom only the commands that are run as them know of: they see account files of their own. */
export class SubordinateUser {
  static readonly id = 64_321;
  readonly #files: string;

  /** Writes the account files to a directory that is there. */
  constructor(directory: string) {
    const { first, count } = SUBORDINATE;
    const files = {
      passwd: `root:x:0:0:root:/root:/bin/sh\nufstest:x:${SubordinateUser.id}:${SubordinateUser.id}::/:/bin/sh\n`, group: `root:x:0:\nufstest:x:${SubordinateUser.id}:\n`,
      subuid: `ufstest:${first}:${count}\n`, subgid: `ufstest:${first}:${count}\n`,
    };
    this.#files = directory;
    for (const [name, text] of Object.entries(files)) writeFileSync(`${directory}/${name}`, text);
  }

  /** The words that run a command as this user, in the directory it is run in. */
  command(argv: readonly string[]): string[] {
    const accounts = ['passwd', 'group', 'subuid', 'subgid'].map((name) => `mount --bind ${this.#files}/${name} /etc/${name}`).join(' && ');
    const id = SubordinateUser.id;
    return ['unshare', '-m', '--propagation', 'slave', '/bin/sh', '-c', `${accounts} && exec "$@"`, 'sh', 'setpriv', `--reuid=${id}`, `--regid=${id}`, '--clear-groups', ...argv];
  }
}
