import { constants, openSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { AT_FDCWD } from '../../fs/host/constants.ts';
import { mknodAt } from '../../fs/host/make.ts';
import { nameFromText } from '../../fs/name.ts';
import { S_IFIFO } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';
import type { Mounter } from '../mount/mounter.ts';
import { isOnFuse } from '../mount/stacked.ts';
import { mountAsked } from './mount-asked.ts';
import { hasMountNeighbours, hasUserNeighbours } from './neighbours.ts';
import { answer, type Request, takeRequests } from './requests.ts';

/** Milliseconds between two looks at whether there is still a use for it. */
const LOOK = 2000;
/** Milliseconds between two looks at whether anybody can still get to its mounts. */
const LOOK_AT_MOUNTS = 5000;

export interface OverlayServerOptions {
  /** The directory in which it meets the mount program. */
  place: string;
  mounter: Mounter;
  /** Milliseconds it stays without a mount, as long as there is anybody else who could want one. */
  idle: number;
  /** Whether it may serve mounts on FUSE mounts: it serves none of these itself. */
  stacked: boolean;
}

/** Mounts what mount programs ask for, until there is no use for it any more. */
export class OverlayServer {
  readonly #options: OverlayServerOptions;
  #mounting = 0;
  #lastUsed = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #ended: () => void = () => {};

  constructor(options: OverlayServerOptions) {
    this.#options = options;
  }

  /** Takes requests; answers when it has been without mounts for long enough, or nobody else is left in its user namespace. */
  async run(): Promise<void> {
    const { place } = this.#options;
    const leave = (): void => this.#leave();
    process.once('exit', leave);
    const bell = this.#makeBell();
    bell.on('data', () => this.#look());
    writeFileSync(join(place, 'pid'), `${process.pid}\n`, { mode: 0o600 });
    const ended = new Promise<void>((resolve) => (this.#ended = resolve));
    this.#look();
    this.#rest();
    await ended;
    bell.destroy();
    // Not again at the exit: what is there then may be the next one's.
    process.off('exit', leave);
    leave();
  }

  #makeBell(): Socket {
    const path = join(this.#options.place, 'bell');
    rmSync(path, { force: true });
    mknodAt(AT_FDCWD, nameFromText(path), S_IFIFO | 0o600);
    // Open for writing as well, it never comes to its end.
    return new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK) });
  }

  /** Who comes now finds nobody, and starts the next one. */
  #leave(): void {
    const { place } = this.#options;
    for (const name of ['pid', 'bell']) rmSync(join(place, name), { force: true });
    try {
      rmdirSync(place);
    } catch {
      // A request that came just now: the next server takes it.
    }
  }

  #look(): void {
    for (const request of takeRequests(this.#options.place)) {
      this.#mounting += 1;
      void this.#handle(request).finally(() => {
        this.#mounting -= 1;
        this.#used();
      });
    }
  }

  async #handle(request: Request): Promise<void> {
    try {
      const { spec, unknown } = mountAsked(request);
      const stacked = !this.#options.stacked && (await isOnFuse(spec));
      if (!stacked) void (await this.#options.mounter.mount(spec)).ended.then(() => this.#used());
      answer(request, [...unknown.map((word) => `says unknown argument ignored: ${word}`), stacked ? 'stacked' : 'mounted']);
    } catch (error) {
      answer(request, [`failed ${error instanceof UfsError ? error.message : String((error as Error).stack)}`]);
    }
  }

  #used(): void {
    this.#lastUsed = Date.now();
    this.#rest();
  }

  #rest(): void {
    clearTimeout(this.#timer);
    const inUse = this.#mounting > 0 || this.#options.mounter.mounts().length > 0;
    if (this.#isUseless(inUse)) this.#ended();
    else this.#timer = setTimeout(() => this.#rest(), inUse ? LOOK_AT_MOUNTS : Math.min(LOOK, this.#options.idle));
  }

  #isUseless(inUse: boolean): boolean {
    const idle = Date.now() - this.#lastUsed;
    if (inUse) return idle >= LOOK_AT_MOUNTS && !hasUserNeighbours();
    return idle >= this.#options.idle || (idle >= LOOK && !hasMountNeighbours());
  }
}
