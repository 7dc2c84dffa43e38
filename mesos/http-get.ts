// http-get.ts: one question by HTTP, to a master or an agent, and its whole answer.
//
// Never longer than a time and never larger than a size. Redirects are told, not followed: who asks knows whom it trusts.

import * as http from 'node:http';
import * as https from 'node:https';
import type * as tls from 'node:tls';
import type { Clock } from '../schedules/clock.ts';

export type Got = { readonly status: number; readonly headers: http.IncomingHttpHeaders; readonly body: Buffer };
export type GetOptions = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: tls.ConnectionOptions | undefined;
  readonly timeout_ms: number;
  readonly bytes_max: number;
  readonly clock: Clock;
  readonly method?: 'GET' | 'POST';
  readonly body?: string;
  /** Keeps connections for the questions that follow; without one, each has a connection of its own. */
  readonly agent?: http.Agent;
};

/** What keeps connections to where `url` is. */
export const keptConnections = (url: string, connections_max: number): http.Agent =>
  new (url.startsWith('https:') ? https : http).Agent({ keepAlive: true, maxSockets: connections_max });

/** Rejects when there is no answer in time, or one that is too long. */
export async function httpGet(url: URL, options: GetOptions): Promise<Got> {
  try {
    return await asked(url, options);
  } catch (error) {
    // Whoever answers may close a connection at the moment in which it is used again: that says nothing about the question.
    if (!(error instanceof ClosedMeanwhile)) throw error;
    return asked(url, { ...options, agent: undefined });
  }
}

class ClosedMeanwhile extends Error {}

function asked(url: URL, options: Omit<GetOptions, 'agent'> & { agent?: http.Agent | undefined }): Promise<Got> {
  const { headers = {}, timeout_ms, bytes_max, clock, method = 'GET', body, agent = false } = options;
  const secure = url.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const client = (secure ? https : http).request(url, {
      method,
      agent,
      headers: { ...headers, ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }) },
      ...(secure ? options.tls : {}),
    });
    const patience = clock.wakeAt(clock.now() + timeout_ms, () => {
      const connected = client.socket?.connecting === false;
      client.destroy(new Error(`no ${connected ? 'answer' : 'connection'} within ${timeout_ms} ms`));
    });
    const pieces: Buffer[] = [];
    let bytes = 0;
    client.on('error', error => {
      const closed = client.reusedSocket && (error as { code?: string }).code === 'ECONNRESET';
      reject(closed ? new ClosedMeanwhile(error.message, { cause: error }) : error);
    });
    client.on('close', () => {
      patience.cancel();
      // Whoever has answered already is not told this.
      reject(new Error('the connection ended in the middle of an answer'));
    });
    client.on('response', response => {
      response.on('error', reject);
      response.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > bytes_max) client.destroy(new Error(`an answer of more than ${bytes_max} bytes`));
        else pieces.push(piece);
      });
      response.on('end', () => {
        if (response.complete)
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) });
      });
    });
    client.end(body);
  });
}
