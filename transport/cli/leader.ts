// leader.ts: `horae leader` and `horae leader transfer`: who leads a cluster of schedulers, and to have another one lead.
//
// Pure: a line becomes a request, an answer becomes a line. Any node of the cluster can be asked.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import type { Ask } from './ask.ts';
import { readFlags } from './flags.ts';

export const leader_usage = `Usage: horae leader [FLAGS]
       horae leader transfer [--to ID] [FLAGS]

Who leads, and what the node that was asked does; or hand leadership over to another node.

  --to ID        The node that shall lead; whoever is next in line when left out.
  --url URL      Where a scheduler listens; $HORAE_URL, or http://127.0.0.1:8080 when left out.
  --token TOKEN  Sent as a bearer token; $HORAE_TOKEN when left out.
  --json         The scheduler's own answer, as JSON.`;

export type LeaderAsk = Ask & { readonly method: 'GET' | 'POST' };

export function readLeader(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Result<LeaderAsk> {
  const read = readFlags(argv, { values: ['--url', '--token', '--to'], switches: ['--json'] });
  if (!read.ok) return read;
  const { words, values, switches } = read.value;
  const problems: Problem[] = [];
  const refuse = (place: string, value: string, message: string, expected: string) =>
    problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  const transfers = words[0] === 'transfer';
  if (words.length > (transfers ? 1 : 0))
    refuse('leader', words.join(' '), `"${words.join(' ')}" after "horae leader"`, '"transfer", or flags alone');
  const to = values.get('--to');
  if (to !== undefined && !transfers)
    refuse('--to', to, '--to is given without "transfer"', 'horae leader transfer --to ID');
  const base = values.get('--url') ?? env.HORAE_URL ?? 'http://127.0.0.1:8080';
  if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(base))
    refuse('--url', base, `--url is ${base.slice(0, 100)}`, 'an address such as http://127.0.0.1:8080');
  if (problems.length > 0) return bad(...problems);
  const token = values.get('--token') ?? env.HORAE_TOKEN;
  const wish = to === undefined ? '' : `?to=${encodeURIComponent(to)}`;
  return good({
    method: transfers ? 'POST' : 'GET',
    url: `${base.replace(/\/+$/, '')}/api/v1/leader${transfers ? `/transfer${wish}` : ''}`,
    headers: (token === undefined ? {} : { authorization: `Bearer ${token}` }) as Ask['headers'],
    json: switches.has('--json'),
  });
}

type Leader = {
  readonly leader?: { readonly id: string; readonly url: string } | null;
  readonly node?: { readonly id: string; readonly mode: string; readonly position: number };
  readonly from?: string;
  readonly to?: string;
};

/** The answer in a line or two. */
export function printLeader(body: unknown): string {
  const { leader, node, from, to } = body as Leader;
  if (from !== undefined)
    return `${from} hands leadership over${to === undefined ? ' to whoever is next in line' : ` to ${to}`}\n`;
  const who = leader === null || leader === undefined ? 'nobody leads' : `${leader.id} leads, at ${leader.url}`;
  return node === undefined ? `${who}\n` : `${who}\n${node.id} is ${node.mode}, at position ${node.position}\n`;
}
