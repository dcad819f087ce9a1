import type { ServerResponse } from 'node:http';
import { BadRequest } from './bad-request.ts';
import { settled } from './settled.ts';

/**
 * Answers with an archive, as fast as it is taken. The first piece comes before the status is said: what goes wrong at once is an error Docker shows. What goes wrong later
 * is thrown, and the caller has to break the connection: a clean end would make it a shorter archive. The iterator is always begun, and returned when the client goes away,
 * even where it waits: a generator that never began would close nothing.
 */
export async function sendArchive(response: ServerResponse, archive: AsyncIterable<Buffer>): Promise<void> {
  const pieces = archive[Symbol.asyncIterator]();
  let returned: Promise<unknown> | undefined;
  const leave = (): void => {
    returned ??= (async () => await pieces.return?.())();
    returned.catch(() => undefined);
  };
  const first = pieces.next();
  if (response.destroyed) leave();
  else response.once('close', leave);
  try {
    let next = await first;
    if (!response.destroyed) response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
    while (next.done !== true && !response.destroyed) {
      if (!response.write(next.value)) await settled(response, 'drain');
      if (!response.destroyed) next = await pieces.next();
    }
    await returned;
    if (response.destroyed) throw new BadRequest('Cannot send the archive: the client went away');
  } finally {
    response.off('close', leave);
  }
  response.end();
  await settled(response, 'finish');
}
