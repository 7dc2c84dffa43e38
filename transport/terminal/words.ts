// words.ts: what a command in a task and whoever typed it say to each other over their WebSocket.
//
// Bytes travel as binary messages: what is typed as it is, what is written behind one byte that says where it was written.
// All else is a word in JSON. One message of either kind is at most as long as its reader takes.

import type { ProblemDocument } from '../http/problems.ts';

export type Size = { readonly rows: number; readonly columns: number };
export type ClientWord =
  /** The first. `terminal` left out: there is none, and errors are told apart from output. */
  | {
      readonly type: 'begin';
      readonly command?: readonly string[];
      readonly terminal?: Size & { readonly term?: string };
    }
  | ({ readonly type: 'resize' } & Size)
  /** There is no more input. */
  | { readonly type: 'eof' };
export type ServerWord =
  | { readonly type: 'ready'; readonly task_id: string; readonly agent_id: string }
  | { readonly type: 'refused'; readonly problem: ProblemDocument }
  /** Neither `code` nor `signal`: nobody knows how it ended. `why`: it was ended from here. */
  | { readonly type: 'end'; readonly code?: number; readonly signal?: number; readonly why?: string };

export const message_bytes_max = 1024 * 1024;
/** Arguments, all together. */
export const command_chars_max = 65_536;
/** What is spoken here, for whoever asks. */
export const subprotocol = 'horae.session.1';

const streams = { stdout: 1, stderr: 2 } as const;
export type Stream = keyof typeof streams;

export function frame(stream: Stream, bytes: Uint8Array): Uint8Array {
  const made = new Uint8Array(bytes.length + 1);
  made[0] = streams[stream];
  made.set(bytes, 1);
  return made;
}
export const readFrame = (bytes: Uint8Array): { readonly stream: Stream; readonly bytes: Uint8Array } => ({
  stream: bytes[0] === streams.stderr ? 'stderr' : 'stdout',
  bytes: bytes.subarray(1),
});

export const readServerWord = (text: string): ServerWord | undefined => parsed(text) as ServerWord | undefined;

function parsed(text: string): { readonly type?: unknown; readonly [field: string]: unknown } | undefined {
  try {
    const said: unknown = JSON.parse(text);
    return typeof said === 'object' && said !== null ? { ...said } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
