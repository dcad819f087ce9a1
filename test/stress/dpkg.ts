import type { Program } from './program.ts';

const DPKG = 'dpkg --log=/dev/null --force-script-chrootless';
const IN_ROOT = `${DPKG} --root=$PWD/root`;
const SPLIT = `${DPKG} --instdir=$PWD/root --admindir=$PWD/root/var/lib/dpkg`;
const STATE = `dpkg-query --admindir=$PWD/root/var/lib/dpkg -W -f '\${Package} \${Version} \${db:Status-Abbrev}\\n'; ${IN_ROOT} --verify; ${IN_ROOT} --audit`;

export const dpkg: Program = {
  needs: ['dpkg', 'dpkg-deb'],
  // Packages, and a root directory with the first of them installed.
  layers: [`
    mkdir -p root/var/lib/dpkg/{info,updates,triggers}; touch root/var/lib/dpkg/{status,available}
    build() { # build NAME VERSION
      mkdir -p build/DEBIAN build/usr/share/$1/deep/er build/etc build/usr/bin
      printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: A <a@example.org>\\nDescription: test\\n' $1 $2 >build/DEBIAN/control
      echo /etc/$1.conf >build/DEBIAN/conffiles; echo "setting of $2" >build/etc/$1.conf
      printf '#!/bin/sh\\nset -e\\necho %s %s $1 >>"$DPKG_ROOT/var/log-of-scripts"\\n' $1 $2 >build/DEBIAN/postinst; cp build/DEBIAN/postinst build/DEBIAN/prerm; chmod 0755 build/DEBIAN/p*
      printf '#!/bin/sh\\necho %s\\n' $2 >build/usr/bin/$1; chmod 4755 build/usr/bin/$1; ln build/usr/bin/$1 build/usr/bin/$1-linked; ln -s $1 build/usr/bin/$1-alias
      for n in $(seq 15); do echo "$1 $2 $n" >build/usr/share/$1/deep/file$n; seq $n >build/usr/share/$1/deep/er/$n; done
      if [ $2 = 2 ]; then rm -r build/usr/share/$1/deep/er; mkdir build/usr/share/$1/new; echo new >build/usr/share/$1/new/new; fi
      find build -exec touch -h -d @1000000000 {} +; dpkg-deb --root-owner-group -Znone -b build $1-$2.deb; rm -r build
    }
    build one 1; build one 2; build two 1
    ${IN_ROOT} -i one-1.deb; echo changed >>root/etc/one.conf`],
  steps: {
    'what the layer has installed is all there': STATE,
    'a package is built': 'mkdir -p pack/DEBIAN; cp /dev/null pack/empty; printf "Package: pack\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@example.org>\\nDescription: test\\n" >pack/DEBIAN/control; touch -d @1000000000 pack pack/*; dpkg-deb --root-owner-group -b pack; dpkg-deb -c pack.deb',
    'a package is installed': `${SPLIT} -i two-1.deb; ${STATE}; root/usr/bin/two`,
    'a package of the layer is upgraded': `${IN_ROOT} --force-confold -i one-2.deb; ${STATE}; root/usr/bin/one; cat root/etc/one.conf`,
    'a package is removed, a package is purged': `${IN_ROOT} -r two; ${STATE}; ${IN_ROOT} -P one; ${STATE}; find root -not -path '*/dpkg/*' | sort`,
    'it is installed where it was': `${IN_ROOT} -i one-1.deb; ${STATE}`,
  },
  again: { 'all is as it was when it is mounted again': `${STATE}; cat root/var/log-of-scripts` },
  plain: true,
  // It keeps a time in the archive it builds (ar's header); what it makes by itself has the time it was made at.
  leaves: { mtime: false, except: /^pack\.deb$/ },
};
