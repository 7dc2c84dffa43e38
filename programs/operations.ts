// operations.ts: `horae log-level` and `horae debug bundle`: asked of a node, and told or written down.

import { writeFileSync } from 'node:fs';
import { systemClock } from '../schedules/clock.ts';
import { asksHelp } from '../transport/cli/arguments.ts';
import { refusedText } from '../transport/cli/ask.ts';
import { debug_usage, log_level_usage, printLogLevel, readDebug, readLogLevel } from '../transport/cli/operations.ts';
import { fail } from './refused.ts';

/** The doctor who is asked for the bundle may wait for somebody that hangs. */
const answer_ms_max = 60_000;

export async function logLevel(argv: readonly string[]): Promise<void> {
  if (asksHelp(argv)) return void console.log(log_level_usage);
  const ask = readLogLevel(argv, process.env);
  if (!ask.ok) fail(ask.problems);
  const { url, json, ...request } = ask.value;
  const answer = await answerOf(url, request);
  if (answer === undefined) return;
  const body: unknown = await answer.json();
  process.stdout.write(json ? `${JSON.stringify(body, undefined, 2)}\n` : printLogLevel(body));
}

export async function debugBundleOf(argv: readonly string[]): Promise<void> {
  if (asksHelp(argv)) return void console.log(debug_usage);
  const ask = readDebug(argv, process.env);
  if (!ask.ok) fail(ask.problems);
  const { url, headers } = ask.value;
  const instant = new Date(systemClock().now()).toISOString().replace(/[-:]|\.\d+/g, '');
  const out = ask.value.out ?? `horae-debug-${instant}.tar.gz`;
  const answer = await answerOf(url, { headers });
  if (answer === undefined) return;
  const packed = new Uint8Array(await answer.arrayBuffer());
  try {
    // What is in it concerns nobody else on this machine; and what is there keeps its own mode, so nothing is overwritten.
    writeFileSync(out, packed, { flag: 'wx', mode: 0o600 });
    console.log(`${out}: ${packed.length} bytes. Read it before you send it: tar -tzf ${out}`);
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EEXIST';
    refuse(`--out is ${out}: ${taken ? 'there is such a file: expected a new name' : (error as Error).message}`);
  }
}

function refuse(text: string): void {
  console.error(`horae: ${text}`);
  process.exitCode = 1;
}

/** undefined when there is none, or a no; that has been said then. */
async function answerOf(url: string, request: RequestInit): Promise<Response | undefined> {
  try {
    const answer = await fetch(url, { ...request, signal: AbortSignal.timeout(answer_ms_max) });
    if (answer.ok) return answer;
    refuse(refusedText(answer.status, await answer.json().catch(() => undefined)));
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    refuse(`no answer from ${new URL(url).origin}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  return undefined;
}
