import { UfsError } from '../errors.ts';
import type { Content } from '../tree/change.ts';
import type { ContentSink, ContentWriter, Entry } from '../tree/entry.ts';
import { DigestingSink } from './reapply.ts';

/** Has the data of files that are all known linked to, and writes none. */
export class LinkingSink implements ContentSink {
  readonly #digesting = new DigestingSink();
  readonly #sink: ContentSink;
  readonly #known: ReadonlyMap<string, Entry>;

  /** `known`: by digest. */
  constructor(sink: ContentSink, known: ReadonlyMap<string, Entry>) {
    this.#sink = sink;
    this.#known = known;
  }

  put(data: Buffer): Content {
    return this.#linked(this.#digesting.put(data));
  }

  open(): ContentWriter {
    const writer = this.#digesting.open();
    return { ...writer, finish: () => this.#linked(writer.finish()) };
  }

  share(entry: Entry): Content | undefined {
    return this.#sink.share(entry);
  }

  #linked(content: Content): Content {
    const entry = this.#known.get(content.digest);
    if (entry === undefined) throw new UfsError('UFS_CONTENT_DAMAGED', `Cannot make a layer of files that are known: content ${content.digest} isn't one of them`);
    this.#sink.share(entry);
    return content;
  }
}
