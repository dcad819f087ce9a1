/** Runs one thing after the other, in the order they were asked for; each whatever became of those before. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  async run<Result>(action: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(action, action);
    this.#last = turn.catch(() => undefined);
    return await turn;
  }
}
