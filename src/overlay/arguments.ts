import { UfsError } from '../errors.ts';

/** What the mount program was called with. */
export interface Invocation {
  action: 'mount' | 'help' | 'version';
  /** Tell each request on standard error. */
  debug: boolean;
  /** All `-o`, as one. */
  options: string;
  /** The last word that is no option: mount(8) puts a source before it. */
  target: string | undefined;
  /** What means nothing here. */
  unknown: string[];
}

const ACTIONS: Readonly<Record<string, Invocation['action']>> = { '-h': 'help', '--help': 'help', '-V': 'version', '--version': 'version' };

/** What has the mount program serve the mount itself is none of the mount's. */
const FOREGROUND: ReadonlySet<string> = new Set(['-f', '--foreground']);

/** Options may stand anywhere, as for fuse-overlayfs. UFS_USAGE where -o has no value. */
export function parseArguments(argv: readonly string[]): Invocation {
  const invocation: Invocation = { action: 'mount', debug: false, options: '', target: undefined, unknown: [] };
  const options: string[] = [];
  const words = argv[Symbol.iterator]();
  for (const word of words) {
    if (word === '-o') {
      const { value, done } = words.next();
      if (done === true) throw new UfsError('UFS_USAGE', 'Cannot mount: -o needs options behind it');
      options.push(value);
    } else if (word.startsWith('-o')) options.push(word.slice(2));
    else if (word in ACTIONS) invocation.action = ACTIONS[word] as Invocation['action'];
    else if (word === '-d' || word === '--debug') invocation.debug = true;
    else if (FOREGROUND.has(word)) continue;
    else if (word === '--') {
      for (const operand of words) invocation.target = operand;
    } else if (word.startsWith('-') && word !== '-') invocation.unknown.push(word);
    else invocation.target = word;
  }
  return { ...invocation, options: options.join(',') };
}
