import { FsError } from '../errno.ts';
import type { OpenReply } from '../file-system.ts';
import { attributeChange, type BodyOf, type DecodedOpcode, deviceMajor, deviceMinor, type Request } from '../protocol/decode.ts';
import { DirentPacker } from '../protocol/dirent.ts';
import { BODY, type ReplyBuffer } from '../protocol/encode.ts';
import { FMODE_EXEC, FSYNC_FDATASYNC, GETATTR_FH, OPEN_KILL_SUIDGID, SETXATTR_ACL_KILL_SGID, WRITE } from '../protocol/flags.ts';
import { MAX_DATA } from '../protocol/init.ts';
import { OPCODE } from '../protocol/opcode.ts';
import type { Session } from './session.ts';

type Handler<O extends DecodedOpcode> = (session: Session, request: Request, body: BodyOf<O>) => void;

const nothing = (): number => 0;
const putEntry = (reply: ReplyBuffer, node: Parameters<ReplyBuffer['putEntry']>[0]): number => reply.putEntry(node);
const putAttributes = (reply: ReplyBuffer, stat: Parameters<ReplyBuffer['putAttributes']>[0]): number => reply.putAttributes(stat);
const putCreated = (reply: ReplyBuffer, created: Parameters<ReplyBuffer['putCreated']>[0]): number => reply.putCreated(created);
const putWritten = (reply: ReplyBuffer, size: number): number => reply.putWritten(size);
const putOffset = (reply: ReplyBuffer, offset: number): number => reply.putOffset(offset);

/**
 * What each request asks of the file system. An opcode that isn't here is answered with ENOSYS, which the kernel remembers: ACCESS (default_permissions
 * checks), GETLK, SETLK and SETLKW (the kernel keeps locks), BMAP, POLL, DAX mappings.
 */
