import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import type { TreeListing } from '../helpers/tree.ts';
import { Podman } from './podman.ts';
import { checkLoads, imageTree, mountedTree, SAYS, writeContext, type EngineImage, type ExpectedImage } from './sample-image.ts';

const NAME = 'localhost/sample:1';
const OTHER_NAMES = ['docker.io/library/sample:2', 'registry.example/team/sample:3'];
const CHILD = 'localhost/child:latest';

describe('podman and buildah', { skip: needsRootAndFuse || needsProgram('podman') || needsProgram('buildah') || needsProgram('runc') }, () => {
  let bench: Bench;
  let podman: Podman;
  let image: EngineImage;
  let tree: TreeListing;
  let child: ExpectedImage;

  before(() => {
    bench = new Bench();
    writeContext(bench);
    podman = new Podman(bench, 'podman');
    podman.podman('build', '-q', '--isolation', 'chroot', '--layers', '-t', NAME, 'context');
    podman.podman('tag', NAME, ...OTHER_NAMES);
    bench.sh(`mkdir child; printf 'FROM ${NAME}\\nRUN rm /keep/two; echo child >/child\\n' >child/Containerfile`);
    podman.podman('build', '-q', '--isolation', 'chroot', '-t', CHILD, 'child');
    image = podman.image(NAME);
    tree = treeOf(NAME);
    child = { names: [CHILD], image: podman.image(CHILD), tree: treeOf(CHILD) };
    assert.ok(tree.size > 30 && image.diffIds.length >= 4);
  });
  after(() => bench.close());

  /** What podman shows of an image. */
  function treeOf(name: string): TreeListing {
    const listing = imageTree(podman.podman('image', 'mount', name).trim());
    podman.podman('image', 'unmount', name);
    return listing;
  }

  for (const format of ['docker-archive', 'oci-archive', 'oci-dir']) {
    test(`what podman saves as ${format} loads with its name, configuration and layers, as the tree podman shows`, () => {
      podman.podman('save', '-q', '--format', format, '-o', `saved.${format}`, NAME);
      checkLoads(bench.path(`saved.${format}`), [{ names: [NAME], image, tree }]);
    });
  }

  test('what podman saves as docker-dir is refused, with what to do instead', () => {
    podman.podman('save', '-q', '--format', 'docker-dir', '-o', 'saved.docker-dir', NAME);
    const { code, err } = bench.try('load', 'saved.docker-dir');
    assert.equal(code, 1);
    assert.match(err, /Cannot load "saved\.docker-dir": .*docker-dir.*save it as docker-archive/);
  });

  test('an archive of several images, one with several names, loads with all of them', () => {
    podman.podman('save', '-q', '-m', '-o', 'several.tar', NAME, ...OTHER_NAMES, CHILD);
    checkLoads(bench.path('several.tar'), [{ names: [NAME, ...OTHER_NAMES], image, tree }, child]);
  });

  for (const [transport, reference, name] of [['oci-archive', 'stable', 'docker.io/library/stable:latest'], ['docker-archive', NAME, NAME]] as const) {
    test(`what buildah pushes to ${transport}: as "${reference}" loads the same`, () => {
      podman.buildah('push', '-q', NAME, `${transport}:pushed.${transport}:${reference}`);
      checkLoads(bench.path(`pushed.${transport}`), [{ names: [name], image, tree }]);
    });
  }

  for (const format of ['zstd', 'zstd:chunked']) {
    test(`layers that buildah compresses with ${format} are the same layers`, () => {
      const directory = `pushed.${format.replace(':', '-')}`;
      podman.buildah('push', '-q', '--compression-format', format, NAME, `oci:${directory}:${NAME}`);
      bench.sh(`grep -q 'tar+zstd' ${directory}/blobs/sha256/*`);
      checkLoads(bench.path(directory), [{ names: [NAME], image, tree }]);
    });
  }

  describe('given what ufs saves', () => {
    let other: Podman;
    before(() => {
      podman.podman('save', '-q', '-m', '-o', 'all.tar', NAME, ...OTHER_NAMES, CHILD);
      bench.ufs('load', 'all.tar');
      other = new Podman(bench, 'other');
    });
    const forget = (): void => void other.podman('rmi', '--all', '--force');

    // What it loads from a directory podman calls after that, whatever the names in it.
    for (const [format, name] of [['docker', NAME], ['oci', NAME], ['oci-dir', 'localhost/ours.oci-dir:latest']] as const) {
      test(`podman loads the ${format} format with its name, configuration and layers, shows the same tree and runs it`, () => {
        bench.ufs('save', NAME, '--format', format, '-o', `ours.${format}`);
        other.podman('load', '-q', '-i', `ours.${format}`);
        assert.deepEqual(other.names(image.id), [name]);
        assert.deepEqual(other.image(name), image);
        assert.deepEqual(imageTree(other.podman('image', 'mount', name).trim()), tree);
        assert.equal(other.runImage(name), SAYS);
        other.podman('image', 'unmount', name);
        forget();
      });
    }

    test('podman loads several images, one with several names, from one archive', () => {
      bench.ufs('save', NAME, ...OTHER_NAMES, CHILD, '-o', 'ours-several.tar');
      other.podman('load', '-q', '-i', 'ours-several.tar');
      assert.deepEqual(other.names(image.id), [NAME, ...OTHER_NAMES].sort());
      assert.deepEqual([other.image(NAME), other.image(CHILD)], [image, child.image]);
      assert.equal(other.runImage(CHILD, 'cat', '/child'), 'child\n');
      forget();
    });

    test('an image asked for by its id is saved under all of its names', () => {
      bench.ufs('save', image.id, NAME, '-o', 'ours-by-id.tar');
      other.podman('load', '-q', '-i', 'ours-by-id.tar');
      assert.deepEqual(other.names(image.id), [NAME, ...OTHER_NAMES].sort());
      forget();
    });

    test('podman pulls each name out of an OCI archive of several', () => {
      bench.ufs('save', NAME, ...OTHER_NAMES, '--format', 'oci', '-o', 'ours-named.tar');
      for (const name of OTHER_NAMES) assert.equal(`sha256:${other.podman('pull', '-q', `oci-archive:ours-named.tar:${name}`).trim()}`, image.id);
      forget();
    });

    test('podman loads and runs an image committed by ufs, on the layers it had', () => {
      bench.ufs('create', NAME, '--name', 'work');
      bench.sh('mkdir work');
      bench.ufs('mount', 'work', 'work', '--detach');
      bench.sh('cd work; rm -rf d/fresh keep/linked; mkdir -p new/deep; echo committed >d/fresh; ln keep/lower new/deep/linked; chmod 600 keep/two');
      bench.ufs('umount', 'work');
      bench.ufs('commit', 'work', 'localhost/committed:1');
      const committed = mountedTree(bench, 'localhost/committed:1');
      bench.ufs('save', 'localhost/committed:1', '-o', 'committed.tar');
      other.podman('load', '-q', '-i', 'committed.tar');
      const { diffIds, config } = other.image('localhost/committed:1');
      assert.deepEqual([diffIds.slice(0, -1), config], [image.diffIds, image.config]);
      assert.equal(other.runImage('localhost/committed:1'), 'hello there\ncommitted\n');
      assert.deepEqual(imageTree(other.podman('image', 'mount', 'localhost/committed:1').trim()), committed);
    });
  });
});
