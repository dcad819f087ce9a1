/** Milliseconds after which finding something out took long. */
const LONG = 20;
/** How much longer than it took it is good for. */
const GOOD_FOR = 100;

interface Figure<T> {
  value: Promise<T>;
  /** Milliseconds it took, and when it was there; undefined while it is being found out. */
  known: { took: number; at: number } | undefined;
}

/** What may take long to find out, by name: then it is told again for a while as it was, so that finding it out is a small part of the time; what is quick is found out each time. */
export class SlowFigures<T> {
  readonly #figures = new Map<string, Figure<T>>();

  async of(name: string, find: () => Promise<T>): Promise<T> {
    const last = this.#figures.get(name);
    if (last !== undefined && (last.known === undefined || Date.now() - last.known.at < last.known.took * GOOD_FOR)) return await last.value;
    const started = Date.now();
    const figure: Figure<T> = { value: find(), known: undefined };
    this.#figures.set(name, figure);
    try {
      await figure.value;
      const took = Date.now() - started;
      if (took > LONG) figure.known = { took, at: Date.now() };
      else this.#figures.delete(name);
    } catch (error) {
      this.#figures.delete(name);
      throw error;
    }
    return await figure.value;
  }
}
