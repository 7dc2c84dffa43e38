// receivers.ts: those who are told what becomes of jobs in a simulated cluster, and what they must have been told in the end.
//
// They are as unreliable as receivers are: they refuse for now, take a letter and say nothing, answer late. What they have
// taken they remember by its id; a letter may come again, but only as the same.

import type { Delivery, Letter, NoticeRecord, SentLetter } from '../../actors/model/notices.ts';
import { notice_events, placeKey } from '../../actors/model/notices.ts';
import type { FinishedRun, JobRecord } from '../../actors/model/records.ts';
import type { OpenLetters } from '../../programs/letters.ts';
import type { Agenda } from './agenda.ts';
import type { Ledger } from './ledger.ts';
import type { Process } from './machine.ts';

export type Receivers = {
  readonly letters: (process: Process) => OpenLetters;
  /** Everything that was to be told has been, once. Returns how many letters there were. */
  readonly reckon: () => number;
};

/** Everything is worth telling here, and soon. */
export const talkative = {
  notify_on: notice_events.join(','),
  notify_interval_ms: 60_000,
  notify_late_after_ms: 30_000,
  notify_long_running_after_ms: 60_000,
  notify_pending_after_ms: 45_000,
};

const latency_ms_max = 300;
const turned_away_share = 0.25;
const silent_share = 0.15;

export function createReceivers(world: {
  readonly agenda: Agenda;
  readonly random: () => number;
  readonly ledger: Ledger;
  readonly wrong: (what: string) => void;
}): Receivers {
  const { agenda, random, ledger, wrong } = world;
  /** What was taken, word for word, by id. */
  const taken = new Map<string, string>();
  /** By notice and place, the letter that told it. */
  const told = new Map<string, string>();
  let committed = 0;
  const written = new Set<string>();

  const isWritten = (id: string): boolean => {
    const all = ledger.entries('letter');
    for (; committed < all.length; committed++) written.add(all[committed]!.key);
    return written.has(id);
  };
  const take = (letter: Letter) => {
    const words = JSON.stringify(letter);
    if (!isWritten(letter.id)) wrong(`letter ${letter.id} is sent, and the log does not know it`);
    if ((taken.get(letter.id) ?? words) !== words) wrong(`letter ${letter.id} comes again with other words`);
    taken.set(letter.id, words);
    for (const { id } of letter.notices) {
      const pair = `${placeKey(letter)} ${id}`;
      const before = told.get(pair);
      if (before !== undefined && before !== letter.id) wrong(`${pair} is told by ${before} and by ${letter.id}`);
      told.set(pair, letter.id);
    }
  };

  return {
    letters: process => ({
      standing: ['slack', 'mattermost', 'sentry'],
      // What is on its way arrives, whatever becomes of its sender.
      deliver: letter =>
        new Promise<Delivery>(resolve => {
          const fate = random();
          const answer = (delivery: Delivery) =>
            void agenda.after(random() * latency_ms_max, () => process.post(() => resolve(delivery)));
          agenda.after(random() * latency_ms_max, () => {
            if (fate < turned_away_share) return answer({ type: 'failed', message: 'not now' });
            take(letter);
            if (fate > turned_away_share + silent_share) answer({ type: 'delivered' });
          });
        }),
      readLog: async () => (random() < 0.5 ? undefined : `said ${Math.floor(random() * 1_000)}`),
    }),

    reckon() {
      const wished = new Map<string, number>();
      const over = new Set<string>();
      for (const { key, body } of ledger.entries('notice')) {
        if (body === undefined) over.add(key);
        else if (over.has(key)) wrong(`${key} was told, and is to be told again`);
        else if (!wished.has(key)) wished.set(key, (body as NoticeRecord).to.length);
      }
      for (const { key, body } of ledger.entries('finished-run')) {
        const { run, outcome } = body as FinishedRun;
        const of = key.split('/').slice(0, 3).join('/');
        if (outcome === 'failed' && !wished.has(`${of}/${run}/failed`))
          wrong(`nobody was told that ${of} ${run} failed`);
      }
      for (const { key, body } of ledger.entries('job')) {
        const record = body as JobRecord | undefined;
        if (record?.deleting === true && !wished.has(`${key}/${record.incarnation}/deleted`))
          wrong(`nobody was told that ${key} was deleted`);
      }
      const ids = new Set<string>();
      let carried = 0;
      for (const { body } of ledger.entries('sent-letter')) {
        const { letter } = body as SentLetter;
        if (ids.size === ids.add(letter.id).size) wrong(`letter ${letter.id} is delivered twice by the log`);
        if (!taken.has(letter.id)) wrong(`letter ${letter.id} is delivered, and nobody has it`);
        carried += letter.notices.length + letter.more;
      }
      for (const id of taken.keys()) if (!ids.has(id)) wrong(`letter ${id} was taken, and the log does not say so`);
      const places = [...wished.values()].reduce((sum, count) => sum + count, 0);
      if (carried !== places) wrong(`${places} were to be told, and the letters tell ${carried}`);
      return ids.size;
    },
  };
}
