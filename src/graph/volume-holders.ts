import { UsersFile } from './users-file.ts';

/** How often somebody has a volume: for sure, and from before those who have it may have forgotten that. */
interface Held {
  sure: number;
  doubtful: number;
}

/**
 * Who has which volume, and how often, on disk. Docker has one twice by the same id during `docker cp`, and forgets what it had when it is killed: whose holders these are says when that may
 * have happened (`doubt`), and they count on, as doubtful.
 */
export class VolumeHolders {
  readonly #file: UsersFile;
  readonly #volumes = new Map<string, Map<string, Held>>();

  constructor(path: string) {
    this.#file = new UsersFile(path);
    for (const [key, count] of this.#file.read()) {
      const [, volume, kind, holder] = /^([^/]*)\/(sure|doubtful)\/(.*)$/s.exec(key) as unknown as [string, string, keyof Held, string];
      this.#held(volume, holder)[kind] = count;
    }
  }

  /** How often each has it, for sure or not. */
  of(volume: string): { holder: string; count: number; doubtful: boolean }[] {
    return [...(this.#volumes.get(volume) ?? [])].map(([holder, { sure, doubtful }]) => ({ holder, count: sure + doubtful, doubtful: sure === 0 }));
  }

  /** Those that are held. */
  volumes(): string[] {
    return [...this.#volumes.keys()];
  }

  take(volume: string, holder: string): void {
    this.#held(volume, holder).sure += 1;
    this.#save();
  }

  /** Gives it back once; whether this holder had it. */
  give(volume: string, holder: string): boolean {
    const holders = this.#volumes.get(volume);
    const held = holders?.get(holder);
    if (holders === undefined || held === undefined) return false;
    // What was taken last is given back first: what was forgotten stays.
    held[held.sure > 0 ? 'sure' : 'doubtful'] -= 1;
    if (held.sure + held.doubtful === 0) holders.delete(holder);
    if (holders.size === 0) this.#volumes.delete(volume);
    this.#save();
    return true;
  }

  /** Some of them may have forgotten what they have. */
  doubt(isMeant: (holder: string) => boolean): void {
    for (const holders of this.#volumes.values()) {
      for (const [holder, held] of holders) if (isMeant(holder)) Object.assign(held, { sure: 0, doubtful: held.sure + held.doubtful });
    }
    this.#save();
  }

  /** Somebody has it who gave it back once too often. */
  keep(volume: string, holder: string): void {
    this.#held(volume, holder).doubtful += 1;
    this.#save();
  }

  forget(volume: string): void {
    if (this.#volumes.delete(volume)) this.#save();
  }

  #held(volume: string, holder: string): Held {
    const holders = this.#volumes.get(volume) ?? new Map<string, Held>();
    const held = holders.get(holder) ?? { sure: 0, doubtful: 0 };
    this.#volumes.set(volume, holders.set(holder, held));
    return held;
  }

  #save(): void {
    const counts = [...this.#volumes].flatMap(([volume, holders]) => [...holders].flatMap(([holder, held]) => (['sure', 'doubtful'] as const).map((kind): [string, number] => [`${volume}/${kind}/${holder}`, held[kind]])));
    this.#file.write(counts.filter(([, count]) => count > 0));
  }
}
