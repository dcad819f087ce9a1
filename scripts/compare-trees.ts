import { listTree, treeDifferences } from '../test/helpers/tree.ts';

/** `compare-trees A B`: says how many paths of two directories are equal, or lists what differs and exits with 1. */
const [left, right] = process.argv.slice(2);
if (left === undefined || right === undefined) {
  console.error('Usage: compare-trees A B');
  process.exit(2);
}
// SELinux labels and what kernel overlayfs keeps for itself are not of the tree.
const options = { ignoreXattrs: /^(security\.selinux|trusted\.overlay\.|user\.overlay\.)/ };
const listing = listTree(left, options);
const differences = treeDifferences(listing, listTree(right, options));
if (differences.length === 0) console.log(`${listing.size} paths are equal in type, mode, owner, size, time, xattrs, links, device and content`);
else {
  console.error(`${differences.length} paths differ between ${left} and ${right}:\n${differences.slice(0, 20).join('\n')}`);
  process.exitCode = 1;
}
