import type { Program, Script } from './program.ts';

/** Files of many kinds: hard links, symlinks, xattrs, ACLs, holes, a fifo; all with an old time. */
const TREE: Script = `
  mkdir -p tree; cd tree
  for d in $(seq 16); do mkdir -p d$d/sub; for n in $(seq 9); do echo "$d $n" >d$d/f$n; done; seq $d 9000 >d$d/sub/long; ln d$d/f1 d$d/sub/linked; ln -s ../f2 d$d/sub/symlink; done
  ln d1/f3 d2/f3-of-d1; ln -s nowhere dangling; mkfifo fifo; truncate -s 1M sparse; echo end >>sparse; : >empty; chmod 4711 d3/f1; chmod 0700 d4; chmod 1777 d5; chown 7:8 d6/f* d6
  setfattr -n user.note -v 'some text' d7 d7/f1; setfacl -m u:7:rwx,d:g:8:r d8; setfacl -m u:7:r d8/f1
  cd ..; find tree -depth -exec touch -h -d @1000000000.123456789 {} +`;
/** More names in directories that are merged. */
const MORE: Script = `mkdir -p tree/d{8..14}; for d in $(seq 8 14); do echo above >tree/d$d/f2; echo above >tree/d$d/above; done; find tree -depth -exec touch -h -d @1000000001.987654321 {} +`;

/** Nothing that it would change. */
const SAME = (from: string, to: string): Script => `difference=$(rsync -aHAX --numeric-ids --checksum --delete --dry-run --itemize-changes ${from}/ ${to}/); echo "$difference"; [ -z "$difference" ]`;
const PACK = 'tar --format=posix --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime --sort=name --numeric-owner --xattrs --xattrs-include="user.*" --acls';

export const tar: Program = {
  needs: ['tar', 'setfacl', 'setfattr'],
  layers: [TREE, MORE],
  steps: {
    'an archive of the tree': `${PACK} -cf ../tree.tar tree; sha256sum <../tree.tar; tar --numeric-owner --compare -f ../tree.tar`,
    'three at once, packing and unpacking': `
      pids=; for n in 1 2 3; do (mkdir out$n; ${PACK} --sparse -cf - tree | tar -C out$n --xattrs --acls --numeric-owner -xpf -) & pids="$pids $!"; done; for pid in $pids; do wait $pid; done
      for n in 1 2 3; do ${PACK} -C out$n -cf - tree | sha256sum; done`,
    'unpacked over what is there, twice at once': 'for n in 1 2; do tar -C out$n --xattrs --acls --numeric-owner -xpf ../tree.tar & pids="${pids:-} $!"; done; for pid in $pids; do wait $pid; done; for n in 1 2; do tar -C out$n --numeric-owner --compare -f ../tree.tar; done',
    'unpacked over the tree of the layers': 'tar --xattrs --acls --numeric-owner --recursive-unlink --unlink-first -xpf ../tree.tar; tar --numeric-owner --compare -f ../tree.tar; rm ../tree.tar; touch -d @1000000000 .',
  },
  plain: true,
  leaves: { mtime: true, except: /^(\.|out.)$/ },
};

export const rsync: Program = {
  needs: ['rsync', 'setfacl', 'setfattr'],
  layers: [TREE, MORE],
  steps: {
    'a tree of hard links is the same': `cp -al tree links; ${SAME('tree', 'links')}`,
    'a copy with hard links, ACLs and xattrs is the same': `rsync -aHAX --numeric-ids tree/ copy/; ${SAME('tree', 'copy')}`,
    'what was changed is found and brought over, in place too': `
      touch -d @1000000002 copy/d1/f1; echo more >>copy/d2/sub/long; rm -r copy/d3; chmod 0600 copy/d9/f9; setfattr -n user.note -v other copy/d7/f1; mv copy/d10 copy/elsewhere; echo old >copy/d11/f3
      rsync -aHAXi --numeric-ids --checksum --delete --no-whole-file tree/ copy/; echo more >>copy/d12/sub/long; rsync -aHAXi --numeric-ids --checksum --inplace --no-whole-file tree/ copy/; ${SAME('tree', 'copy')}`,
    'what is written through one of the links shows through the other': 'echo written >>links/d13/f1; cmp tree/d13/f1 links/d13/f1; cmp tree/d13/sub/linked links/d13/f1; touch -d @1000000003 tree/d13/f1; stat -c "%h %s %Y" links/d13/sub/linked',
  },
  plain: true,
  leaves: { mtime: true, except: /^\.$/ },
};

const LIST = "find big -printf '%P %y %m %s %l\\n' | sort | sha256sum; find big -type f -links 2 | wc -l; find big -type d | wc -l";

export const trees: Program = {
  needs: [],
  // 40 directories of 15 files, in two layers; a quarter of them are in both.
  layers: [
    'mkdir -p big/d{1..28}; for d in $(seq 28); do touch big/d$d/f{1..15}; ln big/d$d/f15 big/d$d/linked; done',
    'mkdir -p big/d{18..40}/sub; for d in $(seq 18 40); do touch big/d$d/{f,g}{1..8} big/d$d/sub/s; done',
  ],
  steps: {
    'find lists the tree': LIST,
    'find removes and renames what it walks through': `find big -name 'f1*' -delete; find big -name 'f2' -execdir mv {} renamed ';'; find big -mindepth 1 -maxdepth 1 -name 'd2*' -exec mv {} {}.moved ';'; ${LIST}`,
    'two processes remove the same tree': 'cp -al big again; rm -rf again 2>/dev/null & rm -rf again 2>/dev/null || :; wait $! || :; rm -rf again; test ! -e again',
    'directories of the layers are removed, made again and filled': `rm -rf big/d?; mkdir big/d{1..9}; touch big/d{1..9}/new; find big/d{1..9} | sort; ${LIST}`,
    'the whole tree is removed, and nothing is in one made anew': `rm -rf big; test ! -e big; mkdir big; ls -A big; rmdir big; mkdir -p big/d20; find big`,
  },
  again: { 'it is still empty when it is mounted again': 'find big' },
  plain: true,
  leaves: { mtime: false },
};
