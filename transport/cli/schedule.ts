// schedule.ts: `horae schedule explain "<spec>"`: what a schedule will do, told without a scheduler.
//
// Pure: words in, lines and an exit status out. Whoever is about to submit a job, or wonders in March about a job at half
// past two, asks here first.

import type { Instant } from '../../schedules/clock.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { answerQuestion, type Question, type QuestionField, question_fields } from '../../schedules/question.ts';
import { readFlags } from './flags.ts';

export const schedule_usage = `Usage: horae schedule explain "SPEC" [FLAGS]

${(Object.entries(question_fields) as [QuestionField, string][])
  .map(([field, help]) => `  ${(field === 'spec' ? 'SPEC' : flagOf(field)).padEnd(12)} ${help}`)
  .join('\n')}
  --json       The answer as one JSON document; "next" has the instants.`;

/** The text to print, or what is wrong with the line. */
export function explainLine(argv: readonly string[], now: Instant, default_zone: string): Result<string> {
  const [verb, ...rest] = argv;
  if (verb !== 'explain') {
    const message = `${verb === undefined ? 'nothing' : `"${verb}"`} after "horae schedule": expected explain`;
    return bad({ place: verb ?? '', value: verb, message, expected: 'explain' });
  }
  const fields = Object.keys(question_fields) as QuestionField[];
  const flags = fields.filter(field => field !== 'spec');
  const read = readFlags(rest, { values: flags.map(flagOf), switches: ['--json'] });
  if (!read.ok) return read;
  const { words, values, switches } = read.value;
  if (words.length !== 1) return bad(wrongWords(words));
  const question: Question = {
    spec: words[0]!,
    ...Object.fromEntries(
      flags.flatMap(field => (values.has(flagOf(field)) ? [[field, values.get(flagOf(field))]] : [])),
    ),
  };
  const answer = answerQuestion(question, now, default_zone, field => (field === 'spec' ? 'SPEC' : flagOf(field)));
  if (!answer.ok) return answer;
  const { text, ...explained } = answer.value;
  return good(switches.has('--json') ? `${JSON.stringify(explained, undefined, 2)}\n` : text);
}

function flagOf(field: QuestionField): string {
  return `--${field.replaceAll('_', '-')}`;
}

function wrongWords(words: readonly string[]): Problem {
  const expected = 'one schedule in quotes, as in: horae schedule explain "0 3 * * *" --zone Europe/Vienna';
  const message =
    words.length === 0
      ? `there is no schedule: expected ${expected}`
      : `${words.length} words (${words.slice(0, 8).join(' ')}): expected ${expected}`;
  return { place: 'SPEC', value: words.slice(0, 8).join(' '), message, expected };
}
