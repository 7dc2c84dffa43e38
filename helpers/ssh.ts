// ssh.ts: one connection to another machine, by the system's own ssh: a text for its shell, something to feed it, what it says.
//
// ssh knows keys, agents, hosts and jumps better than we could. It never asks a person anything, and notices by itself when
// nobody is at the other end any more.

import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type Frame, FrameReader } from './frames.ts';
import { loader } from './remote-script.ts';

export type Machine = {
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
  readonly identity?: string;
  readonly known_hosts?: string;
  readonly config?: string;
  /** As after `ssh -o`; they go before our own, and the first that names an option decides. */
  readonly options: readonly string[];
};

export const wordsOf = (
  { host, port, user, identity, known_hosts, config, options }: Machine,
  command: string,
): readonly string[] => [
  '-T',
  ...(config === undefined ? [] : ['-F', config]),
  ...options.flatMap(option => ['-o', option]),
  ...['BatchMode=yes', 'ConnectTimeout=15', 'ServerAliveInterval=15', 'ServerAliveCountMax=3'].flatMap(o => ['-o', o]),
  ...(known_hosts === undefined ? [] : ['-o', `UserKnownHostsFile="${known_hosts}"`]),
  ...(identity === undefined ? [] : ['-o', 'IdentitiesOnly=yes', '-i', identity]),
  ...(port === undefined ? [] : ['-p', String(port)]),
  ...(user === undefined ? [] : ['-l', user]),
  '--',
  host,
  command,
];

/** How a connection ended: with the text, or before its time. */
export type Ended =
  | { readonly type: 'done' }
  /** The text itself gave up: another connection would meet the same. */
  | { readonly type: 'failed'; readonly why: string }
  /** `hopeless`: ssh was turned away, or turned away itself. */
  | { readonly type: 'broken'; readonly why: string; readonly hopeless: boolean };

export type Conversation = {
  readonly text: string;
  readonly greeting: string;
  /** Follows the text on its standard input. */
  readonly payload?: Readable;
  /** Each frame is waited for, so that nobody is sent more than he reads. What it gives back is said to the other side, at last. */
  readonly hear: (frame: Frame) => Promise<string | undefined>;
  readonly signal?: AbortSignal;
};

const hopeless =
  /Permission denied|Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|Bad configuration option|no such identity|not a terminal|Bad port|keyword .* argument/i;
const complaint_bytes_max = 4_000;

export async function converse(machine: Machine, talk: Conversation): Promise<Ended> {
  const text = Buffer.from(talk.text);
  const child = spawn('ssh', wordsOf(machine, loader(text.length)), { stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = () => child.kill('SIGKILL');
  talk.signal?.addEventListener('abort', stop, { once: true });
  if (talk.signal?.aborted === true) stop();
  let complaint = '';
  child.stderr.on('data', (piece: Buffer) => {
    complaint = (complaint + piece.toString()).slice(-complaint_bytes_max);
  });
  const over = new Promise<{ status: number | null; error?: Error }>(resolve => {
    child.on('error', error => resolve({ status: null, error }));
    child.on('close', status => resolve({ status }));
  });
  // A connection that breaks is told by ssh's own end.
  child.stdin.on('error', () => undefined);
  child.stdin.write(text);
  talk.payload?.pipe(child.stdin);

  const reader = new FrameReader(talk.greeting);
  try {
    for await (const piece of child.stdout)
      for (const frame of reader.feed(piece as Buffer)) {
        const word = await talk.hear(frame);
        if (word !== undefined) child.stdin.end(`${word}\n`);
      }
  } catch (error) {
    stop();
    await over;
    return { type: 'broken', why: error instanceof Error ? error.message : String(error), hopeless: false };
  } finally {
    talk.signal?.removeEventListener('abort', stop);
  }
  const { status, error } = await over;
  const said = complaint.trim().split(/\s*\n/).slice(-4).join('; ');
  if (error !== undefined) return { type: 'broken', why: `ssh could not be started: ${error.message}`, hopeless: true };
  if (status === 0) return { type: 'done' };
  if (status === 255 || status === null)
    return { type: 'broken', why: said === '' ? 'the connection ended' : said, hopeless: hopeless.test(complaint) };
  return { type: 'failed', why: said === '' ? `its shell ended with ${status}` : said };
}
