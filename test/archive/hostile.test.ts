import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { archive, directory, END, extended, file, link, member, pax, symlink } from './build-archive.ts';
import { apply, describe, lowerOf } from './memory-content.ts';

type Outcome = RegExp | string[];

/** What each hostile archive comes to: an error that says so, or a tree. `lower` is an archive below it. */
const rows: { id: string; what: string; archive: Buffer; lower?: Buffer; gives: Outcome; strict?: boolean }[] = [
  { id: 'A01', what: 'a name that climbs out', archive: archive(file('../evil')), gives: /"\.\.\/evil": its name is outside/ },
  { id: 'A02', what: 'a name that climbs out behind a component', archive: archive(file('a/../../evil')), gives: /outside/ },
  { id: 'A03', what: 'an absolute name', archive: archive(file('/abs')), gives: ['- 644 0:0 abs'] },
  { id: 'A04', what: 'an absolute name that climbs', archive: archive(file('/../evil')), gives: ['- 644 0:0 evil'] },
  { id: 'A05', what: 'a directory ".."', archive: archive(directory('..', { mode: 0o777 })), gives: /outside/ },
  { id: 'A06', what: 'a pax path that climbs out', archive: archive(pax({ path: '../evil' }), file('x')), gives: /outside/ },
  { id: 'A07', what: 'a GNU long name that climbs out', archive: archive(extended('L', Buffer.from('../evil\0')), file('x')), gives: /outside/ },
  { id: 'A08', what: 'a file without a name', archive: archive(member({ name: '' })), gives: /only a directory can be the root/ },
  { id: 'A09', what: 'a file "."', archive: archive(file('.')), gives: /only a directory/ },
  { id: 'A10', what: 'a symlink "."', archive: archive(symlink('.', '/outside'), file('x')), gives: /only a directory/ },
  { id: 'A11', what: 'a symlink "/"', archive: archive(symlink('/', '/outside'), file('x')), gives: /only a directory/ },
  { id: 'A12', what: 'a root entry', archive: archive(directory('./', { mode: 0o700, uid: 1000, gid: 1000 })), gives: ['d 700 1000:1000 .'] },
  { id: 'A13', what: 'a pax path with NUL', archive: archive(pax({ path: 'a\0b' }), file('x')), gives: /NUL/ },
  { id: 'A14', what: 'a newline in a name', archive: archive(file('a\nb')), gives: ['- 644 0:0 a\nb'] },
  { id: 'A15', what: 'bytes that are no UTF-8', archive: archive(member({ name: 'x' }, (block) => block.latin1Write('caf\xe9\xff', 0))), gives: ['- 644 0:0 caf\xe9\xff'] },
  { id: 'A16', what: 'bytes that are no UTF-8 in pax', archive: archive(pax({ path: 'caf\xe9\xff' }), file('x')), gives: ['- 644 0:0 caf\xe9\xff'] },
  { id: 'A17', what: 'a component of 255 bytes', archive: archive(file('n'.repeat(255))), gives: [`- 644 0:0 ${'n'.repeat(255)}`] },
  { id: 'A18', what: 'a component of 256 bytes', archive: archive(file('n'.repeat(256))), gives: /ENAMETOOLONG/ },
  { id: 'A19', what: 'a path of 5000 bytes', archive: archive(file(`${'abcdefghijklmnopqrstuvwx/'.repeat(200)}f`)), gives: /ENAMETOOLONG/ },
  { id: 'A21', what: 'a backslash', archive: archive(file('..\\evil')), gives: ['- 644 0:0 ..\\evil'] },
  { id: 'A22', what: 'type 0 with a slash at the end', archive: archive(file('foo/')), gives: ['- 644 0:0 foo'] },
  { id: 'A25', what: 'type NUL with a slash at the end', archive: archive(file('foo/', '', { type: '\0' })), gives: ['d 644 0:0 foo'] },
  { id: 'A23', what: 'a file below a file of this layer', archive: archive(file('p'), file('p/q')), gives: /ENOTDIR/ },
  { id: 'A24', what: 'a file below a lower file', lower: archive(file('p')), archive: archive(file('p/q')), gives: ['i p', '- 644 0:0 p/q'] },

  { id: 'B01', what: 'a file through an absolute symlink', archive: archive(symlink('l', '/outside'), file('l/evil')), gives: ['l 777 0:0 l ->/outside', 'i outside', '- 644 0:0 outside/evil'] },
  { id: 'B02', what: 'a file through a symlink that climbs', archive: archive(symlink('l', '../outside'), file('l/evil')), gives: ['l 777 0:0 l ->../outside', 'i outside', '- 644 0:0 outside/evil'] },
  { id: 'B03', what: 'a file through two symlinks', archive: archive(symlink('l', 'm'), symlink('m', '../../outside'), file('l/evil')), gives: ['l 777 0:0 l ->m', 'l 777 0:0 m ->../../outside', 'i outside', '- 644 0:0 outside/evil'] },
  { id: 'B04', what: 'a file through a lower symlink', lower: archive(symlink('l', '/outside')), archive: archive(file('l/evil')), gives: ['i outside', '- 644 0:0 outside/evil'] },
  { id: 'B05', what: 'a symlink loop', archive: archive(symlink('a', 'b'), symlink('b', 'a'), file('a/x')), gives: /ELOOP/ },
  { id: 'B06', what: 'a file in place of a symlink', archive: archive(symlink('l', '/etc/passwd'), file('l', 'x')), gives: ['- 644 0:0 l =x'] },
  { id: 'B07', what: 'a directory in place of a symlink', archive: archive(symlink('l', '/etc'), directory('l', { mode: 0o777 })), gives: ['d! 777 0:0 l'] },
  { id: 'B08', what: 'a symlink without target', archive: archive(symlink('l', '')), gives: /target has 1 to 4095/ },
  { id: 'B09', what: 'a symlink with a target of 5000 bytes', archive: archive(symlink('l', 't'.repeat(5000))), gives: /target has 1 to 4095/ },
  { id: 'B10', what: 'lib -> /usr/lib, then lib/x', archive: archive(directory('usr/lib'), symlink('lib', '/usr/lib'), file('lib/x')), gives: ['l 777 0:0 lib ->/usr/lib', 'i usr', 'd 755 0:0 usr/lib', '- 644 0:0 usr/lib/x'] },
  { id: 'B11', what: 'lib -> usr/lib, then lib/x', archive: archive(symlink('lib', 'usr/lib'), file('lib/x')), gives: ['l 777 0:0 lib ->usr/lib', 'i usr', 'i usr/lib', '- 644 0:0 usr/lib/x'] },
  { id: 'B13', what: 'a symlink that points out', archive: archive(symlink('l', '../../../../outside/secret')), gives: ['l 777 0:0 l ->../../../../outside/secret'] },
  { id: 'B14', what: 'a lower directory replaced by a symlink', lower: archive(directory('d')), archive: archive(symlink('d', '/outside'), file('d/evil')), gives: ['l 777 0:0 d ->/outside', 'i outside', '- 644 0:0 outside/evil'] },
  { id: 'B15', what: 'directory, symlink, directory', archive: archive(directory('d'), file('d/old'), symlink('d', '/outside'), directory('d', { mode: 0o777 }), file('d/new')), gives: ['d! 777 0:0 d', '- 644 0:0 d/new'] },

  { id: 'C01', what: 'a hard link that climbs out', archive: archive(link('h', '../outside/secret')), gives: /"h": .*outside of the root/ },
  { id: 'C02', what: 'a hard link to an absolute path', archive: archive(link('h', '/outside/secret')), gives: /doesn't exist before it/ },
  { id: 'C03', what: 'a hard link through a symlink', archive: archive(symlink('l', '/outside'), link('h', 'l/secret')), gives: /doesn't exist before it/ },
  { id: 'C04', what: 'a hard link to nothing', archive: archive(link('h', 'missing')), gives: /doesn't exist before it/ },
  { id: 'C05', what: 'a hard link to what comes later', archive: archive(link('h', 't'), file('t')), gives: /doesn't exist before it/ },
  { id: 'C06', what: 'a hard link to a directory', archive: archive(directory('d'), link('h', 'd')), gives: /EPERM/ },
  { id: 'C07', what: 'a hard link to itself', archive: archive(file('h'), link('h', 'h')), gives: /doesn't exist before it/ },
  { id: 'C07b', what: 'a hard link to itself through a symlink', archive: archive(directory('d'), symlink('l', 'd'), file('d/h'), link('l/h', 'd/h')), gives: /is itself/ },
  { id: 'C08', what: 'a hard link whose size claims a header', archive: archive(file('t'), member({ name: 'h', type: '1', linkName: 't', size: 512 }), file('smuggled')), gives: ['- 644 0:0 h', '- 644 0:0 smuggled', '- 644 0:0 t'] },
  { id: 'C09', what: 'a hard link to a symlink', archive: archive(symlink('s', '/etc/passwd'), link('h', 's', { mode: 0o644 })), gives: ['l 777 0:0 h ->/etc/passwd', 'l 777 0:0 s ->/etc/passwd'] },
  { id: 'C10', what: 'a hard link to a lower file', lower: archive(file('t', 'lower')), archive: archive(link('h', 't')), gives: ['- 644 0:0 h ?5', '- 644 0:0 t ?5'] },
  { id: 'C10b', what: 'a hard link to a lower file this layer removed', lower: archive(file('t', 'lower')), archive: archive(file('.wh.t'), link('h', 't')), gives: /doesn't exist before it/ },
  { id: 'C11', what: 'a hard link with another owner and mode', archive: archive(file('t'), link('h', 't', { uid: 5, mode: 0o600 })), gives: ['- 600 5:0 h', '- 600 5:0 t'] },
  { id: 'C12', what: 'a hard link to a device', archive: archive(member({ name: 'c', type: '3', major: 1, minor: 3 }), link('h', 'c')), gives: ['c 644 0:0 c 1:3', 'c 644 0:0 h 1:3'] },
  { id: 'C14', what: 'a target replaced behind its link', archive: archive(file('t', 'old'), link('h', 't'), file('t', 'new')), gives: ['- 644 0:0 h =old', '- 644 0:0 t =new'] },

  ...['.wh.', '.wh..', '.wh...', 'd/.wh.', 'd/.wh...'].map((name, index) => ({ id: `D0${index + 1}`, what: `the whiteout "${name}"`, archive: archive(directory('d'), file(name)), gives: /whiteout of no name/ })),
  { id: 'D06', what: 'an opaque root', archive: archive(file('a'), file('.wh..wh..opq')), gives: ['i! .', '- 644 0:0 a'] },
  { id: 'D07', what: 'an opaque mark behind its siblings', archive: archive(directory('d'), file('d/x'), file('d/.wh..wh..opq')), gives: ['d! 755 0:0 d', '- 644 0:0 d/x'] },
  { id: 'D08', what: 'an opaque mark before everything', archive: archive(file('d/.wh..wh..opq'), directory('d'), file('d/x')), gives: ['d! 755 0:0 d', '- 644 0:0 d/x'] },
  { id: 'D09', what: 'an opaque mark in a directory there is none of', archive: archive(file('d/.wh..wh..opq')), gives: ['i! d'] },
  { id: 'D10', what: 'an opaque mark through a lower symlink', lower: archive(symlink('l', '/outside')), archive: archive(file('l/.wh..wh..opq')), gives: ['i! l'] },
  { id: 'D11', what: 'a whiteout through a lower symlink', lower: archive(symlink('l', '/outside')), archive: archive(file('l/.wh.secret')), gives: ['i l', 'w l/secret'] },
  { id: 'D12', what: 'a whiteout and a file below it', archive: archive(file('.wh.d'), file('d/x')), gives: ['i! d', '- 644 0:0 d/x'] },
  { id: 'D13', what: 'a file, then its whiteout', archive: archive(file('f', 'x'), file('.wh.f')), gives: ['- 644 0:0 f =x'] },
  { id: 'D14', what: 'a directory, then its whiteout', archive: archive(directory('d'), file('d/x'), file('.wh.d')), gives: ['d! 755 0:0 d', '- 644 0:0 d/x'] },
  { id: 'D15', what: 'a whiteout that is a directory', archive: archive(directory('.wh.f')), gives: ['w f'] },
  { id: 'D16', what: 'a whiteout with data', archive: archive(file('.wh.f', 'payload')), gives: ['w f'] },
  { id: 'D17', what: 'a whiteout that is a symlink', archive: archive(symlink('.wh.f', 'x')), gives: ['w f'] },
  { id: 'D19', what: 'a file below a name that begins with ".wh."', archive: archive(file('.wh.keep/x')), gives: /below a name that begins with "\.wh\."/ },
  { id: 'D20', what: 'aufs\'s link directory', archive: archive(directory('.wh..wh.plnk'), file('.wh..wh.plnk/1.2', 'data'), link('a', '.wh..wh.plnk/1.2')), gives: ['- 644 0:0 a =data'] },
  { id: 'D21', what: 'aufs\'s own files', archive: archive(file('.wh..wh.aufs'), directory('.wh..wh.orph'), file('.wh..wh.orph/x', 'y')), gives: [] },
  { id: 'D22', what: 'a whiteout of a whiteout', archive: archive(directory('d'), file('d/.wh..wh.foo')), gives: ['d 755 0:0 d'] },
  { id: 'D23', what: 'a whiteout of a name of 255 bytes', archive: archive(file(`.wh.${'n'.repeat(255)}`)), gives: [`w ${'n'.repeat(255)}`] },
  { id: 'D24', what: 'an opaque mark over a lower file', lower: archive(file('d')), archive: archive(file('d/.wh..wh..opq'), file('d/x')), gives: ['i! d', '- 644 0:0 d/x'] },
  { id: 'D25', what: 'a whiteout in an opaque directory', archive: archive(file('d/.wh..wh..opq'), file('d/.wh.x')), gives: ['i! d', 'w d/x'] },
  { id: 'D26', what: 'a whiteout below a whiteout', archive: archive(file('.wh.d'), file('d/.wh.x')), gives: ['i! d', 'w d/x'] },
  { id: 'D27', what: 'a link out of aufs\'s link directory', archive: archive(directory('.wh..wh.plnk'), link('a', '.wh..wh.plnk/../../etc/passwd')), gives: /isn't in the archive/ },
  { id: 'D28', what: 'a name out of aufs\'s link directory', archive: archive(file('.wh..wh.plnk/../../evil')), gives: /outside/ },

  { id: 'E01', what: 'the device 0:0', archive: archive(member({ name: 'keep', type: '3' })), gives: ['c 644 0:0 keep 0:0'] },
  { id: 'E02', what: 'devices and a fifo', archive: archive(member({ name: 'b', type: '4', major: 8, mode: 0o666 }), member({ name: 'c', type: '3', major: 1, minor: 3 }), member({ name: 'p', type: '6' })), gives: ['b 666 0:0 b 8:0', 'c 644 0:0 c 1:3', 'p 644 0:0 p'] },
  { id: 'E04', what: 'a device number of 2^33', archive: archive(member({ name: 'c', type: '3' }, (block) => { block.fill(0, 329, 337); block[329] = 0x80; block[332] = 2; })), gives: /device number 8589934592/ },
  { id: 'E05', what: 'a negative device number', archive: archive(member({ name: 'c', type: '3' }, (block) => block.fill(0xff, 329, 337))), gives: /device number -1/ },
  { id: 'E07', what: 'setuid with another owner', archive: archive(file('s', '', { mode: 0o6755, uid: 1000 })), gives: ['- 6755 1000:0 s'] },
  { id: 'E08', what: 'type bits in the mode', archive: archive(file('f', '', { mode: 0o177777 })), gives: ['- 7777 0:0 f'] },
  { id: 'E09', what: 'a huge base-256 mode', archive: archive(member({ name: 'f' }, (block) => { block.fill(0x7f, 100, 108); block[100] = 0x80; })), gives: ['- 7577 0:0 f'] },
  ...['Z', '7', 'V', 'D'].map((type, index) => ({ id: `E1${index + 1}`, what: `type ${type}`, archive: archive(file('f', '', { type })), gives: new RegExp(`unhandled tar header type ${type.charCodeAt(0)}`) })),
  { id: 'E15', what: 'a directory with a size', archive: archive(directory('d', { size: 512 }), file('parsed')), gives: ['d 755 0:0 d', '- 644 0:0 parsed'] },

  { id: 'F06', what: 'an xattr without a name', archive: archive(pax({ 'SCHILY.xattr.': 'x' }), file('f')), gives: /name has 1 to 255/ },
  { id: 'F07', what: 'an xattr with a name of 300 bytes', archive: archive(pax({ [`SCHILY.xattr.user.${'n'.repeat(295)}`]: 'x' }), file('f')), gives: /name has 1 to 255/ },
  { id: 'F08', what: 'an xattr of 70,000 bytes', archive: archive(pax({ 'SCHILY.xattr.user.a': 'x'.repeat(70_000) }), file('f')), gives: /over 65536/ },
  { id: 'F13', what: 'a NUL in a pax key', archive: archive(pax({ 'SCHILY.xattr.user.a\0b': 'x' }), file('f')), gives: /NUL/ },
  { id: 'F14', what: '10,000 xattrs', archive: archive(pax(Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`SCHILY.xattr.user.number${index}`, 'v']))), file('f')), gives: /names are over 65536/ },

  { id: 'G01', what: 'a size over 64 bits', archive: archive(member({ name: 'f' }, (block) => block.fill(0xbf, 124, 136))), gives: /over 64 bits/ },
  { id: 'G02', what: 'a negative size', archive: archive(member({ name: 'f' }, (block) => block.fill(0xff, 124, 136))), gives: /negative size/ },
  { id: 'G03', what: 'a negative pax size', archive: archive(pax({ size: '-1' }), file('f')), gives: /negative size/ },
  { id: 'G04', what: 'a pax size of 2^63-1', archive: archive(pax({ size: '9223372036854775807' }), file('f', 'x')), gives: /files are over/ },
  { id: 'G05', what: 'a pax size of 0 over 512', archive: archive(pax({ size: '0' }), member({ name: 'f', size: 512 }), file('second')), gives: ['- 644 0:0 f', '- 644 0:0 second'] },
  { id: 'G06', what: 'a pax size of 512 over 0', archive: archive(pax({ size: '512' }), member({ name: 'f' }), file('hidden')), gives: ['- 644 0:0 f =512'] },
  { id: 'G07', what: 'a pax size that is no number', archive: archive(pax({ size: 'abc' }), file('f')), gives: /isn't a number/ },
  { id: 'G08', what: 'the owner 2^32-1', archive: archive(file('f', '', { uid: 2 ** 32 - 1 })), gives: /owner 4294967295 is out of range/ },
  { id: 'G09', what: 'the owner -1', archive: archive(file('f', '', { uid: -1 })), gives: /owner -1 is out of range/ },
  { id: 'G10', what: 'the group 2^40', archive: archive(file('f', '', { gid: 2 ** 40 })), gives: /group 1099511627776 is out of range/ },
  { id: 'G11', what: 'the owner 3,000,000 in base-256', archive: archive(member({ name: 'f' }, (block) => { block.fill(0, 108, 116); block[108] = 0x80; block.writeUInt32BE(3_000_000, 112); })), gives: ['- 644 3000000:0 f'] },
  { id: 'G16', what: 'a time that is none', archive: archive(pax({ mtime: 'nan' }), file('f')), gives: /isn't a time/ },
  { id: 'G17', what: 'a wrong checksum', archive: archive(Buffer.concat([Buffer.from('x'), file('f').subarray(1)])), gives: /checksum is wrong/ },
  { id: 'G18', what: 'a V7 header', archive: archive(member({ name: 'f' }, (block) => block.fill(0, 257))), gives: ['- 644 0:0 f'] },
  { id: 'G19', what: 'a cut header', archive: file('f').subarray(0, 300), gives: /unexpected end/ },
  { id: 'G20', what: 'cut data', archive: file('f', 'x'.repeat(600)).subarray(0, 900), gives: /unexpected end of the archive in "f"/ },
  { id: 'G21', what: 'no end mark', archive: file('f'), gives: ['- 644 0:0 f'] },
  { id: 'G22', what: 'one block of zeros', archive: Buffer.concat([file('f'), Buffer.alloc(512)]), gives: ['- 644 0:0 f'] },
  { id: 'G23', what: 'one block of zeros, then more', archive: archive(file('f'), Buffer.alloc(512), file('g')), gives: /one block of zeros/ },
  { id: 'G24', what: 'garbage behind the end', archive: Buffer.concat([archive(file('f')), Buffer.from('garbage')]), gives: ['- 644 0:0 f'] },
  { id: 'G25', what: 'a second archive behind the end', archive: Buffer.concat([archive(file('f')), archive(file('g'))]), gives: ['- 644 0:0 f'] },
  { id: 'G26', what: 'a pax header of 1 MiB and 1 byte', archive: archive(extended('x', Buffer.alloc(2 ** 20 + 1)), file('f')), gives: /too long/ },
  { id: 'G27', what: 'a pax header of 1 MiB', archive: archive(pax({ comment: 'x'.repeat(2 ** 20 - 17) }), file('f')), gives: ['- 644 0:0 f'] },
  { id: 'G28', what: 'a pax record longer than its header', archive: archive(extended('x', Buffer.from('99 path=x\n')), file('f')), gives: /length is wrong/ },
  { id: 'G29', what: 'a pax record without "="', archive: archive(extended('x', Buffer.from('7 path\n')), file('f')), gives: /pax record/ },
  { id: 'G30', what: 'a pax record of length 0', archive: archive(extended('x', Buffer.from('0 path=x\n')), file('f')), gives: /length is wrong/ },
  { id: 'G31', what: 'a global header', archive: archive(extended('g', Buffer.from('16 path=../evil\n')), file('f')), gives: ['- 644 0:0 f'] },
  { id: 'G32', what: 'a pax path twice', archive: archive(extended('x', Buffer.from('9 path=a\n9 path=b\n')), file('f')), gives: ['- 644 0:0 b'] },
  { id: 'G33', what: 'a long name over 1 MiB', archive: archive(extended('L', Buffer.alloc(2 ** 20 + 1)), file('f')), gives: /too long/ },
  { id: 'G34', what: 'nothing', archive: Buffer.alloc(0), gives: [] },
  { id: 'G35', what: 'a pax header, then the end', archive: pax({ path: 'x' }), gives: [] },
  { id: 'G36', what: 'a pax path and a GNU long name', archive: archive(pax({ path: 'pax' }), extended('L', Buffer.from('gnu\0')), file('f')), gives: ['- 644 0:0 gnu'] },
  { id: 'G37', what: '5,000 pax headers before one file', archive: archive(...Array.from({ length: 5000 }, () => pax({ path: 'x' })), pax({ path: 'last' }), file('f')), gives: ['- 644 0:0 last'] },

  { id: 'H01', what: 'old GNU sparse', archive: archive(file('f', 'data', { type: 'S' })), gives: /unhandled tar header type 83/ },
  { id: 'H03', what: 'pax sparse 1.0', archive: archive(pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'sparse', 'GNU.sparse.realsize': '10' }), file('f', `${'2\n2\n3\n8\n1\n'.padEnd(512, '\0')}abcd`)), gives: ['- 644 0:0 sparse =\0\0abc\0\0\0d\0'] },
  { id: 'H03b', what: 'pax sparse 0.1', archive: archive(pax({ 'GNU.sparse.numblocks': '2', 'GNU.sparse.map': '2,3,8,1', 'GNU.sparse.size': '10' }), file('f', 'abcd')), gives: ['- 644 0:0 f =\0\0abc\0\0\0d\0'] },
  { id: 'H03c', what: 'a sparse file that is all hole', archive: archive(pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '4' }), file('f', '1\n4\n0\n'.padEnd(512, '\0'))), gives: ['- 644 0:0 f =\0\0\0\0'] },
  { id: 'H04', what: 'a sparse name that climbs out', archive: archive(pax({ 'GNU.sparse.numblocks': '0', 'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.name': '../evil', 'GNU.sparse.size': '0' }), file('f')), gives: /outside/ },
  { id: 'H05', what: 'an overlapping sparse map', archive: archive(pax({ 'GNU.sparse.numblocks': '2', 'GNU.sparse.map': '0,3,2,1', 'GNU.sparse.size': '10' }), file('f', 'abcd')), gives: /overlap/ },
  { id: 'H05b', what: 'a sparse map that isn\'t the payload', archive: archive(pax({ 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '0,3', 'GNU.sparse.size': '10' }), file('f', 'abcd')), gives: /covers 3 bytes/ },
  { id: 'H06', what: 'a sparse file of 2^62 bytes', archive: archive(pax({ 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '0,1', 'GNU.sparse.size': String(2n ** 62n) }), file('f', 'a')), gives: /files are over/ },
  { id: 'H06b', what: 'a sparse file of 100 GiB of holes', archive: archive(pax({ 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '0,1', 'GNU.sparse.size': String(100 * 2 ** 30) }), file('f', 'a')), gives: /holes in its sparse files are over/ },
  { id: 'H06c', what: 'a sparse map of 10^6 entries', archive: archive(pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' }), file('f', `1000000\n${'0\n0\n'.repeat(300_000)}`)), gives: /too long or cut off/ },

  { id: 'I01', what: 'a file twice', archive: archive(file('f', 'one'), file('f', 'two')), gives: ['- 644 0:0 f =two'] },
  { id: 'I01s', what: 'a file twice, strictly', strict: true, archive: archive(file('f', 'one'), file('f', 'two')), gives: /two members of this name/ },
  { id: 'I02', what: 'a file, then a directory', archive: archive(file('d'), directory('d'), file('d/x')), gives: ['d! 755 0:0 d', '- 644 0:0 d/x'] },
  { id: 'I03', what: 'a directory, then a file', archive: archive(directory('d'), file('d/x'), file('d', 'f')), gives: ['- 644 0:0 d =f'] },
  { id: 'I04', what: 'a directory twice', archive: archive(directory('d'), file('d/x'), directory('d', { mode: 0o700 })), gives: ['d 700 0:0 d', '- 644 0:0 d/x'] },
  { id: 'I05', what: './x and x', archive: archive(file('./x', '1'), file('x', '2')), gives: ['- 644 0:0 x =2'] },
  { id: 'I06', what: 'X and x', archive: archive(file('X'), file('x')), gives: ['- 644 0:0 X', '- 644 0:0 x'] },
  { id: 'I10', what: 'a directory of mode 0 with children', archive: archive(directory('d', { mode: 0 }), file('d/x')), gives: ['d 0 0:0 d', '- 644 0:0 d/x'] },
];

for (const row of rows) {
  test(`${row.id}: ${row.what}`, async () => {
    const lower = row.lower === undefined ? undefined : lowerOf((await apply(row.lower)).root);
    for (const chunkSize of [64 * 1024, 700]) {
      const applied = apply(row.archive, { ...(lower === undefined ? {} : { lower }), strict: row.strict ?? false, chunkSize });
      if (row.gives instanceof RegExp) {
        await assert.rejects(applied, row.gives);
        continue;
      }
      const { root, content, replayed, diffId } = await applied;
      assert.deepEqual(describe(root, content), row.gives);
      assert.ok(replayed.equals(row.archive), 'the recipe gives back the same archive');
      assert.equal(diffId, `sha256:${createHash('sha256').update(row.archive).digest('hex')}`);
    }
  });
}

const xattrRows: { id: string; name: string; value: Buffer; kept: boolean; warned?: boolean; type?: string }[] = [
  { id: 'F01', name: 'trusted.overlay.opaque', value: Buffer.from('y'), kept: true },
  { id: 'F02', name: 'trusted.overlay.redirect', value: Buffer.from('/outside'), kept: true },
  { id: 'F03', name: 'user.overlay.opaque', value: Buffer.from('y'), kept: true },
  { id: 'F04', name: 'security.capability', value: Buffer.from('0100000200200000000000000000000000000000', 'hex'), kept: true },
  { id: 'F05', name: 'security.selinux', value: Buffer.from('x'), kept: false },
  { id: 'F09', name: 'user.a', value: Buffer.from('x'), kept: false, warned: true, type: '2' },
  { id: 'F10', name: 'bogus.x', value: Buffer.from('x'), kept: false, warned: true },
  { id: 'F11', name: 'user.empty', value: Buffer.alloc(0), kept: true },
  { id: 'F12', name: 'system.posix_acl_access', value: Buffer.from('garbage'), kept: false, warned: true },
  { id: 'F15', name: 'trusted.ufs.x', value: Buffer.from([0, 255, 10, 61]), kept: true },
];

for (const row of xattrRows) {
  test(`${row.id}: the xattr ${row.name} of a ${row.type === '2' ? 'symlink' : 'file'} is ${row.kept ? 'kept to the byte' : 'dropped'}${row.warned ? ' with a warning' : ''}`, async () => {
    const { root, warnings } = await apply(archive(pax({ [`SCHILY.xattr.${row.name}`]: row.value }), member({ name: 'f', type: row.type ?? '0', ...(row.type === '2' ? { linkName: 't' } : {}) })));
    assert.deepEqual(root.children?.get('f')?.inode?.attributes.xattrs.get(row.name), row.kept ? row.value : undefined);
    assert.equal(warnings.length, row.warned ? 1 : 0);
  });
}

for (const [id, mtime, expected] of [['G12', '-1', [0, 0]], ['G13', '-1.5', [0, 0]], ['G14', '9223372036854775807', [0, 0]], ['G15', '12.3456789019', [12, 345_678_901]]] as const) {
  test(`${id}: the time ${mtime} becomes ${expected.join('.')}`, async () => {
    const { root } = await apply(archive(pax({ mtime }), file('f')));
    const attributes = root.children?.get('f')?.inode?.attributes;
    assert.deepEqual([attributes?.mtimeSec, attributes?.mtimeNsec], expected);
  });
}

test('a path of 2,000 levels is no deeper than the stack', async () => {
  const deep = archive(file(`${'d/'.repeat(2000)}f`));
  assert.equal(describe((await apply(deep)).root).length, 2001);
});

test('D29, I11: members over the limit are refused', async () => {
  const many = archive(...Array.from({ length: 101 }, (_, index) => file(`f${index}`)));
  await assert.rejects(apply(many, { limits: { entries: 100 } }), /"f100": the archive has over 100 members/);
});

test('names that members imply count against the limit too', async () => {
  await assert.rejects(apply(archive(file(`${'d/'.repeat(200)}f`)), { limits: { entries: 100 } }), /the layer has over 100 names/);
});

test('J05: padding without end is refused', async () => {
  const endless = (async function* () {
    yield END;
    for (;;) yield Buffer.alloc(1024 * 1024);
  })();
  await assert.rejects(apply(endless, { limits: { trailing: 16 * 2 ** 20 } }), /over 16777216 bytes follow its end/);
});

test('an aborted apply stops and leaves nothing', async () => {
  const controller = new AbortController();
  const stream = (async function* () {
    yield file('a', 'x'.repeat(3_000_000)).subarray(0, 2_500_000);
    controller.abort();
    yield Buffer.alloc(512);
  })();
  await assert.rejects(apply(stream, { signal: controller.signal }), { name: 'AbortError' });
});

test('a sink that fails is reported with the member\'s name and its cause', async () => {
  const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  const sink = { put: () => { throw full; }, open: () => { throw full; }, share: () => undefined };
  await assert.rejects(apply(archive(file('a', 'data')), { sink }), (error: Error) => error.message.includes('"a": no space left') && error.cause === full);
});

test('the size of a layer counts each inode once and no directory', async () => {
  const { size } = await apply(archive(directory('d'), file('d/a', '12345'), link('d/b', 'd/a'), symlink('s', 'abc'), file('.wh.x', 'ignored')));
  assert.equal(size, 8);
});
