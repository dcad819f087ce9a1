/** Xattrs that Linux itself gives a meaning (xattr(7), acl(5), capabilities(7)). */
export const ACCESS_ACL = 'system.posix_acl_access';
export const DEFAULT_ACL = 'system.posix_acl_default';
export const CAPABILITY = 'security.capability';
