import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';

/** What each folder (or file) may import besides itself: the arrows of the architecture, as data. The longest prefix of a path decides. */
export const ARROWS: Record<string, readonly string[]> = {
  'fs/errno.ts': [],
  'fs/name.ts': ['fs/errno.ts'],
  'fs/stat.ts': [],
  'fs/file-system.ts': ['fs/name.ts', 'fs/stat.ts'],
  'fs/xattr-names.ts': [],
  'fs/id-map.ts': ['fs/errno.ts'],
  'fs/mapped-xattrs.ts': ['fs/name.ts', 'fs/id-map.ts', 'fs/xattr-names.ts'],
  'fs/mapped-file-system.ts': ['fs/name.ts', 'fs/stat.ts', 'fs/file-system.ts', 'fs/id-map.ts', 'fs/mapped-xattrs.ts'],
  'fs/host': ['fs/errno.ts', 'fs/name.ts', 'fs/stat.ts'],
  'fs/layer': ['fs/errno.ts', 'fs/name.ts', 'fs/stat.ts', 'fs/xattr-names.ts', 'fs/host'],
  'fs/protocol': ['fs/errno.ts', 'fs/name.ts', 'fs/stat.ts', 'fs/file-system.ts'],
  'fs/union': ['fs/errno.ts', 'fs/name.ts', 'fs/stat.ts', 'fs/xattr-names.ts', 'fs/file-system.ts', 'fs/host', 'fs/layer'],
  'fs/transport': ['fs/errno.ts', 'fs/name.ts', 'fs/stat.ts', 'fs/file-system.ts', 'fs/host', 'fs/protocol'],
  'fs/server.ts': ['fs/errno.ts', 'fs/name.ts', 'fs/stat.ts', 'fs/file-system.ts', 'fs/host', 'fs/protocol', 'fs/transport'],
  'fs/index.ts': ['fs'],
  'src/errors.ts': [],
  'src/log.ts': ['fs'],
  'src/serializer.ts': [],
  'src/unix-socket.ts': ['fs', 'src/errors.ts'],
  'src/tree': ['fs', 'src/errors.ts'],
  'src/store': ['fs', 'src/errors.ts', 'src/serializer.ts', 'src/tree'],
  'src/archive': ['fs', 'src/errors.ts', 'src/tree'],
  'src/changes': ['fs', 'src/errors.ts', 'src/tree'],
  'src/control': ['fs', 'src/errors.ts', 'src/log.ts', 'src/unix-socket.ts'],
  'src/mount': ['fs', 'src/errors.ts', 'src/log.ts', 'src/unix-socket.ts', 'src/tree', 'src/store'],
  'src/overlay': ['fs', 'src/errors.ts', 'src/mount'],
  'src/graph': ['fs', 'src/errors.ts', 'src/log.ts', 'src/tree', 'src/store', 'src/archive', 'src/changes', 'src/mount'],
  'src/plugin': ['fs', 'src/errors.ts', 'src/log.ts'],
  'src/volume': ['fs', 'src/errors.ts', 'src/serializer.ts'],
  'src/docker': ['fs', 'src/errors.ts', 'src/log.ts', 'src/tree', 'src/store', 'src/mount', 'src/graph', 'src/plugin'],
  'src/oci': ['fs', 'src/errors.ts', 'src/archive', 'src/volume'],
  'src/cli': ['fs', 'src'],
  'src/index.ts': ['fs', 'src'],
};

/** Packages one file has to itself: what they can't do is its business alone. */
const OWNED: Record<string, string> = { 'fuse-native': 'fs/transport/fuse-native.ts', koffi: 'fs/host/native.ts' };

const PACKAGE = /(?:from|import|require|\))\s*\(?\s*'([a-z][a-z-]*)'/g;
const IMPORT = /(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g;

function sources(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

function covers(prefix: string, path: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}

/** Every import that goes against the arrows, as "file imports file". `root` is the project's folder. */
export function wrongImports(root: string): string[] {
  const wrong: string[] = [];
  for (const file of ['fs', 'src'].flatMap((folder) => sources(join(root, folder)))) {
    const path = relative(root, file);
    const owner = Object.keys(ARROWS).filter((prefix) => covers(prefix, path)).sort((a, b) => b.length - a.length)[0];
    if (owner === undefined) {
      wrong.push(`${path} stands in no known folder`);
      continue;
    }
    const text = readFileSync(file, 'utf8');
    for (const [, name] of text.matchAll(PACKAGE)) if (name in OWNED && OWNED[name] !== path) wrong.push(`${path} imports ${name}`);
    for (const match of text.matchAll(IMPORT)) {
      const target = normalize(join(dirname(path), match[1] as string));
      if (covers(owner, target) || (ARROWS[owner] as readonly string[]).some((prefix) => covers(prefix, target))) continue;
      wrong.push(`${path} imports ${target}`);
    }
  }
  return wrong;
}

if (process.argv[1] === import.meta.filename) {
  const wrong = wrongImports(resolve(process.argv[2] ?? '.'));
  for (const line of wrong) console.error(line);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
