import type { ServerResponse } from 'node:http';

/** Waits for an event of a response which doesn't come any more once its connection is closed. */
export async function settled(response: ServerResponse, event: 'drain' | 'finish'): Promise<void> {
  if (response.destroyed || (event === 'finish' && response.writableFinished)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off(event, done).off('close', done);
      resolve();
    };
    response.on(event, done).on('close', done);
  });
}
