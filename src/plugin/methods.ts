import type { IncomingMessage, ServerResponse } from 'node:http';

/** One call: what came in, and where the answer goes. */
export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  /** Of the query string. */
  query: URLSearchParams;
}

/** Answers a call: gives the JSON object to answer with, or undefined where it has written the answer itself. */
export type Method = (call: Call) => Promise<object | undefined>;

/** What a plugin can do: the name Docker calls it by ("GraphDriver"), and its methods by theirs ("GraphDriver.Create"). */
export interface Capability {
  implements: string;
  methods: Readonly<Record<string, Method>>;
}
