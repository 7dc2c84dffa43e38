// command-line.ts: what a plain command is given beside its line: further words, other variables, another executor.
//
// Words are words. Behind a line for a shell each of them stands quoted, so that nothing in it can break out; without a shell
// they are the program's arguments as they are. A run by hand may bring words of its own, which then stand in place of the job's.

import { z } from 'zod';
import type { Problem } from '../../schedules/problem.ts';
import type { Container } from './container.ts';
import type { Cause } from './reasons.ts';

/** Words that one run may bring, and the characters in one of them. */
export const words_max = 1_000;
export const word_length_max = 65_536;
export const words_field = z.array(z.string().max(word_length_max)).max(words_max);

export const command_line_fields = {
  shell: z
    .boolean()
    .optional()
    .describe('false: `command` is a program, run without a shell, with `arguments`. true when left out.'),
  arguments: words_field
    .optional()
    .describe('Further words of the command; behind a line for a shell each of them is quoted.'),
  variables: z
    .literal('chronos')
    .optional()
    .describe(
      'Variables that tasks find beside those of Horae: those that Chronos gave (`mesos_task_id`, `HOST`, ...).',
    ),
  executor: z
    .strictObject({
      id: z
        .string()
        .min(1)
        .max(200)
        .regex(/^(?!\.{1,2}$)[^\s/\p{Cc}]+$/u, 'expected an id without spaces and "/"'),
      command: z.string().min(1).max(65_536).describe('Shell line that starts the executor.'),
      data: z.string().max(65_536).optional().describe('What its tasks carry for it.'),
    })
    .optional()
    .describe("A Mesos executor of the job's own, which is told to run its tasks."),
};

export type CustomExecutor = { readonly id: string; readonly command: string; readonly data?: string };
export type CommandLineFields = {
  readonly shell?: false;
  readonly arguments?: readonly string[];
  readonly variables?: 'chronos';
  readonly executor?: CustomExecutor;
};
type Submitted = z.infer<z.ZodObject<typeof command_line_fields>>;

export function readCommandLine(
  given: Submitted,
  { plain, container }: { readonly plain: boolean; readonly container: Container | undefined },
): { readonly fields: CommandLineFields; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const { shell, arguments: words, variables, executor } = given;
  for (const field of ['shell', 'arguments', 'executor'] as const) {
    if (given[field] === undefined) continue;
    if (!plain)
      problems.push({
        place: `/${field}`,
        message: `"${field}" is for a plain command`,
        expected: `no "${field}" beside processes, a health check or a lifecycle`,
      });
    else if (container !== undefined && (field === 'shell' || (field === 'arguments' && !container.shell)))
      problems.push({
        place: `/${field}`,
        message: `"${field}" stands outside of the container`,
        expected: `"container": {"${field}": ...}`,
      });
    else if (container !== undefined && field === 'executor')
      problems.push({
        place: '/executor',
        message: 'an executor of its own cannot be put into the container of a task',
        expected: 'no container, or no executor',
      });
  }
  return {
    fields: {
      ...(shell === false ? { shell } : {}),
      ...(words === undefined || words.length === 0 ? {} : { arguments: words }),
      ...(variables === undefined ? {} : { variables }),
      ...(executor === undefined
        ? {}
        : {
            executor: {
              id: executor.id,
              command: executor.command,
              ...(executor.data === undefined ? {} : { data: executor.data }),
            },
          }),
    },
    problems,
  };
}

/** The words of a run: those that it was started with, else those of its job. */
export const wordsOf = (cause: Cause, of_job: readonly string[] = []): readonly string[] =>
  (cause.type === 'manual' ? cause.arguments : undefined) ?? of_job;

/** The words of a job, wherever they stand in it. */
export const ownWords = (job: {
  readonly arguments?: readonly string[];
  readonly container?: Pick<Container, 'shell' | 'arguments'>;
}): readonly string[] =>
  (job.container === undefined || job.container.shell ? job.arguments : job.container.arguments) ?? [];

/** A line for a shell with words behind it. */
export const withWords = (line: string, words: readonly string[]): string =>
  words.length === 0 ? line : [line, ...words.map(quoted)].join(' ');

const quoted = (word: string) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/**
 * A text as the words that a shell would see in it, which is all of a shell that is here: quotes and backslashes keep together
 * what belongs together, and every other sign stands for itself. A quote that is left open is closed at the end.
 */
export function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let index = 0; index < text.length; index++) {
    const char = text[index]!;
    if (quote === undefined && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === quote) quote = undefined;
    else if (quote === undefined && (char === '"' || char === "'")) {
      quote = char;
      word ??= '';
    } else {
      const next = text[index + 1];
      const escapes =
        char === '\\' && next !== undefined && (quote === undefined || (quote === '"' && /["\\]/.test(next)));
      if (escapes) index++;
      word = (word ?? '') + (escapes ? next : char);
    }
  }
  return word === undefined ? words : [...words, word];
}
