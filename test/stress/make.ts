import type { Program } from './program.ts';

/** Builds, and tells in order what was compiled. Times of files move in steps of up to 10 ms. */
const BUILD = 'sleep 0.02; make -j2 >../make.log; sort ../make.log; ./app';

const PARTS = 6;

export const make: Program = {
  needs: ['make', 'gcc'],
  // A project that was built once in the layer; headers and objects of one directory are in two layers.
  layers: [`
    mkdir include; calls= includes=; echo 'int base(void);' >include/base.h
    for n in $(seq ${PARTS}); do
      mkdir part$n; printf '#include "base.h"\\n#define PART %s\\nint part%s(void);\\n' $n $n >include/part$n.h
      printf '#include "part%s.h"\\nint part%s(void) { return PART + base(); }\\n' $n $n >part$n/part.c
      calls="$calls + part$n()"; includes="$includes#include \\"part$n.h\\"\\n"
    done
    printf '#include <stdio.h>\\n%bint base(void) { return 100; }\\nint main(void) { printf("%%d\\\\n", 0%s); return 0; }\\n' "$includes" "$calls" >main.c
    cat >Makefile <<'END'
CFLAGS = -Iinclude -MMD -O1
PARTS = $(wildcard part*/part.c)
OBJECTS = $(PARTS:.c=.o)
app: main.o libparts.a
	@echo link; $(CC) -o $@ $^
libparts.a: $(OBJECTS)
	@echo archive; rm -f $@; ar rcs $@ $^
%.o: %.c
	@echo compile $<; $(CC) $(CFLAGS) -c -o $@ $<
-include $(OBJECTS:.o=.d) main.d
clean:
	rm -f app main.[od] libparts.a part*/part.[od]
END
    make -j2`, 'mkdir include; echo >include/unused.h'],
  steps: {
    'what was built in the layer is up to date': 'make -q; ./app',
    'a touched header and a changed source: only what depends on them is built': `sleep 0.02; touch include/part2.h; sed -i 's/PART + /2 * PART + /' part3/part.c; ${BUILD}; make -q`,
    'a header that all depend on': `sleep 0.02; echo '/* */' >>include/base.h; ${BUILD}; make -q`,
    'all anew, and nothing the second time': `make -s clean; ${BUILD}; make -q`,
  },
  again: { 'nothing to do when it is mounted again': 'make -q; ./app' },
  plain: true,
  leaves: { mtime: false },
};
