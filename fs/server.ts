import type { FileSystem } from './file-system.ts';
import { POLLIN } from './host/constants.ts';
import { clearEventfd, eventfd, poll, signalEventfd } from './host/process.ts';
import { close } from './host/at.ts';
import type { Wanted } from './protocol/init.ts';
import { DeviceChannel, NOTHING, UNMOUNTED } from './transport/dev-fuse.ts';
import { Notifier } from './transport/notify.ts';
import { Exchange, Session } from './transport/session.ts';

/** One mount to serve. */
export interface Mount {
  /** An open /dev/fuse that is mounted; the server closes it in the end. */
  fd: number;
  fileSystem: FileSystem;
  wanted: Wanted;
  /** As in `SessionOptions`. */
  refused?: ReadonlySet<number>;
  validity?: number;
  /** The mount is gone, and the file system has been destroyed. */
  onEnd?: () => void;
  trace?: (line: string) => void;
}

export interface ServerOptions {
  /** Called in the loop after each `wake`: the place to drain message ports. */
  onWake?: () => void;
  /**
   * Called when the mounts were used and have then been silent for a while (`QUIET`): the time for what holds the loop up, such as collecting garbage. Where it
   * answers true it is called again after as long a silence.
   */
  onQuiet?: () => boolean;
  /** A mistake in a file system (its caller got EIO). By default it goes to stderr. */
  onError?: (error: unknown) => void;
}

interface Serving {
  mount: Mount;
  channel: DeviceChannel;
  session: Session;
}

/** Requests of one mount before the others have their turn. */
const BURST = 32;
/**
 * Polls that don't wait, before one that does: the next request of the same caller mostly comes sooner than a thread falls asleep and wakes. Measured with
 * a loop of getxattr on two cores, microseconds each: 65 with none, 65 with 16, 43 with 64, 21 with 200 (some 70 microseconds of polling).
 */
const SPINS = 200;
/** Milliseconds until promises that nobody announces by `wake` (timers, node:fs) are looked after. */
const PENDING_PAUSE = 1;
/** Milliseconds without a request after which the mounts are taken to be quiet. */
const QUIET = 1000;
/** Bursts after which Node's own events get a turn on a busy server. */
const TURN_AFTER = 256;

/**
 * The request loop: many mounts on one thread. It waits in poll(2), which holds up everything else of the thread, so the thread is best a worker; promises,
 * messages and timers have their turn after a `wake`, after a signal, and while a request is pending. Helper threads call `wake` (or write to `wakeFd`, an
 * eventfd, from any thread) when they have put a result where `onWake` finds it.
 */
export class FuseServer {
  readonly wakeFd = eventfd();
  private readonly options: ServerOptions;
  private readonly notifier = new Notifier();
  private readonly exchange = new Exchange();
  private readonly serving: Serving[] = [];
  private polled = Buffer.alloc(0);
  private stopping = false;
  /** Promises `hold` was told of that aren't settled. */
  private held = 0;

  constructor(options: ServerOptions = {}) {
    this.options = options;
    this.watch();
  }

  get mounts(): number {
    return this.serving.length;
  }

  /** Serves a mount from the next turn of the loop on. Called in the server's own thread. */
  add(mount: Mount): Session {
    const channel = new DeviceChannel(mount.fd, this.notifier);
    const { fileSystem, wanted, refused, validity, trace } = mount;
    const session = new Session({
      fileSystem, wanted, channel, exchange: this.exchange, onError: (error) => this.report(error),
      ...(refused === undefined ? {} : { refused }), ...(validity === undefined ? {} : { validity }), ...(trace === undefined ? {} : { trace }),
    });
    this.serving.push({ mount, channel, session });
    this.watch();
    return session;
  }

  /** Gives Node's events their turns until a promise has settled: what goes on in this thread besides the mounts, such as opening the next one's layers. */
  hold(work: Promise<unknown>): void {
    this.held += 1;
    const done = (): void => void (this.held -= 1);
    work.then(done, done);
  }

  /** Makes the loop look up from poll(2). */
  wake(): void {
    signalEventfd(this.wakeFd);
  }

  /** Ends `run` after the request at hand; the connections are closed, and what is still mounted answers ENOTCONN. */
  stop(): void {
    this.stopping = true;
    this.wake();
  }

  /** Serves until `stop`; with `untilIdle`, until the last mount is gone. */
  async run(how: { untilIdle?: boolean } = {}): Promise<void> {
    let bursts = 0;
    let idle = 0;
    let used = false;
    while (!this.stopping && !(how.untilIdle === true && this.serving.length === 0)) {
      const pending = this.held > 0 || this.serving.some(({ session }) => session.pending > 0);
      const untilQuiet = used && this.options.onQuiet !== undefined ? QUIET : -1;
      const ready = poll(this.polled, this.polled.length / 8, idle < SPINS ? 0 : pending ? PENDING_PAUSE : untilQuiet);
      const waited = idle >= SPINS;
      if (ready === 0) {
        idle += 1;
        if (waited && !pending) used = this.options.onQuiet?.() === true;
        if (waited || pending) await turn();
        continue;
      }
      idle = 0;
      const woken = this.polled.readUInt16LE(6) !== 0;
      if (woken) {
        clearEventfd(this.wakeFd);
        this.options.onWake?.();
      }
      if (this.serveReady() > 0) used = true;
      bursts += 1;
      if (woken || pending || bursts >= TURN_AFTER) {
        bursts = 0;
        await turn();
      }
    }
    while (this.serving.length > 0) this.remove(this.serving.length - 1);
    await this.notifier.stop();
    close(this.wakeFd);
  }

  /** How many requests (or ends of mounts) there were. */
  private serveReady(): number {
    let served = 0;
    for (let index = this.serving.length - 1; index >= 0; index -= 1) {
      // Mounts added meanwhile are behind those that were polled.
      if (index * 8 + 14 >= this.polled.length || this.polled.readUInt16LE(index * 8 + 14) === 0) continue;
      const { channel, session } = this.serving[index] as Serving;
      for (let count = 0; count < BURST; count += 1) {
        const length = channel.receive(this.exchange.request);
        if (length === NOTHING) break;
        served += 1;
        if (length === UNMOUNTED) {
          this.remove(index);
          break;
        }
        session.handle(length);
      }
    }
    return served;
  }

  private remove(index: number): void {
    const [gone] = this.serving.splice(index, 1) as [Serving];
    this.watch();
    gone.session.end();
    gone.channel.close();
    gone.mount.onEnd?.();
  }

  /** Writes the struct pollfd's: the eventfd's, then one a mount. */
  private watch(): void {
    this.polled = Buffer.alloc(8 * (1 + this.serving.length));
    [this.wakeFd, ...this.serving.map(({ channel }) => channel.fd)].forEach((fd, index) => {
      this.polled.writeInt32LE(fd, index * 8);
      this.polled.writeUInt16LE(POLLIN, index * 8 + 4);
    });
  }

  private report(error: unknown): void {
    if (this.options.onError !== undefined) this.options.onError(error);
    else console.error(error);
  }
}

/** One turn of Node's event loop: microtasks, messages, timers that are due. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
