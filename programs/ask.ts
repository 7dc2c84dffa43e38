// ask.ts: the commands that are over in a moment: a question to a scheduler that runs, a schedule explained, a password hashed.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { systemClock } from '../schedules/clock.ts';
import { asksHelp } from '../transport/cli/arguments.ts';
import { type Ask, ask_usage, printRows, readAsk, refusedText } from '../transport/cli/ask.ts';
import { leader_usage, printLeader, readLeader } from '../transport/cli/leader.ts';
import { explainLine, schedule_usage } from '../transport/cli/schedule.ts';
import { hashPassword } from '../transport/credentials.ts';
import { fail } from './refused.ts';

/** `horae schedule explain`: answered here, without a scheduler. */
export function explainSchedule(argv: readonly string[]): void {
  if (asksHelp(argv)) {
    console.log(schedule_usage);
    return;
  }
  const told = explainLine(argv, systemClock().now(), process.env.HORAE_DEFAULT_ZONE ?? 'UTC');
  if (!told.ok) fail(told.problems);
  process.stdout.write(told.value);
}

/** `horae outcomes` and `horae missed`: asked of a scheduler that runs. */
export async function askScheduler(command: 'outcomes' | 'missed', argv: readonly string[]): Promise<void> {
  if (asksHelp(argv)) {
    console.log(ask_usage);
    return;
  }
  const ask = readAsk(command, argv, process.env);
  if (!ask.ok) fail(ask.problems);
  await tellAnswer({ method: 'GET', ...ask.value }, printRows);
}

/** `horae leader` and `horae leader transfer`. */
export async function askLeader(argv: readonly string[]): Promise<void> {
  if (asksHelp(argv)) {
    console.log(leader_usage);
    return;
  }
  const ask = readLeader(argv, process.env);
  if (!ask.ok) fail(ask.problems);
  await tellAnswer(ask.value, printLeader);
}

async function tellAnswer(
  { method, url, headers, json }: Ask & { readonly method: 'GET' | 'POST' },
  print: (body: unknown) => string,
): Promise<void> {
  const refuse = (text: string) => {
    console.error(`horae: ${text}`);
    process.exitCode = 1;
  };
  try {
    const answer = await fetch(url, { method, headers, signal: AbortSignal.timeout(30_000) });
    const body: unknown = await answer.json();
    if (!answer.ok) refuse(refusedText(answer.status, body));
    else process.stdout.write(json ? `${JSON.stringify(body, undefined, 2)}\n` : print(body));
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    refuse(`no answer from ${new URL(url).origin}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** `horae hash-password`: a line from standard input, and what stands for it in a credentials file. */
export async function printHash(): Promise<void> {
  console.log(await hashPassword(passwordOf(readFileSync(0, 'utf8')), randomBytes(16)));
}

/** The line that was typed or piped in, without its end. */
function passwordOf(input: string): string {
  const password = input.replace(/\r?\n$/, '');
  if (password === '' || password.includes('\n'))
    fail([{ place: '', message: 'expected a password of one line on standard input', expected: 'one line' }]);
  return password;
}
