import { clearUmask } from '../../fs/host/make.ts';
import { needsOverlayfs, needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { fuseOverlayfs, kernelOverlayfs, testPeers } from './peers.ts';

const skip = needsRootAndFuse || needsOverlayfs;
const noFuseOverlayfs = needsRootAndFuse || needsProgram('fuse-overlayfs');
clearUmask();

testPeers([
  kernelOverlayfs('redirect_dir=off,metacopy=off,index=off', { redirects: false }, skip),
  kernelOverlayfs('redirect_dir=on,metacopy=on,index=off', { metacopy: true }, skip),
  kernelOverlayfs('redirect_dir=on,metacopy=on,index=on', { metacopy: true }, skip),
  kernelOverlayfs('userxattr', { redirects: false, namespace: 'user' }, skip),
  fuseOverlayfs('', {}, noFuseOverlayfs),
  fuseOverlayfs('', { FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT: '1' }, noFuseOverlayfs),
  fuseOverlayfs('xattr_permissions=2', {}, noFuseOverlayfs, { ownersInXattrs: 'user' }, ['read owners in xattrs it did not begin with']),
]);
