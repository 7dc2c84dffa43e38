// session-words.ts: what may be said over the WebSocket of a session, as schemas: one reads what comes, and both are published.

import { z } from 'zod';
import { type ClientWord, command_chars_max } from '../terminal/words.ts';

const cells = z.int().min(1).max(10_000);
const terminal = z.object({
  rows: cells,
  columns: cells,
  term: z
    .string()
    .regex(/^[\w.+-]{1,64}$/, 'expected the name of a terminal, such as xterm')
    .optional()
    .describe('TERM.'),
});

export const session_client_word = z
  .union([
    z
      .object({
        type: z.literal('begin'),
        command: z
          .array(z.string().regex(/^[^\0]*$/, 'expected no NUL'))
          .min(1)
          .refine(words => words[0] !== '' && words.join(' ').length <= command_chars_max)
          .optional()
          .describe('A program and its arguments; a shell when left out.'),
        terminal: terminal.optional().describe('Left out: there is none, and errors are told apart from output.'),
      })
      .describe('The first word, within ten seconds.'),
    z.object({ type: z.literal('resize'), rows: cells, columns: cells }).describe('The terminal has another size.'),
    z.object({ type: z.literal('eof') }).describe('There is no more input.'),
  ])
  .describe('A text message of the client. A binary one is input, at most a mebibyte of it.');

export const session_server_word = z
  .union([
    z
      .object({ type: z.literal('ready'), task_id: z.string(), agent_id: z.string() })
      .describe('The command runs: input is heard from now on.'),
    z
      .object({ type: z.literal('refused'), problem: z.object({ detail: z.string() }) })
      .describe('It does not run, and why. The last word.'),
    z
      .object({
        type: z.literal('end'),
        code: z.int().optional().describe('Its exit code.'),
        signal: z.int().optional().describe('The signal that ended it. Neither: nobody knows how it ended.'),
        why: z.string().optional().describe('It was ended from outside.'),
      })
      .describe('It has ended, and all that it wrote has been sent. The last word.'),
  ])
  .describe(
    'A text message of the server. A binary one is output: a byte that is 1 for stdout or 2 for stderr, then bytes.',
  );

/** Undefined for what is none; a person's mistake is seen before it comes here. */
export function readClientWord(text: string): ClientWord | undefined {
  try {
    return session_client_word.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
