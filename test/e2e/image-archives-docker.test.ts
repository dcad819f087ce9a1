import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { treeDifferences, type TreeListing } from '../helpers/tree.ts';
import { Dockerd, DOCKERD } from './dockerd.ts';
import { checkLoads, exported, imageTree, mountedTree, SAYS, writeContext, type EngineImage, type ExpectedImage } from './sample-image.ts';

const NAME = 'docker.io/library/sample:1';
const OTHER_NAMES = ['docker.io/library/sample:2', 'registry.example/team/sample:3'];
const CHILD = 'docker.io/team/child:latest';
const IMPORTED = 'docker.io/library/imported:latest';

describe('docker', { skip: needsRootAndFuse || (existsSync(DOCKERD) ? false : `needs ${DOCKERD}`) }, () => {
  let bench: Bench;
  let dockerd: Dockerd;
  let image: EngineImage;
  let tree: TreeListing;

  before(async () => {
    bench = new Bench();
    writeContext(bench);
    dockerd = await Dockerd.start(bench, 'dockerd');
    dockerd.docker('build', '-q', '--network', 'none', '-t', NAME, 'context');
    for (const name of OTHER_NAMES) dockerd.docker('tag', NAME, name);
    image = dockerd.image(NAME);
    tree = treeOf(NAME);
    assert.ok(tree.size > 30 && image.diffIds.length >= 4);
  });
  after(async () => {
    await dockerd?.stop();
    bench.close();
  });

  /** What docker exports of an image. */
  function treeOf(name: string): TreeListing {
    const directory = `exported-${name.replaceAll(/\W/g, '-')}`;
    dockerd.export(name, directory);
    return exported(imageTree(bench.path(directory)));
  }

  test('what docker saves loads with all of its names, its configuration and layers, as the tree docker exports', () => {
    dockerd.docker('save', '-o', 'saved.tar', NAME, ...OTHER_NAMES);
    checkLoads(bench.path('saved.tar'), [{ names: [NAME, ...OTHER_NAMES], image, tree }], exported);
  });

  test('an archive of an image, one built on it and one that was imported and committed loads with all three', () => {
    bench.sh(`mkdir child; printf 'FROM ${NAME}\\nRUN rm /keep/two; echo child >/child\\n' >child/Dockerfile`);
    dockerd.docker('build', '-q', '--network', 'none', '-t', CHILD, 'child');
    dockerd.docker('import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["sh"]', 'context/rootfs.tar', 'bottom');
    dockerd.docker('run', '--name', 'changed', '--network', 'none', 'bottom', 'sh', '-c', 'rm -rf /gone /d && mkdir /d && echo new >/d/new');
    dockerd.docker('commit', 'changed', IMPORTED);
    dockerd.docker('rm', 'changed');
    dockerd.docker('save', '-o', 'several.tar', NAME, CHILD, IMPORTED);
    const others: ExpectedImage[] = [CHILD, IMPORTED].map((name) => ({ names: [name], image: dockerd.image(name), tree: treeOf(name) }));
    assert.ok(others[1]?.tree.has('d/new') && !others[1].tree.has('d/one'));
    const bySaved = [{ names: [NAME], image, tree }, ...others];
    checkLoads(bench.path('several.tar'), bySaved.sort((a, b) => order('several.tar', a) - order('several.tar', b)), exported);
  });

  /** Docker lists the images of an archive in no order. */
  function order(archive: string, { names: [name] }: ExpectedImage): number {
    return bench.sh(`tar -xOf ${archive} manifest.json`).indexOf(`"${(name as string).replace(/^docker\.io\/(library\/)?/, '')}"`);
  }

  describe('given what ufs saves', () => {
    let other: Dockerd;
    before(async () => {
      dockerd.docker('save', '-o', 'all.tar', NAME, ...OTHER_NAMES);
      bench.ufs('load', 'all.tar');
      other = await Dockerd.start(bench, 'other');
    });
    after(async () => {
      await other?.stop();
    });

    test('loads it with its name, configuration and layers, runs it and exports the same tree', () => {
      bench.ufs('save', NAME, '-o', 'ours.tar');
      other.docker('load', '-q', '-i', 'ours.tar');
      assert.deepEqual(other.names(NAME), ['sample:1']);
      assert.deepEqual(other.image(NAME), image);
      assert.equal(other.runImage(NAME), SAYS);
      other.export(NAME, 'exported-ours');
      assert.deepEqual(treeDifferences(tree, exported(imageTree(bench.path('exported-ours')))), []);
    });

    test('saves of that the layers that were loaded: they load again as the same image', () => {
      other.docker('save', '-o', 'again.tar', NAME);
      checkLoads(bench.path('again.tar'), [{ names: [NAME], image, tree }], exported);
    });

    test('loads an image of several names, asked for by its id, under all of them', () => {
      bench.ufs('save', image.id, '-o', 'ours-all.tar');
      other.docker('load', '-q', '-i', 'ours-all.tar');
      assert.deepEqual(other.names(image.id), ['registry.example/team/sample:3', 'sample:1', 'sample:2']);
    });

    test('loads and runs an image committed by ufs, on the layers it had', () => {
      bench.ufs('create', NAME, '--name', 'work');
      bench.sh('mkdir work');
      bench.ufs('mount', 'work', 'work', '--detach');
      bench.sh('cd work; rm -rf d/fresh keep/linked; mkdir -p new/deep; echo committed >d/fresh; ln keep/lower new/deep/linked; chmod 600 keep/two; mv kinds moved');
      bench.ufs('umount', 'work');
      bench.ufs('commit', 'work', 'committed:1');
      bench.ufs('save', 'committed:1', '-o', 'committed.tar');
      other.docker('load', '-q', '-i', 'committed.tar');
      const { diffIds, config } = other.image('committed:1');
      assert.deepEqual([diffIds.slice(0, -1), config], [image.diffIds, image.config]);
      assert.equal(other.runImage('committed:1'), 'hello there\ncommitted\n');
      other.export('committed:1', 'exported-committed');
      assert.deepEqual(treeDifferences(exported(mountedTree(bench, 'committed:1')), exported(imageTree(bench.path('exported-committed')))), []);
    });
  });
});
