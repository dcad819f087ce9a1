import { sendArchive } from './archive-answer.ts';
import type { ChangeKind, GraphDriver } from './graph-driver.ts';
import { checkId, createOptions, idOf, initOptions, type Message, mountLabelOf, parentOf, readMessage } from './messages.ts';
import type { Capability, Method } from './methods.ts';
import { bodyOf, readToEnd } from './request-body.ts';

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
      // Docker takes an error for "no".
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
        const size = await driver.applyDiff(id, parent === '' ? undefined : checkId(parent, 'parent'), bodyOf(request));
        // A driver may stop at the archive's end. Docker hashes all of what it sends: to answer earlier would stop it there.
        await readToEnd(request);
        return { Size: size };
      },
    },
  };
}
