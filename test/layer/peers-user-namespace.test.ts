import { clearUmask } from '../../fs/host/make.ts';
import { needsOverlayfs, needsProgram } from '../helpers/needs.ts';
import { inUserNamespace, runInUserNamespace } from '../helpers/user-namespace.ts';
import { fuseOverlayfs, kernelOverlayfs, testPeers } from './peers.ts';

// As root of an unprivileged user's namespace: marks are in user.*, and devices other than 0:0 can't be made.
if (inUserNamespace) {
  const noFuseOverlayfs = needsProgram('fuse-overlayfs');
  clearUmask();
  testPeers([
    kernelOverlayfs('userxattr', { redirects: false }, needsOverlayfs, ['devices']),
    fuseOverlayfs('', {}, noFuseOverlayfs, {}, ['devices']),
    fuseOverlayfs('', { FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT: '1' }, noFuseOverlayfs, {}, ['devices']),
    fuseOverlayfs('xattr_permissions=2', {}, noFuseOverlayfs, { ownersInXattrs: 'user' }, ['devices', 'read owners in xattrs it did not begin with']),
  ]);
} else {
  await runInUserNamespace(import.meta.filename);
}
