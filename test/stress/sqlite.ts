import type { Program, Script } from './program.ts';

const ACCOUNTS = 200;
const TRANSFERS = 30;

/** All that was ever there is still there, and the file is sound. */
const CHECK = (name: string): Script => `sqlite3 -cmd '.timeout 20000' ${name} 'PRAGMA integrity_check; SELECT count(*), sum(amount) FROM account; SELECT count(*) FROM transfer;'`;

/** Two processes move amounts, each transfer a transaction; two more look at the sum all the while, one of them read-only. */
function transfers(name: string): Script {
  return `
    writer() { for n in $(seq ${TRANSFERS}); do echo "BEGIN IMMEDIATE; UPDATE account SET amount = amount - $n WHERE id = ($n * $1) % ${ACCOUNTS}; INSERT INTO transfer VALUES ($1, $n, hex(zeroblob(500)));
      UPDATE account SET amount = amount + $n WHERE id = ($n * 7 + $1) % ${ACCOUNTS}; COMMIT;"; done | sqlite3 -bail -cmd '.timeout 30000' -cmd 'PRAGMA synchronous=NORMAL' ${name}; }
    reader() { for n in $(seq ${TRANSFERS}); do echo 'SELECT sum(amount) FROM account;'; done | sqlite3 -bail "$@" -cmd '.timeout 30000' ${name} >../sums.$1; sort -u ../sums.$1; }
    reader -readonly & pids=$!; writer 3 & pids="$pids $!"; writer 5 & pids="$pids $!"; reader -batch & pids="$pids $!"
    for pid in $pids; do wait $pid; done
    ${CHECK(name)}; sqlite3 ${name} 'SELECT id, amount FROM account WHERE amount <> 1000 ORDER BY id' | sha256sum`;
}

/** A writer is killed with a part of its transaction in the file already: the cache is too small for it. */
function killed(name: string): Script {
  return `(sqlite3 ${name} 'PRAGMA cache_size=5; PRAGMA cache_spill=5;' 'BEGIN IMMEDIATE; UPDATE account SET amount = 0; UPDATE transfer SET note = hex(zeroblob(600));' '.shell kill -9 $PPID' || [ $? = 137 ]) 2>/dev/null
    ls ${name}-*`;
}

export const sqlite: Program = {
  needs: ['sqlite3'],
  layers: [`
    for mode in delete wal; do
      echo "PRAGMA journal_mode=$mode; CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER, note TEXT); CREATE TABLE transfer (writer INTEGER, n INTEGER, note TEXT, UNIQUE (writer, n));
        WITH RECURSIVE c(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM c WHERE id < ${ACCOUNTS - 1}) INSERT INTO account SELECT id, 1000, hex(zeroblob(100)) FROM c;" | sqlite3 $mode.db
    done`],
  steps: {
    'a database of the layer is read': `for name in delete.db wal.db; do ${CHECK('$name')}; done`,
    'two processes write it, two read it, with a rollback journal': transfers('delete.db'),
    'two processes write it, two read it, with a write-ahead log': transfers('wal.db'),
    'vacuum, and change to the other journal and back': `for name in delete.db wal.db; do before=$(sqlite3 $name 'PRAGMA journal_mode'); sqlite3 $name 'VACUUM; PRAGMA journal_mode=delete; PRAGMA journal_mode=wal; UPDATE account SET note=id;' "PRAGMA journal_mode=$before"; ${CHECK('$name')}; done`,
    'what was rolled back after a writer was killed': `${killed('delete.db')}; ${CHECK('delete.db')}; ${killed('wal.db')}; ${CHECK('wal.db')}`,
    'a writer is killed': `${killed('delete.db')}; ${killed('wal.db')}`,
  },
  again: { 'what it had begun is rolled back when it is mounted again': `${CHECK('delete.db')}; ${CHECK('wal.db')}` },
  plain: true,
};
