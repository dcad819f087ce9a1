import type { Bench } from '../helpers/cli.ts';

/** root DIRECTORY PACKAGE…: what packages have, and the libraries their programs need. */
const ROOT = `root() {
  local root=$1 package; shift
  mkdir -p $root/usr/{bin,sbin,lib,lib64} $root/{dev,proc,sys,tmp,run,deb} $root/var/lib/dpkg/{info,updates,triggers}; chmod 1777 $root/tmp
  dpkg -L "$@" | grep -Ev '^/(usr/(share/(doc|man|locale|info|bug|lintian|zoneinfo)|include)|lib/(terminfo|systemd|udev)|dev|proc|sys|run)(/|$)' | sort -u >files
  grep -E '/s?bin/|/apt/methods/' files | { xargs -d '\\n' ldd 2>/dev/null || true; } | grep -o '/[^ :]*' | sort -u >libraries
  { printf '/%s\\n' bin sbin lib lib64 etc/passwd etc/group var/lib/dpkg/info/format; cat libraries; xargs readlink -f <libraries; for package; do ls /var/lib/dpkg/info/$package{,:*}.list 2>/dev/null || true; done; } >>files
  tar --ignore-failed-read --no-recursion -cf - -T files 2>/dev/null | tar -xf - -C $root
  # Without what they need: it isn't said to be installed, though its libraries are there.
  dpkg-query -s "$@" | sed -E '/^((Pre-)?Depends|Recommends|Suggests|Breaks|Conflicts|Replaces):/d' >$root/var/lib/dpkg/status
  rm -rf $root/etc/apt/sources.list* $root/etc/apt/apt.conf.d/*
}`;

/** Makes root file systems of this machine's own Debian packages, in a second and without network: `debian.tar`, where dpkg and apt work, and `small.tar` with just a few commands. */
export function writeDebian(bench: Bench): void {
  const required = "{ dpkg-query -W -f '${Priority} ${Package}\\n' | awk '$1 == \"required\" { print $2 }'; printf 'apt\\nlibcap2-bin\\n'; }";
  bench.sh(`${ROOT}; root debian $(${required} | sort -u); root small bash dash coreutils sed tar findutils libcap2-bin; tar -cf small.tar -C small .`);
  for (const version of [1, 2]) bench.sh(buildPackage(version));
  bench.sh("tar --numeric-owner --xattrs --xattrs-include='*' -cf debian.tar -C debian .; rm -rf debian small files libraries");
}

/** A package of every kind of file, whose second version has some of them elsewhere, or of another kind. */
function buildPackage(version: number): string {
  return `
    mkdir -p package/DEBIAN package/usr/share/sample/deep/er package/etc package/usr/bin
    printf 'Package: sample\\nVersion: %s\\nArchitecture: all\\nDepends: dpkg\\nMaintainer: A <a@example.org>\\nDescription: test\\n' ${version} >package/DEBIAN/control
    echo /etc/sample.conf >package/DEBIAN/conffiles; echo 'setting of ${version}' >package/etc/sample.conf
    printf '#!/bin/sh\\nset -e\\necho ${version} "$1" >>/var/lib/sample-scripts\\n' >package/DEBIAN/postinst; cp package/DEBIAN/postinst package/DEBIAN/prerm; chmod 0755 package/DEBIAN/p*
    printf '#!/bin/sh\\necho version ${version}\\n' >package/usr/bin/sample; chmod 4755 package/usr/bin/sample; ln package/usr/bin/sample package/usr/bin/sample-linked; ln -s sample package/usr/bin/sample-alias
    for n in $(seq 30); do echo "${version} $n" >package/usr/share/sample/deep/file$n; seq $n >package/usr/share/sample/deep/er/$n; done
    if [ ${version} = 2 ]; then rm -r package/usr/share/sample/deep/er; echo file >package/usr/share/sample/deep/er; mkdir package/usr/share/sample/new; ln package/usr/bin/sample package/usr/share/sample/new/far; fi
    dpkg-deb --root-owner-group -Znone -b package debian/deb/sample_${version}.deb >/dev/null; rm -r package`;
}
