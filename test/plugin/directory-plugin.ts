import { GraphDriverHandler } from '../../src/index.ts';
import { DirectoryDriver } from './directory-driver.ts';

/** An example of a program that serves a driver to Docker: directory-plugin <name> <directory>, then dockerd --experimental -s <name>. */
const [name = '', directory = ''] = process.argv.slice(2);
const handler = new GraphDriverHandler(new DirectoryDriver(directory));
console.log(`serving Docker on ${await handler.serveUnix(name)}`);
process.once('SIGTERM', () => void handler.close());
