import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UfsError } from '../errors.ts';
import type { ChangeKind, GraphDriver } from './graph-driver.ts';
import { checkId, createOptions, idOf, initOptions, type Message, mountLabelOf, parentOf, readMessage } from './messages.ts';
import type { Capability, Method } from './methods.ts';

/** As Docker counts them (moby, pkg/archive/changes.go). */
const KINDS: Record<ChangeKind, number> = { modified: 0, added: 1, deleted: 2 };

/** The methods of a graph-driver plugin (moby, daemon/graphdriver/proxy.go) on a driver. */
export function graphMethods(driver: GraphDriver): Capability {
  const named = (act: (message: Message) => Promise<object | void>): Method => async ({ request }) => (await act(await readMessage(request))) ?? {};
  return {
    implements: 'GraphDriver',
    methods: {
      'GraphDriver.Init': named((message) => driver.init(initOptions(message))),
      'GraphDriver.Capabilities': named(async () => ({ Capabilities: { ReproducesExactDiffs: driver.capabilities().reproducesExactDiffs } })),
      'GraphDriver.Create': named((message) => driver.create(idOf(message), createOptions(message))),
      'GraphDriver.CreateReadWrite': named((message) => driver.createReadWrite(idOf(message), createOptions(message))),
      'GraphDriver.Remove': named((message) => driver.remove(idOf(message))),
      'GraphDriver.Get': named(async (message) => ({ Dir: await driver.get(idOf(message), mountLabelOf(message)) })),
      'GraphDriver.Put': named((message) => driver.put(idOf(message))),
      'GraphDriver.Exists': named(async (message) => ({ Exists: await driver.exists(idOf(message)) })),
      'GraphDriver.Status': named(async () => ({ Status: await driver.status() })),
      'GraphDriver.GetMetadata': named(async (message) => ({ Metadata: await driver.metadata(idOf(message)) })),
      'GraphDriver.Cleanup': named(() => driver.cleanup()),
      // JSON is text: a path that isn't UTF-8 shows replacement characters in `docker diff`. Archives keep its bytes.
      'GraphDriver.Changes': named(async (message) => ({ Changes: (await driver.changes(idOf(message), parentOf(message))).map(({ path, kind }) => ({ Path: path.toString(), Kind: KINDS[kind] })) })),
      'GraphDriver.DiffSize': named(async (message) => ({ Size: await driver.diffSize(idOf(message), parentOf(message)) })),
      'GraphDriver.Diff': async ({ request, response }) => {
        const message = await readMessage(request);
        await sendArchive(response, await driver.diff(idOf(message), parentOf(message)));
        return undefined;
      },
      'GraphDriver.ApplyDiff': async ({ request, query }) => {
        const parent = query.get('parent') ?? '';
        const id = checkId(query.get('id') ?? '', 'id');
        return { Size: await driver.applyDiff(id, parent === '' ? undefined : checkId(parent, 'parent'), wholeBody(request)) };
      },
    },
  };
}

/** The first piece comes before the status is said: what goes wrong at once is an error Docker shows. Later it can only break the connection. */
async function sendArchive(response: ServerResponse, archive: AsyncIterable<Buffer>): Promise<void> {
  const pieces = archive[Symbol.asyncIterator]();
  const first = await pieces.next();
  response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
  await pipeline(Readable.from(rest(first, pieces), { objectMode: false }), response);
}

async function* rest(first: IteratorResult<Buffer>, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    for (let next = first; next.done !== true; next = await pieces.next()) yield next.value;
  } finally {
    await pieces.return?.();
  }
}

/** A body that ends before its sender said that it is complete throws: it must not pass for a shorter archive. */
async function* wholeBody(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new UfsError('UFS_BAD_REQUEST', `Cannot read the archive: the connection broke (${(cause as Error).message})`, { cause });
  }
  if (!request.complete) throw new UfsError('UFS_BAD_REQUEST', 'Cannot read the archive: the connection broke');
}
