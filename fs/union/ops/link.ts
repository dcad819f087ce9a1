import type { NodeReply } from '../../file-system.ts';
import { attempt, FsError } from '../../errno.ts';
import type { Name } from '../../name.ts';
import { S_IFDIR } from '../../stat.ts';
import { close, type HostStat, linkAt, linkFd, unlinkAt } from '../../host/at.ts';
import { afterCopyUp } from '../copy-up.ts';
import { inodeKey, type Union } from '../state.ts';
import { vacancy } from './create.ts';

export function link(union: Union, id: number, newParent: number, newName: Name): NodeReply | Promise<NodeReply> {
  const node = union.table.get(id);
  union.writable();
  if (node.type === S_IFDIR) throw new FsError('EPERM', `Cannot link node ${id}: a directory`);
  return afterCopyUp(union, node, 'name', () => {
    const upper = union.writable();
    const parent = union.directory(newParent);
    const { directory, found } = vacancy(union, parent, newName, 'link as');
    const source = union.target(node);
    const whiteout = found.at === 'whiteout';
    const place = whiteout ? { directory: upper.work, name: upper.temporaryName() } : { directory, name: newName };
    if (typeof source === 'number') linkFd(source, place.directory, place.name);
    else linkAt(source.directory, source.name, place.directory, place.name);
    let stat: HostStat;
    try {
      stat = union.hostStat(node);
      if (whiteout) upper.settle(place.name, directory, newName, { spelling: found.spelling, isDirectory: false });
    } catch (error) {
      attempt(() => unlinkAt(place.directory, place.name));
      throw error;
    }
    union.table.attach(node, parent, newName);
    if (node.orphan !== undefined) {
      close(node.orphan);
      node.orphan = undefined;
    }
    union.table.setKey(node, inodeKey(stat));
    return union.reply(node, stat);
  });
}
