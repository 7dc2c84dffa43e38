// recorder.ts: a real HTTP server that writes down what it is asked, and answers as a test says.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Owner } from '../../support/temp.ts';

export type Heard = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};
export type Recorder = { readonly url: string; readonly heard: readonly Heard[]; readonly close: () => Promise<void> };

/** `answer` gets the question and how many came before it. */
export async function startRecorder(
  t: Owner,
  answer: (response: ServerResponse, heard: Heard, before: number) => void,
  port = 0,
): Promise<Recorder> {
  const heard: Heard[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    const { method = '', url: path = '', headers } = request;
    const each = { method, path, headers, body };
    heard.push(each);
    answer(response, each, heard.length - 1);
  });
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await new Promise(resolve => {
      server.close(resolve);
      server.closeAllConnections();
    });
  };
  t.teardown(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard, close };
}
