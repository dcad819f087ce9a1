import type { Name } from '../name.ts';
import type { XattrTarget } from '../host/xattr.ts';
import { getXattrIfAny, listXattr } from '../host/xattr.ts';
import { OVERRIDE_XATTRS } from './override-stat.ts';
import { isMark } from './overlay-xattr.ts';

/** What overlayfs puts behind its prefix where a name is a user's own that begins with that prefix: "trusted.overlay.overlay.opaque" is their "trusted.overlay.opaque". */
const ESCAPE = 'overlay.';
const ESCAPED = ['trusted.overlay.', 'user.overlay.'] as const;

/** Where owners are kept in an xattr that anybody may set, security.NAME is this and NAME. */
const OVERRIDE_SECURITY = 'user.containers.override_security.';
const SECURITY = 'security.';

/** The xattr a layer keeps owners in, where it does (see `readOverrideStat`). */
interface Kept {
  xattr: Name | undefined;
}

/** What users call an xattr of a layer; undefined for what they don't see. */
export function shownXattr(stored: Name, { xattr }: Kept): Name | undefined {
  const prefix = ESCAPED.find((at) => stored.startsWith(at));
  if (prefix !== undefined) return stored.startsWith(ESCAPE, prefix.length) ? prefix + stored.slice(prefix.length + ESCAPE.length) : undefined;
  if (isMark(stored)) return undefined;
  if (xattr === undefined) return stored;
  if (!xattr.startsWith(SECURITY) && stored.startsWith(OVERRIDE_SECURITY)) return SECURITY + stored.slice(OVERRIDE_SECURITY.length);
  return OVERRIDE_XATTRS.includes(stored) ? undefined : stored;
}

/** What an xattr of that name is called in a layer; undefined where users can't have it. */
export function storedXattr(shown: Name, { xattr }: Kept): Name | undefined {
  const prefix = ESCAPED.find((at) => shown.startsWith(at));
  if (prefix !== undefined) return prefix + ESCAPE + shown.slice(prefix.length);
  if (isMark(shown)) return undefined;
  if (xattr === undefined) return shown;
  const privileged = xattr.startsWith(SECURITY);
  if (!privileged && shown.startsWith(SECURITY)) return OVERRIDE_SECURITY + shown.slice(SECURITY.length);
  return OVERRIDE_XATTRS.includes(shown) || (!privileged && shown.startsWith(OVERRIDE_SECURITY)) ? undefined : shown;
}

/** The xattrs of a file, as users call them. */
export function listUsersXattrs(target: XattrTarget, kept: Kept): Name[] {
  const names = listXattr(target);
  if (kept.xattr === undefined && !names.some(isMark)) return names;
  const shown = new Set<Name>();
  for (const stored of names) {
    const name = shownXattr(stored, kept);
    if (name !== undefined) shown.add(name);
  }
  return [...shown];
}

/** An xattr by the name users call it; undefined where there is none or can't be: of ACLs the kernel takes no other answer, and would let nobody in. */
export function getUsersXattr(target: XattrTarget, shown: Name, kept: Kept): Buffer | undefined {
  const stored = storedXattr(shown, kept);
  if (stored === undefined) return undefined;
  // A layer with owners in xattrs may have security.* as they are, too.
  return getXattrIfAny(target, stored) ?? (stored !== shown && shown.startsWith(SECURITY) ? getXattrIfAny(target, shown) : undefined);
}
