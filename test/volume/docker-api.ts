import { request } from 'node:http';

/** What Docker's API answers to a POST; its message where it refuses. */
export async function post(socket: string, path: string, body: unknown): Promise<{ status: number; answer: { Id?: string; message?: string } }> {
  return await new Promise((done, fail) => {
    const asked = request({ socketPath: socket, path, method: 'POST', headers: { 'Content-Type': 'application/json' } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part)).on('end', () => done({ status: response.statusCode as number, answer: text === '' ? {} : JSON.parse(text) })).on('error', fail);
    });
    asked.on('error', fail).end(JSON.stringify(body));
  });
}