const BY_OPCODE: { [O in DecodedOpcode]: Handler<O> } = {
  [OPCODE.INIT]: (session, request, body) => session.initialize(request, body),
  [OPCODE.DESTROY]: (session, request) => session.answer(request, undefined, nothing),
  // Most requests are answered before the next is read, and those that aren't are answered soon: an interrupt has nothing to hasten.
  [OPCODE.INTERRUPT]: () => {},

  [OPCODE.LOOKUP]: (session, request, name) => session.answerNode(request, session.fileSystem.lookup(request, request.nodeid, name), putEntry),
  [OPCODE.FORGET]: (session, request, body) => session.fileSystem.forget(request.nodeid, body.nlookup),
  [OPCODE.BATCH_FORGET]: (session, _request, body) => {
    for (const { nodeid, nlookup } of body) session.fileSystem.forget(nodeid, nlookup);
  },
  [OPCODE.GETATTR]: (session, request, body) =>
    session.answer(request, session.fileSystem.getattr(request.nodeid, body.getattr_flags & GETATTR_FH ? body.fh : undefined), putAttributes),
  [OPCODE.STATX]: (session, request, body) =>
    session.answer(request, session.fileSystem.getattr(request.nodeid, body.getattr_flags & GETATTR_FH ? body.fh : undefined), (reply, stat) => reply.putStatx(stat)),
  [OPCODE.SETATTR]: (session, request, body) =>
    session.answer(request, session.fileSystem.setattr(request, request.nodeid, attributeChange(body)), putAttributes),
  [OPCODE.READLINK]: (session, request) => session.answer(request, session.fileSystem.readlink(request.nodeid), (reply, target) => reply.putName(target)),

  [OPCODE.MKNOD]: (session, request, body) => {
    const { mode, umask, rdev } = body.in;
    const options = { mode, umask, rdevMajor: deviceMajor(rdev), rdevMinor: deviceMinor(rdev) };
    session.answerNode(request, session.fileSystem.mknod(request, request.nodeid, body.name, options), putEntry);
  },
  [OPCODE.MKDIR]: (session, request, body) =>
    session.answerNode(request, session.fileSystem.mkdir(request, request.nodeid, body.name, body.in), putEntry),
  [OPCODE.SYMLINK]: (session, request, body) =>
    session.answerNode(request, session.fileSystem.symlink(request, request.nodeid, body.name, body.target), putEntry),
  [OPCODE.LINK]: (session, request, body) =>
    session.answerNode(request, session.fileSystem.link(request, body.in.oldnodeid, request.nodeid, body.name), putEntry),
  [OPCODE.UNLINK]: (session, request, name) => session.answer(request, session.fileSystem.unlink(request, request.nodeid, name), nothing),
  [OPCODE.RMDIR]: (session, request, name) => session.answer(request, session.fileSystem.rmdir(request, request.nodeid, name), nothing),
  [OPCODE.RENAME]: (session, request, body) =>
    session.answer(request, session.fileSystem.rename(request, request.nodeid, body.name, body.newdir, body.newName, 0), nothing),
  [OPCODE.RENAME2]: (session, request, body) =>
    session.answer(request, session.fileSystem.rename(request, request.nodeid, body.name, body.newdir, body.newName, body.flags), nothing),

  [OPCODE.OPEN]: (session, request, body) => {
    const how = { exec: (body.flags & FMODE_EXEC) !== 0, killPrivileges: (body.open_flags & OPEN_KILL_SUIDGID) !== 0 };
    answerOpen(session, request, session.fileSystem.open(request, request.nodeid, body.flags, how));
  },
  [OPCODE.CREATE]: (session, request, body) => {
    const { flags, mode, umask } = body.in;
    session.answerNode(request, session.fileSystem.create(request, request.nodeid, body.name, flags, { mode, umask }), putCreated);
  },
  [OPCODE.TMPFILE]: (session, request, body) =>
    session.answerNode(request, session.fileSystem.tmpfile(request, request.nodeid, body.flags, { mode: body.mode, umask: body.umask }), putCreated),
  [OPCODE.READ]: read,
  [OPCODE.WRITE]: (session, request, body) => {
    const { fh, offset, write_flags } = body.in;
    const how = { killPrivileges: (write_flags & WRITE.KILL_SUIDGID) !== 0, fromCache: (write_flags & WRITE.CACHE) !== 0 };
    session.answer(request, session.fileSystem.write(request.nodeid, fh, offset, body.data, how), putWritten);
  },
  [OPCODE.FLUSH]: (session, request, body) => session.answer(request, session.fileSystem.flush(request.nodeid, body.fh), nothing),
  [OPCODE.RELEASE]: (session, request, body) => session.answer(request, session.fileSystem.release(request.nodeid, body.fh), nothing),
  [OPCODE.FSYNC]: (session, request, body) =>
    session.answer(request, session.fileSystem.fsync(request.nodeid, body.fh, (body.fsync_flags & FSYNC_FDATASYNC) !== 0), nothing),
  [OPCODE.FALLOCATE]: (session, request, body) =>
    session.answer(request, session.fileSystem.fallocate(request.nodeid, body.fh, body.mode, body.offset, body.length, { killPrivileges: lacksPrivileges(request) }), nothing),
  [OPCODE.LSEEK]: (session, request, body) =>
    session.answer(request, session.fileSystem.lseek(request.nodeid, body.fh, body.offset, body.whence), putOffset),
  [OPCODE.COPY_FILE_RANGE]: (session, request, body) => session.answer(request, copyRange(session, request, body), putWritten),
  [OPCODE.COPY_FILE_RANGE_64]: (session, request, body) => session.answer(request, copyRange(session, request, body), putOffset),
  [OPCODE.IOCTL]: (session, request, body) => {
    const { fh, cmd, out_size } = body.in;
    session.answer(request, session.fileSystem.ioctl(request.nodeid, fh, cmd, body.argument, out_size), (reply, result) => {
      if (result.length > out_size) throw new FsError('EIO', `Cannot answer ioctl 0x${cmd.toString(16)} with ${result.length} bytes: ${out_size} are asked for`);
      return reply.putIoctl(result);
    });
  },

  [OPCODE.OPENDIR]: (session, request) =>
    session.answer(request, session.fileSystem.opendir(request, request.nodeid), (reply, open) => reply.putOpenDirectory(open)),
  [OPCODE.READDIR]: (session, request, body) => {
    const packer = directoryPacker(session, body.size);
    session.fileSystem.readdir(request.nodeid, body.fh, body.offset, packer.add);
    session.send(request, session.reply, packer.length);
  },
  [OPCODE.READDIRPLUS]: (session, request, body) => {
    const packer = directoryPacker(session, body.size);
    session.fileSystem.readdirplus(request.nodeid, body.fh, body.offset, packer.addPlus);
    session.send(request, session.reply, packer.length);
  },
  [OPCODE.RELEASEDIR]: (session, request, body) => session.answer(request, session.fileSystem.releasedir(request.nodeid, body.fh), nothing),
  [OPCODE.FSYNCDIR]: (session, request, body) =>
    session.answer(request, session.fileSystem.fsyncdir(request.nodeid, body.fh, (body.fsync_flags & FSYNC_FDATASYNC) !== 0), nothing),

  [OPCODE.GETXATTR]: (session, request, body) => {
    const room = body.in.size;
    session.answer(request, session.fileSystem.getxattr(request.nodeid, body.name), (reply, value) => reply.putXattr(value, room));
  },
  [OPCODE.LISTXATTR]: (session, request, body) =>
    session.answer(request, session.fileSystem.listxattr(request.nodeid, request), (reply, names) =>
      reply.putXattr(Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1'), body.size)),
  [OPCODE.SETXATTR]: (session, request, body) => {
    const how = { killSetgid: (body.in.setxattr_flags & SETXATTR_ACL_KILL_SGID) !== 0 };
    session.answer(request, session.fileSystem.setxattr(request, request.nodeid, body.name, body.value, body.in.flags, how), nothing);
  },
  [OPCODE.REMOVEXATTR]: (session, request, name) => session.answer(request, session.fileSystem.removexattr(request, request.nodeid, name), nothing),

  [OPCODE.STATFS]: (session, request) => session.answer(request, session.fileSystem.statfs(request.nodeid), (reply, statistics) => reply.putStatistics(statistics)),
  [OPCODE.SYNCFS]: (session, request) => session.answer(request, session.fileSystem.syncfs(request.nodeid), nothing),
};

/** `BY_OPCODE` as the session calls it. */
export const HANDLERS: (((session: Session, request: Request) => void) | undefined)[] = [];
for (const [opcode, handler] of Object.entries(BY_OPCODE) as [string, Handler<DecodedOpcode>][]) {
  HANDLERS[Number(opcode)] = (session, request) => handler(session, request, request.body as never);
}

/** The file system fills the reply's body in place. A read that comes later keeps its buffer, and the thread gets on with another. */
function read(session: Session, request: Request, body: BodyOf<typeof OPCODE.READ>): void {
  const { exchange } = session;
  const reply = exchange.acquire();
  let value;
  try {
    value = session.fileSystem.read(request.nodeid, body.fh, body.offset, reply.bytes.subarray(BODY, BODY + Math.min(body.size, MAX_DATA)));
  } catch (error) {
    exchange.release(reply);
    throw error;
  }
  const done = (length: number): void => {
    session.send(request, reply, length);
    exchange.release(reply);
  };
  if (!(value instanceof Promise)) {
    done(value);
    return;
  }
  const failed = (error: unknown): never => {
    exchange.release(reply);
    throw error;
  };
  session.later(request, value.then(done, failed), () => {});
}

/** A handle the kernel didn't get is closed again. */
function answerOpen(session: Session, request: Request, value: OpenReply | Promise<OpenReply>): void {
  if (value instanceof Promise) session.later(request, value, (open) => answerOpen(session, request, open));
  else if (!session.send(request, session.reply, session.reply.putOpen(value))) session.fileSystem.release(request.nodeid, value.handle);
}

function directoryPacker(session: Session, size: number): DirentPacker {
  const { bytes, view, validity } = session.reply;
  return new DirentPacker(bytes, view, BODY, size, validity);
}

/** Of writes and truncations the kernel says whether the caller has CAP_FSETID; of other changes of data only who it is. */
function lacksPrivileges({ uid }: Request): boolean {
  return uid !== 0;
}

function copyRange(session: Session, request: Request, body: BodyOf<typeof OPCODE.COPY_FILE_RANGE>): number | Promise<number> {
  const source = { id: request.nodeid, handle: body.fh_in, offset: body.off_in };
  const target = { id: body.nodeid_out, handle: body.fh_out, offset: body.off_out };
  return session.fileSystem.copyFileRange(source, target, body.len, body.flags, { killPrivileges: lacksPrivileges(request) });
}
