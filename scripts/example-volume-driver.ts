import fs from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
// In a program of one's own: from 'ufs'.
import { DEFAULT_VOLUME_ROOT, VolumeHandler, type VolumeDriver, type VolumeInfo } from '../src/index.ts';

/** What is kept of a volume, in <root>/<name>/volume.json; its files are in <root>/<name>/data. */
interface VolumeRecord {
  createdAt: string;
  options: Record<string, string>;
  /** How often each id mounted it more than it gave back. */
  holders: Record<string, number>;
}

/**
 * An example of a volume driver: a volume is a directory. All is kept on disk, so that a new process goes on where another ended. No method waits between reading a record and
 * writing it, so that calls which overlap don't undo each other.
 */
class DirectoryVolumes implements VolumeDriver {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    fs.mkdirSync(root, { recursive: true, mode: 0o711 });
    // What was being made or removed when a process was killed; no volume's name begins with a dot.
    for (const name of fs.readdirSync(root)) if (/^\.(new|old)-/.test(name)) fs.rmSync(join(root, name), { recursive: true });
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    const unknown = Object.keys(options).find((option) => option !== 'mode');
    if (unknown !== undefined) throw new Error(`Cannot use option "${unknown}" for volume "${name}": there is "mode" alone`);
    const { mode = '0755' } = options;
    if (!/^[0-7]{3,4}$/.test(mode)) throw new Error(`Cannot use "${mode}" as mode of volume "${name}": give three or four octal digits`);
    if (fs.existsSync(join(this.#root, name))) throw new Error(`Cannot create volume "${name}": there is one of that name`);
    // Made aside, and there at once with all it needs.
    const aside = fs.mkdtempSync(join(this.#root, '.new-'));
    fs.mkdirSync(join(aside, 'data'));
    fs.chmodSync(join(aside, 'data'), Number.parseInt(mode, 8));
    fs.chmodSync(aside, 0o711);
    fs.writeFileSync(join(aside, 'volume.json'), JSON.stringify({ createdAt: new Date().toISOString(), options, holders: {} } satisfies VolumeRecord));
    fs.renameSync(aside, join(this.#root, name));
  }

  async remove(name: string): Promise<void> {
    // Docker doesn't ask while a container of its own has it. Holders of a dockerd that was killed stay in the record: whether they use it is seen in their mounts.
    if (Object.keys(this.#read(name).holders).length > 0 && isMounted(`/${name}/data`)) throw new Error(`Cannot remove volume "${name}": it is in use`);
    const aside = join(fs.mkdtempSync(join(this.#root, '.old-')), 'volume');
    fs.renameSync(join(this.#root, name), aside);
    await fs.promises.rm(join(aside, '..'), { recursive: true });
  }

  async list(): Promise<VolumeInfo[]> {
    const names = fs.readdirSync(this.#root).filter((name) => !name.startsWith('.') && fs.existsSync(join(this.#root, name, 'volume.json')));
    return names.map((name) => this.#describe(name));
  }

  async get(name: string): Promise<VolumeInfo> {
    return this.#describe(name);
  }

  async path(name: string): Promise<string> {
    return this.#describe(name).mountpoint;
  }

  /** A driver that mounts something does it here, for the first holder. */
  async mount(name: string, id: string): Promise<string> {
    const record = this.#read(name);
    record.holders[id] = (record.holders[id] ?? 0) + 1;
    this.#write(name, record);
    return this.#describe(name).mountpoint;
  }

  /** … and unmounts it here, after the last. */
  async unmount(name: string, id: string): Promise<void> {
    const record = this.#read(name);
    const count = record.holders[id] ?? 0;
    if (count > 1) record.holders[id] = count - 1;
    else delete record.holders[id];
    this.#write(name, record);
  }

  capabilities(): { scope: 'local' } {
    return { scope: 'local' };
  }

  #describe(name: string): VolumeInfo & { mountpoint: string } {
    const { createdAt, options, holders } = this.#read(name);
    return { name, mountpoint: join(this.#root, name, 'data'), createdAt: new Date(createdAt), status: { mode: options['mode'] ?? '0755', holders: Object.keys(holders).length } };
  }

  #read(name: string): VolumeRecord {
    try {
      return JSON.parse(fs.readFileSync(join(this.#root, name, 'volume.json'), 'utf8')) as VolumeRecord;
    } catch (cause) {
      throw new Error((cause as NodeJS.ErrnoException).code === 'ENOENT' ? `There is no volume "${name}"` : `Cannot read the record of volume "${name}": ${(cause as Error).message}`, { cause });
    }
  }

  #write(name: string, record: VolumeRecord): void {
    const path = join(this.#root, name, 'volume.json');
    fs.writeFileSync(`${path}.new`, JSON.stringify(record));
    fs.renameSync(`${path}.new`, path);
  }
}

/** Whether a process sees a directory that ends so mounted somewhere: containers do, in mount namespaces of their own (proc_pid_mountinfo(5)). */
function isMounted(end: string): boolean {
  return fs.readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n').some((line) => line.split(' ')[3]?.endsWith(end));
    } catch {
      // The process has ended.
      return false;
    }
  });
}

const HELP = `Usage: example-volume-driver [--name NAME] [--root DIRECTORY] [--gid GID | --tcp HOST:PORT [--tls DIRECTORY]]
Serves directories to Docker as volumes, until SIGINT or SIGTERM: docker volume create -d NAME [-o mode=1777] …

  --name NAME       what Docker calls the driver ("example")
  --root DIRECTORY  where the volumes are (${DEFAULT_VOLUME_ROOT}/NAME)
  --gid GID         whose members may connect to the socket in /run/docker/plugins, besides root
  --tcp HOST:PORT   on an address instead, which Docker reads in /etc/docker/plugins; whoever reaches it is obeyed
  --tls DIRECTORY   … but only who has a certificate: of ca.pem, server.pem, server.key, and for Docker client.pem, client.key
  --help            this text
`;

/** Serves as the words of the command line say; what Docker connects to, or the help. */
async function serve(argv: string[]): Promise<string> {
  const text = { type: 'string' } as const;
  const { values: { help, name, root, gid, tcp, tls } } = parseArgs({ args: argv, options: { help: { type: 'boolean' }, name: { ...text, default: 'example' }, root: text, gid: text, tcp: text, tls: text } });
  if (help === true) return HELP;
  if (tcp === undefined ? tls !== undefined : gid !== undefined) throw new Error('Cannot use --tls without --tcp, nor --gid with it');
  if (gid !== undefined && !/^\d+$/.test(gid)) throw new Error(`Cannot use "${gid}" as --gid: give a number`);
  const handler = new VolumeHandler(new DirectoryVolumes(resolve(root ?? join(DEFAULT_VOLUME_ROOT, name))));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void handler.close());
  if (tcp === undefined) return `serving Docker on ${await handler.serveUnix(name, gid === undefined ? undefined : Number(gid))}\n`;
  if (tls === undefined) return `serving Docker on ${await handler.serveTcp(name, tcp)}\n`;
  const path = (file: string): string => resolve(tls, file);
  const [ca, cert, key] = ['ca.pem', 'server.pem', 'server.key'].map((file) => fs.readFileSync(path(file), 'utf8')) as [string, string, string];
  const client = { caFile: path('ca.pem'), certFile: path('client.pem'), keyFile: path('client.key') };
  return `serving Docker on ${await handler.serveTcp(name, tcp, { ca, cert, key, client })}\n`;
}

await serve(process.argv.slice(2)).then((words) => process.stdout.write(words), (error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
