import type { Program } from './program.ts';

const STATE = 'git log --all --format="%H %s" | sort; git ls-files -s | sha256sum; git status --porcelain; git stash list';

export const git: Program = {
  needs: ['git'],
  // The lower layer's repository has packs and loose objects; the one above it adds files that aren't committed.
  layers: [`
    git init -q -b main . ; git config pack.threads 1; git config gc.auto 0
    for d in a b c d e f; do mkdir -p $d/sub; for n in $(seq 9); do echo "$d $n" >$d/file$n; seq $n 90 >$d/sub/long$n; done; done
    ln -s a/file1 link; printf '#!/bin/sh\\n' >run; chmod +x run
    git add .; git commit -q -m one; git tag one
    for n in $(seq 5); do echo more >>a/sub/long$n; git commit -q -a -m "more $n"; done
    git gc -q
    git checkout -q -b side; git rm -q -r b; git mv c/sub moved; echo side >>d/file1; git add .; git commit -q -m side; git checkout -q main
    echo loose >loose; git add loose; git commit -q -m loose`, `
    mkdir -p f/untracked; echo new >f/untracked/new`],
  steps: {
    'the index of a repository that came with the layer is right': `${STATE}; git diff --stat; git fsck --full --strict`,
    'commits of what was changed, added, moved and removed': `
      echo changed >>a/file1; git rm -q b/file2; git mv d/sub d/renamed; git add -A; git commit -q -m changed; ${STATE}`,
    'branches are checked out, there and back': `git checkout -q side; ls; test ! -e b/file1; git checkout -q one; git checkout -q main; ${STATE}`,
    'a merge': `git merge -q -m merged side || { git status --porcelain; git checkout -q --ours . ; git add -A; git commit -q -m resolved; }; ${STATE}`,
    'a stash': `echo stashed >>a/file3; rm e/file4; git stash -q; git diff --stat; git stash show --stat; git stash pop -q; ${STATE}; git stash -q`,
    'clones, with hard links and without': `
      git clone -q . clone; git clone -q --no-hardlinks --bare . bare.git; git -C bare.git fsck --full --strict; cd clone; git fsck --full --strict; echo clone >clone; git add .; git commit -q -m clone
      git push -q origin HEAD:pushed; cd ..; git log --format=%s -1 pushed`,
    'garbage is collected, and what is reachable stays': `git reflog expire --expire=now --all; git gc -q --prune=now; git fsck --full --strict; git count-objects -v | grep -v size; ${STATE}`,
  },
  again: { 'it is sound when it is mounted again': `git fsck --full --strict; git -C clone fsck --full --strict; ${STATE}` },
  plain: true,
  // The index has inode numbers and times; a clone knows where it comes from.
  leaves: { mtime: false, except: /\.git\/(index|config|packed-refs|FETCH_HEAD|logs\/.*)$/ },
};
