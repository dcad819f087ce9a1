import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function openssl(directory: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A certificate of its own making: <name>.key and <name>.pem. */
export function selfSigned(directory: string, name: string, commonName: string): void {
  openssl(directory, 'req', '-x509', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${commonName}`);
}

/** An authority (ca.pem), and what it signed for 127.0.0.1: server.pem and client.pem, each with its .key. */
export function writeCertificates(directory: string): void {
  selfSigned(directory, 'ca', 'authority');
  writeFileSync(join(directory, 'ext'), 'subjectAltName=IP:127.0.0.1');
  for (const name of ['server', 'client']) {
    openssl(directory, 'req', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    openssl(directory, 'x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', `${name}.pem`);
  }
}
