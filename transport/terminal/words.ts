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
const command_chars_max = 65_536;
const cells_max = 10_000;

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

/** Undefined for what is none; a person's mistake is seen before it comes here. */
export function readClientWord(text: string): ClientWord | undefined {
  const said = parsed(text);
  if (said === undefined) return undefined;
  switch (said.type) {
    case 'eof':
      return { type: 'eof' };
    case 'resize':
      return isSize(said) ? { type: 'resize', rows: said.rows, columns: said.columns } : undefined;
    case 'begin': {
      const { command, terminal } = said;
      if (command !== undefined && !isCommand(command)) return undefined;
      if (terminal !== undefined && !isTerminal(terminal)) return undefined;
      return {
        type: 'begin',
        ...(command === undefined ? {} : { command }),
        ...(terminal === undefined ? {} : { terminal }),
      };
    }
    default:
      return undefined;
  }
}

export const readServerWord = (text: string): ServerWord | undefined => parsed(text) as ServerWord | undefined;

const isCommand = (value: unknown): value is readonly string[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(word => typeof word === 'string' && !word.includes('\0')) &&
  value[0] !== '' &&
  value.join(' ').length <= command_chars_max;
const isCells = (value: unknown) =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= cells_max;
const isSize = (value: object): value is Size =>
  'rows' in value && 'columns' in value && isCells(value.rows) && isCells(value.columns);
const isTerminal = (value: unknown): value is Size & { readonly term?: string } =>
  typeof value === 'object' &&
  value !== null &&
  isSize(value) &&
  (!('term' in value) || (typeof value.term === 'string' && /^[\w.+-]{1,64}$/.test(value.term)));

function parsed(text: string): { readonly type?: unknown; readonly [field: string]: unknown } | undefined {
  try {
    const said: unknown = JSON.parse(text);
    return typeof said === 'object' && said !== null ? { ...said } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
