// client.ts: the side of whoever typed the command: a WebSocket to the scheduler, and bytes as fast as both ends take them.

import { type RawData, WebSocket } from 'ws';
import { message_bytes_max, readFrame, readServerWord, type ServerWord, type Size, subprotocol } from './words.ts';

export type Call = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly command: readonly string[] | undefined;
  readonly terminal: (Size & { readonly term?: string }) | undefined;
};
export type Near = {
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when there is room for more. */
  readonly write: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => Promise<void>;
  /** The command runs: from now on what is typed goes there. `resize` tells of another size. */
  readonly ready: (resize: (size: Size) => void) => void;
};
/** `refused`: it never ran, or the connection broke: in words. */
export type Outcome = Extract<ServerWord, { type: 'end' }> | { readonly type: 'refused'; readonly message: string };

/** Resolves when the command has ended and all that it wrote is written. */
export async function callTask({ url, headers, command, terminal }: Call, near: Near): Promise<Outcome> {
  const ws = new WebSocket(url.replace(/^http/, 'ws'), [subprotocol], {
    headers: { ...headers },
    perMessageDeflate: false,
    maxPayload: message_bytes_max * 16,
    handshakeTimeout: 30_000,
  });
  let outcome: Outcome | undefined;
  let order: Promise<unknown> = Promise.resolve();
  const hear = (data: RawData, binary: boolean) => {
    const bytes = data instanceof ArrayBuffer ? Buffer.from(data) : Array.isArray(data) ? Buffer.concat(data) : data;
    if (binary) {
      const piece = readFrame(bytes);
      // Read no faster than it can be written here: the task waits.
      ws.pause();
      order = order.then(() => near.write(piece.stream, piece.bytes));
      void order.then(() => ws.resume());
      return;
    }
    const word = readServerWord(bytes.toString('utf8'));
    if (word?.type === 'end') outcome = word;
    if (word?.type === 'refused') outcome = { type: 'refused', message: word.problem.detail };
    if (word?.type !== 'ready') return;
    near.ready(size => ws.readyState === ws.OPEN && ws.send(JSON.stringify({ type: 'resize', ...size })));
    pour(ws, near.input).catch(error => {
      // Once it is over nobody minds that the input was let go of.
      if (ws.readyState !== ws.OPEN) return;
      outcome ??= { type: 'refused', message: `the input cannot be read: ${String(error)}` };
      ws.close();
    });
  };
  const over = new Promise<void>(resolve => {
    ws.on('unexpected-response', (_, response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('close', () => {
        outcome = { type: 'refused', message: detailOf(text, response.statusCode) };
        resolve();
      });
    });
    ws.on('error', error => {
      outcome ??= { type: 'refused', message: `no answer from ${new URL(url).origin}: ${error.message}` };
      resolve();
    });
    ws.on('close', (_, why) => {
      // It may have said why without a word of its own.
      const message = why.toString('utf8');
      if (message !== '') outcome ??= { type: 'refused', message };
      resolve();
    });
  });
  ws.on('open', () => ws.send(JSON.stringify({ type: 'begin', command, terminal })));
  ws.on('message', hear);
  await over;
  await order;
  return outcome ?? { type: 'refused', message: 'the connection to the scheduler broke off' };
}

async function pour(ws: WebSocket, input: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const bytes of input) {
    for (let at = 0; at < bytes.length; at += message_bytes_max) {
      if (ws.readyState !== ws.OPEN) return;
      const piece = bytes.subarray(at, at + message_bytes_max);
      await new Promise<void>(resolve => {
        ws.send(piece, () => resolve());
      });
    }
  }
  if (ws.readyState === ws.OPEN) ws.send(JSON.stringify({ type: 'eof' }));
}

function detailOf(text: string, status: number | undefined): string {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: unknown };
    if (typeof detail === 'string') return `the scheduler answered ${status}: ${detail}`;
  } catch {
    // Whoever answered is no scheduler of ours, or none that could say why.
  }
  return `the scheduler answered ${status}`;
}
