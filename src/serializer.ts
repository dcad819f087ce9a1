/** Starts each action when the one before has ended, whatever came of it. */
export type Serially = <T>(action: () => Promise<T>) => Promise<T>;

/** One that nothing has been asked of yet. */
export function serializer(): Serially {
  let last: Promise<unknown> = Promise.resolve();
  return (action) => {
    const next = last.then(action, action);
    last = next.catch(() => undefined);
    return next;
  };
}
