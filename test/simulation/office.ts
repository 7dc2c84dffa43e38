// office.ts: how nodes ask each other: a line to whoever leads, over simulated cables.
//
// As transport/cluster/line.ts promises it: a question waits for a line until its deadline; one that was under way when
// the line broke, or is not answered in time, may have been heard.

import type { Line } from '../../transport/cluster/line.ts';
import { LinkError } from '../../transport/cluster/link.ts';
import type { Process } from './machine.ts';
import type { Network } from './network.ts';

type Handle = (method: string, body: unknown) => Promise<unknown>;
export type Exchange = {
  /** Where a process takes questions. */
  readonly open: (place: string, process: Process, handle: Handle) => void;
  readonly line: (place: string, process: Process) => Pick<Line, 'to' | 'request'>;
};

const redial_ms = 300;

export function createExchange(network: Network): Exchange {
  const desks = new Map<string, { readonly process: Process; readonly handle: Handle }>();
  return {
    open(place, process, handle) {
      desks.set(place, { process, handle });
      process.onDeath(() => {
        if (desks.get(place)?.process === process) desks.delete(place);
      });
    },
    line(place, process) {
      const { clock } = process;
      let callee: string | undefined;
      const reachable = () =>
        callee !== undefined && desks.has(callee) && !network.isCut(place, callee) && !network.isCut(callee, place);
      const linked = async (deadline_ms: number): Promise<string> => {
        const give_up_at = clock.monotonic() + deadline_ms;
        while (!reachable()) {
          if (clock.monotonic() >= give_up_at) throw new LinkError('unsent', 'no leader was found');
          await new Promise<void>(resolve => void clock.wakeAt(clock.now() + redial_ms, resolve));
        }
        return callee!;
      };
      return {
        to(next) {
          callee = next?.id;
        },
        async request(method, body, deadline_ms, linking_ms = deadline_ms) {
          const from = clock.monotonic();
          const far = await linked(Math.min(deadline_ms, linking_ms));
          const desk = desks.get(far)!;
          const up = network.stream(place, far);
          const down = network.stream(far, place);
          const sent: unknown = structuredClone(body);
          return new Promise((resolve, reject) => {
            const late = clock.wakeAt(clock.now() + Math.max(1, deadline_ms - (clock.monotonic() - from)), () =>
              reject(new LinkError('unknown', 'no answer in time')),
            );
            const back = (settle: () => void) =>
              down.send(
                process.entering(() => {
                  late.cancel();
                  settle();
                }),
              );
            desk.process.onDeath(() => back(() => reject(new LinkError('unknown', 'the line broke'))));
            up.send(
              desk.process.entering(() => {
                desk.handle(method, sent).then(
                  answer => back(() => resolve(structuredClone(answer))),
                  error => back(() => reject(new LinkError('refused', String(error)))),
                );
              }),
            );
          });
        },
      };
    },
  };
}
