// ask.ts: `horae outcomes KEY` and `horae missed`: what became of targets, asked of a scheduler that runs somewhere.
//
// Pure: a line becomes a request, an answer becomes lines. Who sends the one and prints the other is main.ts.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { readFlags } from './flags.ts';

export const ask_usage = `Usage: horae outcomes ROLE/ENVIRONMENT/NAME [FLAGS]
       horae missed [FLAGS]

What became of the targets of a job, and the targets of all jobs that nobody ran: newest first.

  --url URL      Where the scheduler listens; $HORAE_URL, or http://127.0.0.1:8080 when left out.
  --token TOKEN  Sent as a bearer token; $HORAE_TOKEN when left out.
  --limit N      Rows at most, 1-1000; 50 when left out.
  --json         The scheduler's own answer, as JSON.`;

export type Ask = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json: boolean;
};
type Environment = Readonly<Record<string, string | undefined>>;

/** The request that a line asks for. */
export function readAsk(command: 'outcomes' | 'missed', argv: readonly string[], env: Environment): Result<Ask> {
  const read = readFlags(argv, { values: ['--url', '--token', '--limit'], switches: ['--json'] });
  if (!read.ok) return read;
  const { words, values, switches } = read.value;
  const problems: Problem[] = [];
  const refuse = (place: string, value: string, message: string, expected: string) =>
    problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  const wanted = command === 'outcomes' ? 1 : 0;
  const key = words[0]?.split('/') ?? [];
  if (words.length !== wanted || (wanted === 1 && (key.length !== 3 || key.includes(''))))
    refuse(
      command,
      words.join(' '),
      `"${words.join(' ')}" after "horae ${command}"`,
      wanted === 1 ? 'one job key, as in: horae outcomes www/prod/hello' : 'flags alone',
    );
  const limit = values.get('--limit') ?? '50';
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > 1_000)
    refuse('--limit', limit, `--limit is ${limit.slice(0, 20)}`, '1-1000');
  const base = values.get('--url') ?? env.HORAE_URL ?? 'http://127.0.0.1:8080';
  if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(base))
    refuse('--url', base, `--url is ${base.slice(0, 100)}`, 'an address such as http://127.0.0.1:8080');
  if (problems.length > 0) return bad(...problems);
  const path = wanted === 1 ? `jobs/${key.map(encodeURIComponent).join('/')}/outcomes` : 'missed';
  const token = values.get('--token') ?? env.HORAE_TOKEN;
  return good({
    url: `${base.replace(/\/+$/, '')}/api/v1/${path}?limit=${limit}`,
    headers: (token === undefined ? {} : { authorization: `Bearer ${token}` }) as Ask['headers'],
    json: switches.has('--json'),
  });
}

type Row = {
  readonly job?: string;
  readonly schedule: string;
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly outcome: string;
  readonly why?: string;
  readonly run?: string;
  readonly late_ms?: number;
};

/** A page of outcomes or of missed targets, one line each, in columns. */
export function printRows(body: unknown): string {
  const page = body as { readonly outcomes?: readonly Row[]; readonly missed?: readonly Row[]; readonly next?: string };
  const rows = page.outcomes ?? page.missed ?? [];
  if (rows.length === 0) return page.missed === undefined ? 'no targets yet\n' : 'nothing was missed\n';
  const lines = rows.map(row => [
    row.count === 1 ? row.to : `${row.from} - ${row.to}`,
    row.job ?? row.schedule,
    row.count === 1 ? row.outcome : `${row.outcome} ${row.count}`,
    [row.why?.replaceAll('_', ' '), row.run, lateness(row.late_ms)].filter(part => part !== undefined).join(', '),
  ]);
  const widths = [0, 1, 2].map(column => Math.max(...lines.map(line => line[column]!.length)));
  const text = lines.map(line =>
    line
      .map((part, column) => part.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${[...text, ...(page.next === undefined ? [] : ['... and more: see --limit'])].join('\n')}\n`;
}

const lateness = (late_ms: number | undefined): string | undefined =>
  late_ms === undefined || late_ms < 1_000 ? undefined : `${Math.round(late_ms / 1_000)} s late`;

/** What a scheduler that refused has to say for itself. */
export function refusedText(status: number, body: unknown): string {
  const { detail } = (body ?? {}) as { readonly detail?: unknown };
  return `the scheduler answered ${status}${typeof detail === 'string' ? `: ${detail}` : ''}`;
}
