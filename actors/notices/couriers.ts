// couriers.ts: who carries letters to their channels, and fetches the last lines that tasks wrote.
//
// Both go out of the process and may take for ever, so both have a deadline here, whatever whoever does them promises; and
// whatever comes of them, word of it comes back as mail, once.

import type { Clock } from '../../schedules/clock.ts';
import type { WantedLog } from '../effects.ts';
import type { Delivery, Letter } from '../model/notices.ts';
import type { Post } from '../post.ts';

/** The world of letters, as a tree sees it. */
export type Letters = {
  /** Hands it to its channel. */
  readonly deliver: (letter: Letter, signal: AbortSignal) => Promise<Delivery>;
  /** The last lines of what a task wrote; undefined when there are none to be had. */
  readonly readLog: (agent_id: string, task_id: string) => Promise<string | undefined>;
};
export type CourierOptions = {
  readonly letters: Letters | undefined;
  readonly post: Pick<Post, 'send'>;
  readonly clock: Pick<Clock, 'now' | 'wakeAt'>;
  readonly log_ms_max: number;
  readonly delivery_ms_max: number;
};
export type Couriers = {
  deliver(letter: Letter): void;
  readLogs(place: string, wanted: readonly WantedLog[]): void;
  /** Whoever is on his way turns back, and nobody is told. */
  recall(): void;
};

export function createCouriers({ letters, post, clock, log_ms_max, delivery_ms_max }: CourierOptions): Couriers {
  const under_way = new Set<AbortController>();
  let alive = true;
  /** `what`, or `late` when it takes longer than `ms`. */
  const within = <T>(ms: number, what: (signal: AbortSignal) => Promise<T>, late: T, failed: (error: unknown) => T) => {
    const controller = new AbortController();
    under_way.add(controller);
    return new Promise<T>(resolve => {
      const wake = clock.wakeAt(clock.now() + ms, () => {
        end(late);
        controller.abort();
      });
      const end = (result: T) => {
        wake.cancel();
        under_way.delete(controller);
        resolve(result);
      };
      // Whoever throws at once has failed like one who rejects.
      new Promise<T>(begin => begin(what(controller.signal))).then(end, error => end(failed(error)));
    });
  };
  const words = (error: unknown) => (error instanceof Error ? error.message : String(error));

  return {
    deliver(letter) {
      const late: Delivery = { type: 'failed', message: `no answer within ${delivery_ms_max} ms` };
      const refused: Delivery = { type: 'failed', message: 'nobody carries letters here' };
      within<Delivery>(
        delivery_ms_max,
        async signal => (letters === undefined ? refused : letters.deliver(letter, signal)),
        late,
        error => ({ type: 'failed', message: words(error) }),
      ).then(delivery => {
        if (!alive) return;
        post.send({ to: 'notices', message: { type: 'carried', carried: [{ id: letter.id, delivery }] } });
      });
    },
    readLogs(place, wanted) {
      const one = ({ notice, agent_id, task }: WantedLog) =>
        within<string | undefined>(
          log_ms_max,
          async () => letters?.readLog(agent_id, task),
          undefined,
          // A log that cannot be read holds no letter back.
          () => undefined,
        ).then(text => (text === undefined ? [] : [[notice, text] as const]));
      Promise.all(wanted.map(one)).then(found => {
        if (!alive) return;
        const logs = Object.fromEntries(found.flat());
        post.send({ to: 'notices', message: { type: 'read', read: [{ place, logs }] } });
      });
    },
    recall() {
      alive = false;
      for (const controller of under_way) controller.abort();
      under_way.clear();
    },
  };
}
