// line.ts: this node's line to whoever leads: dialled again whenever it breaks, and wherever the leader goes.
//
// Whoever asks does not care where the leader is. A question that finds no line waits for one until its deadline, since a
// failover takes seconds; one that was on its way when the line broke is not sent again, since it may have arrived.

import type { ConnectionOptions } from 'node:tls';
import { WebSocket } from 'ws';
import type { Clock, Wake } from '../../schedules/clock.ts';
import { link_path } from './door.ts';
import { greet } from './greeting.ts';
import type { Introduction } from './handshake.ts';
import { createLink, type Handle, LinkError, type LinkLimits, type LinkLog, type NodeLink } from './link.ts';

export type LineOptions = {
  readonly key: Uint8Array;
  readonly introduce: () => Introduction;
  readonly limits: LinkLimits;
  /** Before the first attempt to dial again; doubles with each, up to the second. */
  readonly redial_delay_ms: number;
  readonly redial_delay_ms_max: number;
  /** Between 0 and 1, so that nodes do not all come back in one instant. */
  readonly random: () => number;
  /** For leaders under https: the CA. */
  readonly tls?: ConnectionOptions;
  readonly clock: Clock;
  readonly log: LinkLog;
  readonly handle: Handle;
};
export type Callee = { readonly id: string; readonly url: string };
export interface Line {
  /** Whom to call from now on; undefined: nobody. */
  to(callee: Callee | undefined): void;
  /** As NodeLink's, but waits for a link while there is none: until the deadline, or for `linking_ms` at most. */
  request(method: string, body: unknown, deadline_ms: number, linking_ms?: number): Promise<unknown>;
  connected(): boolean;
  close(): void;
}

type Waiting = { readonly take: (link: NodeLink) => void; readonly fail: (why: string) => void };

export function createLine(options: LineOptions): Line {
  const { key, introduce, limits, clock, log, handle } = options;
  let callee: Callee | undefined;
  let link: NodeLink | undefined;
  let dialling: WebSocket | undefined;
  let redial: Wake | undefined;
  let failures = 0;
  let closed = false;
  const waiting = new Set<Waiting>();

  const hangUp = (why: string) => {
    redial?.cancel();
    dialling?.terminate();
    link?.close(why);
    redial = dialling = link = undefined;
    failures = 0;
  };

  const dial = ({ id, url }: Callee) => {
    const address = `${url.replace(/^http/, 'ws')}${link_path}`;
    const ws = new WebSocket(address, {
      maxPayload: limits.frame_bytes_max,
      perMessageDeflate: false,
      handshakeTimeout: limits.handshake_ms_max,
      ...options.tls,
    });
    dialling = ws;
    let told = false;
    const failed = (why: string) => {
      if (dialling !== ws || told) return;
      told = true;
      dialling = undefined;
      // The first failure is the usual one: the leader has just gone. That it stays so is news.
      const fields = { node: id, url, why };
      if (failures === 3) log.warn(fields, 'the leader cannot be reached');
      else log.debug(fields, 'the leader cannot be reached');
      again();
    };
    ws.on('error', error => failed(error.message));
    ws.on('open', () =>
      greet({
        ws,
        key,
        us: introduce(),
        deadline_ms: limits.handshake_ms_max,
        clock,
        failed,
        known(known) {
          if (dialling !== ws) return ws.terminate();
          dialling = undefined;
          if (known.peer.id !== id) {
            told = true;
            log.warn(
              { expected: id, found: known.peer.id, url },
              'another node than the leader answers at its address',
            );
            ws.terminate();
            return again();
          }
          take(createLink({ ws, known, limits, clock, log, handle }));
        },
      }),
    );
  };

  const again = () => {
    if (closed || callee === undefined) return;
    const whole_ms = Math.min(options.redial_delay_ms_max, options.redial_delay_ms * 2 ** Math.min(20, failures++));
    const target = callee;
    redial = clock.wakeAt(clock.now() + Math.round(whole_ms * (0.5 + 0.5 * options.random())), () => dial(target));
  };

  const take = (fresh: NodeLink) => {
    link = fresh;
    failures = 0;
    log.info({ node: fresh.peer.id, version: fresh.peer.version }, 'linked with the leader');
    void fresh.ended.then(why => {
      if (link !== fresh) return;
      link = undefined;
      log.info({ node: fresh.peer.id, why }, 'the link with the leader has ended');
      again();
    });
    for (const each of [...waiting]) each.take(fresh);
  };

  /** The link, as soon as there is one. */
  const linked = (deadline_ms: number): Promise<NodeLink> => {
    if (link !== undefined) return Promise.resolve(link);
    return new Promise((resolve, reject) => {
      if (closed) return reject(new LinkError('unsent', 'this node is stopping'));
      if (waiting.size >= limits.waiting_max)
        return reject(
          new LinkError(
            'unsent',
            `${waiting.size} questions wait for a leader: expected at most ${limits.waiting_max}`,
          ),
        );
      const finish = (settle: () => void) => {
        alarm.cancel();
        waiting.delete(one);
        settle();
      };
      const one: Waiting = {
        take: fresh => finish(() => resolve(fresh)),
        fail: why => finish(() => reject(new LinkError('unsent', why))),
      };
      const alarm = clock.wakeAt(clock.now() + deadline_ms, () =>
        one.fail(`no leader was found within ${deadline_ms} ms`),
      );
      waiting.add(one);
    });
  };

  return {
    to(next) {
      if (closed || (next?.id === callee?.id && next?.url === callee?.url)) return;
      hangUp('the leader is elsewhere');
      callee = next;
      if (next !== undefined) dial(next);
    },
    async request(method, body, deadline_ms, linking_ms = deadline_ms) {
      const from = clock.monotonic();
      const found = await linked(Math.min(deadline_ms, linking_ms));
      return found.request(method, body, Math.max(1, deadline_ms - (clock.monotonic() - from)));
    },
    connected: () => link !== undefined,
    close() {
      closed = true;
      hangUp('this node is stopping');
      for (const each of [...waiting]) each.fail('this node is stopping');
    },
  };
}
