import { UfsError } from '../errors.ts';

const DEFAULT_REGISTRY = 'docker.io';
const DOMAIN = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** An image's name in full: "debian" → "docker.io/library/debian:latest". Throws at what no image can be called. */
export function fullImageName(text: string): string {
  const [beforeDigest, digest] = splitAt(text, text.indexOf('@'));
  // A colon before a slash belongs to a port.
  const colon = beforeDigest.lastIndexOf(':');
  const [name, tag] = splitAt(beforeDigest, colon > beforeDigest.lastIndexOf('/') ? colon : -1);
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const hasDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const domain = !hasDomain || first === 'index.docker.io' ? DEFAULT_REGISTRY : first;
  let path = hasDomain ? name.slice(slash + 1) : name;
  if (domain === DEFAULT_REGISTRY && !path.includes('/')) path = `library/${path}`;
  const wrong = (!DOMAIN.test(domain) && 'its registry isn\'t a host') || (!path.split('/').every((part) => COMPONENT.test(part)) && 'it has to be lower-case words between slashes')
    || (tag !== undefined && !TAG.test(tag) && 'its tag has to be letters, digits, "_", "." and "-"') || (digest !== undefined && !DIGEST.test(digest) && 'its digest isn\'t a sha256')
    || (text.length > 255 + 72 && 'it is too long');
  if (wrong) throw new UfsError('UFS_IMAGE_NAME_INVALID', `Cannot use "${text}" as an image name: ${wrong}`);
  const tagged = tag !== undefined ? `:${tag}` : digest === undefined ? ':latest' : '';
  return `${domain}/${path}${tagged}${digest === undefined ? '' : `@${digest}`}`;
}

function splitAt(text: string, index: number): [before: string, after: string | undefined] {
  return index === -1 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}

/** As `fullImageName`; undefined where no image can be called so: what an archive says is its name may be anything. */
export function tryFullImageName(text: string): string | undefined {
  try {
    return fullImageName(text);
  } catch {
    return undefined;
  }
}

/** The name as people write it: without what `fullImageName` adds, but with the tag. */
export function shortImageName(fullName: string): string {
  return fullName.replace(/^docker\.io\/(?:library\/(?=[^/]+$))?/, '');
}

/** The full names that what somebody typed may mean, the likeliest first: podman keeps what it builds under "localhost/". */
export function imageNameCandidates(typed: string): string[] {
  const fullName = fullImageName(typed);
  const first = typed.slice(0, Math.max(0, typed.indexOf('/')));
  if (/[.:]/.test(first) || first === 'localhost') return [fullName];
  return [fullName, fullImageName(`localhost/${typed}`)];
}
