import type { NodeReply } from '../../file-system.ts';
import { FsError } from '../../errno.ts';
import { NAME_MAX, type Name } from '../../name.ts';
import { S_IFLNK } from '../../stat.ts';
import { readlinkAt } from '../../host/at.ts';
import { readOverriddenLink } from '../../layer/override-stat.ts';
import type { Union } from '../state.ts';

export function lookup(union: Union, parentId: number, name: Name): NodeReply | undefined {
  if (name.length > NAME_MAX) throw new FsError('ENAMETOOLONG', `Cannot look up a name of ${name.length} bytes`);
  const parent = union.directory(parentId);
  // Asked by those who give nodes to others (NFS servers) only.
  if (name === '.') return union.reply(parent);
  if (name === '..') return union.reply(parent.links[0]?.parent ?? parent);
  const found = union.child(parent, name);
  return found === undefined ? undefined : union.reply(found.node, found.stat);
}

export function readlink(union: Union, id: number): Name {
  const node = union.table.get(id);
  if (node.type !== S_IFLNK) throw new FsError('EINVAL', `Cannot read node ${id} as a symlink: it isn't one`);
  if (!node.upper) return union.lower.readlink(node.lower);
  const target = union.target(node);
  return typeof target === 'number' ? readlinkAt(target, '') : readOverriddenLink(target.directory, target.name);
}
