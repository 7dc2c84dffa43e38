// errand.ts: how any node gets a command done, wherever the leader is, and however often it changes on the way.
//
// Think of somebody who carries a letter to an office that moves. Where nobody is in, they wait and try again; where the
// office burnt down while the letter was inside, they ask its successor whether it was dealt with before they hand in a
// copy. They come home only when what was decided can be read at home, or when their time is up, and then they say
// whether it is sure that nothing has happened.

import type { Answer, CommandEnvelope, Submit } from '../../actors/model/commands.ts';
import { refusal } from '../../actors/model/reasons.ts';
import type { Clock } from '../../schedules/clock.ts';
import { Refused } from '../http/problems.ts';
import type { Brought, Desk, Done } from './desk.ts';
import type { Line } from './line.ts';
import { LinkError } from './link.ts';

export type ErrandOptions = {
  /** Our own desk, while we lead without a doubt. */
  readonly desk: () => Desk | undefined;
  readonly line: Pick<Line, 'request'>;
  /** Resolves with true when this node's views include a position; with false at the deadline. */
  readonly reached: (position: number, deadline_ms: number) => Promise<boolean>;
  /** How long a request may wait for a leader and its answer. */
  readonly wait_ms: number;
  /** This node is going away: nothing new is worth waiting for. */
  readonly stopping?: () => boolean;
  readonly clock: Clock;
};
/** For `ErrandOptions.reached`: waits for `reach`, which does not give up, until the deadline. */
export const reachedWithin =
  (clock: Clock, reach: (position: number) => Promise<unknown>): ErrandOptions['reached'] =>
  (position, deadline_ms) =>
    new Promise((resolve, reject) => {
      const late = clock.wakeAt(clock.now() + deadline_ms, () => resolve(false));
      reach(position)
        .then(() => resolve(true), reject)
        .finally(() => late.cancel());
    });

export type Errands = { readonly submit: Submit; readonly catchUp: () => Promise<void> };

/** What a node that does not lead answers. Nothing was done. */
export const not_leading = { not_leading: true } as const;
export const isNotLeading = (answer: unknown): answer is typeof not_leading =>
  typeof answer === 'object' && answer !== null && 'not_leading' in answer;
/** Between two attempts, when whom we asked does not lead: the election takes longer than this. */
const retry_ms = 50;
/** While there is no link to a leader we look up this often: it may be this node that leads now. */
const look_ms = 250;
/** The last attempt, too, is given time to be answered: to leave without an answer would turn a sure no into a doubt. */
const answer_ms = 2_000;

export function createErrands({ desk, line, reached, wait_ms, clock, stopping = () => false }: ErrandOptions): Errands {
  const pause = () => new Promise<void>(resolve => void clock.wakeAt(clock.now() + retry_ms, resolve));

  /** Our own journal may be as silent as somebody else's. */
  const within = <T>(asking: Promise<T>, left_ms: number): Promise<T> =>
    new Promise((resolve, reject) => {
      const late = new LinkError('unknown', `this node leads, and has not answered within ${Math.round(left_ms)} ms`);
      const alarm = clock.wakeAt(clock.now() + left_ms, () => reject(late));
      asking.then(resolve, reject).finally(() => alarm.cancel());
    });

  /** Asks whoever leads; undefined when whom we asked does not, so that nothing was done. */
  const ask = async (brought: Brought, left_ms: number): Promise<Done | undefined> => {
    const own = desk();
    if (own !== undefined) return within(own.command(brought), left_ms);
    const answer = await line.request('command', brought, left_ms, look_ms);
    return isNotLeading(answer) ? undefined : (answer as Done);
  };

  const position = async (left_ms: number): Promise<number | undefined> => {
    const own = desk();
    if (own !== undefined) return within(own.position(), left_ms);
    const answer = await line.request('position', undefined, left_ms, look_ms);
    return isNotLeading(answer) ? undefined : (answer as number);
  };

  const home = async (envelope: CommandEnvelope, { answer, position }: Done, left_ms: number): Promise<Answer> => {
    if (await reached(position, left_ms)) return answer;
    const what = answer.type === 'refused' ? `refused: ${answer.message}` : answer.type;
    return refusal(
      'interrupted',
      `request ${envelope.request_id} was answered (${what}), but this node cannot show it yet: read it in a moment`,
    );
  };

  return {
    async submit(envelope) {
      const since = clock.now();
      const give_up_at = clock.monotonic() + wait_ms;
      const left = () => Math.max(0, give_up_at - clock.monotonic()) + answer_ms;
      let again = false;
      for (;;) {
        try {
          const done = await ask({ envelope, since, again }, left());
          if (done !== undefined && !isInterrupted(done.answer)) return home(envelope, done, left());
          if (done !== undefined) {
            // Looked up by a successor: what it says is all there is to say.
            if (again) return home(envelope, done, left());
            again = true;
          }
        } catch (error) {
          if (!(error instanceof LinkError)) throw error;
          if (error.code === 'refused') throw new Error(`the leader could not take the command: ${error.message}`);
          if (error.code === 'unknown') again = true;
        }
        if (clock.monotonic() >= give_up_at || stopping())
          return again ? unknownFate(envelope, wait_ms) : nobodyLeads(wait_ms);
        await pause();
      }
    },
    async catchUp() {
      const give_up_at = clock.monotonic() + wait_ms;
      const left = () => Math.max(0, give_up_at - clock.monotonic()) + answer_ms;
      let why = 'no node leads at present';
      for (;;) {
        try {
          const theirs = await position(left());
          if (theirs !== undefined && (await reached(theirs, left()))) return;
          if (theirs !== undefined) why = `the leader is at position ${theirs}`;
        } catch (error) {
          why = error instanceof Error ? error.message : String(error);
        }
        if (clock.monotonic() >= give_up_at || stopping()) {
          const what = `this node has not caught up within ${wait_ms} ms (${why})`;
          throw new Refused('behind', `${what}: expected to be asked again, or without ?consistent`, [], {
            'retry-after': '1',
          });
        }
        await pause();
      }
    },
  };
}

/** What a scheduler says to those it was at work for when it ended. */
const isInterrupted = (answer: Answer) =>
  answer.type === 'refused' && (answer.code === 'interrupted' || answer.code === 'shutting-down');

const unknownFate = ({ request_id }: CommandEnvelope, wait_ms: number): Answer =>
  refusal(
    'interrupted',
    `the leader went away while it was at request ${request_id}, and no other has told within ${wait_ms} ms what became of it: look whether it took effect, and repeat it if not`,
  );
const nobodyLeads = (wait_ms: number): Answer =>
  refusal(
    'no-leader',
    `no node has taken the request within ${wait_ms} ms; nothing was done: expected to be asked again`,
  );
