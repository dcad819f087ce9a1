export const HELP = `Usage: ufs-overlay [-f] [-d] -o OPTION[,OPTION…] [SOURCE] DIRECTORY

Mounts directories as one, as fuse-overlayfs does: the mount program of podman, buildah and CRI-O
(storage.options.overlay mount_program), and of mount -t fuse3.ufs-overlay. Returns when it is mounted.
One process serves all mounts of a user; it is started when needed, and ends a minute after the last, or
UFS_OVERLAY_IDLE seconds after it, and with its namespaces.

  -o OPTIONS     see below; may be given several times
  -f             stay, and serve the mount in this process
  -d, --debug    as -f, and tell each request on standard error
  --serve        be the process that serves the mounts of this user until it is stopped (for a service manager)
  -V, --version  tell the version
  -h, --help     tell this

Options:
  lowerdir=A:B:C              directories that are shown, topmost first; "\\:" is a colon, "\\," a comma
  upperdir=U,workdir=W        what is changed is kept in U; W is an empty directory on the same file system
  ro                          let nothing be changed
  uidmapping=H:T:N[:H:T:N…]   N users from H on, as they are kept, are shown as those from T on
  gidmapping=H:T:N[:H:T:N…]   the same for groups
  squash_to_root, squash_to_uid=N, squash_to_gid=N
                              show all files as belonging to one user or group
  xattr_permissions=2         keep owners and modes in xattrs (home directories on a network); 1: in security.*, as root
  volatile, fsync=0           sync nothing
  timeout=SECONDS             how long the kernel may keep what it was told of names and attributes (for ever)
  noacl                       let ACLs have no effect
  noxattrs=1                  have no extended attributes
  writeback=0                 let nothing be written later than it is acknowledged
  metacopy=on                 chown, chmod … copy no data up (only ufs and kernel overlayfs read that)
  redirect_dir=on             directories of lower layers can be renamed (only ufs and kernel overlayfs read that)
  userxattr                   keep marks in user.*
  allow_other, nosuid, nodev, noexec, atime …
                              as for mount(8)
What else there is is ignored, with a word on standard error where it isn't known.
`;
