// graphite.ts: figures pushed to a Graphite server over TCP, every so often.
//
// The protocol has no answer: whoever writes never hears what arrived. So what was written over a connection counts as sent
// when that still stands at the next turn; what was written over one that broke is written again, which does no harm, since
// a path and a second name one figure. A server that is away, or that takes nothing, costs a bounded number of lines in
// memory; beyond it the oldest go, and are counted. Nobody waits for any of this.

import { connect as connectTcp, type Socket } from 'node:net';
import type { Clock, Wake } from '../../schedules/clock.ts';
import type { Metrics } from '../metrics.ts';

export type GraphiteOptions = {
  readonly host: string;
  readonly port: number;
  readonly interval_ms: number;
  /** Lines in memory that have not left, or of which it is not sure. */
  readonly lines_max: number;
  /** How long a connection may take to be made, or to take a piece. */
  readonly timeout_ms: number;
  /** The lines of this moment, in pieces of a thousand or so: between two pieces others have their turn. */
  readonly lines: (seconds: number) => Iterable<readonly string[]>;
  readonly metrics: Pick<Metrics, 'record' | 'collect'>;
  readonly clock: Clock;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
    readonly error: (fields: object, message: string) => void;
  };
};
export interface Graphite {
  /** Begins no further turn; what has not left is dropped. */
  close(): void;
}

type Piece = { readonly text: string; readonly lines: number };

export function openGraphite(options: GraphiteOptions): Graphite {
  const { host, port, interval_ms, lines_max, timeout_ms, lines, metrics, clock, log } = options;
  let closed = false;
  let socket: Socket | undefined;
  let pumping = false;
  let away = false;
  let wake: Wake | undefined;
  let waiting: Piece[] = [];
  /** Written over the connection that stands, since the last turn. */
  let unsure: Piece[] = [];

  const count = (what: 'sent' | 'dropped', pieces: readonly Piece[]) => {
    if (pieces.length > 0) metrics.record('horae_graphite_lines_total', { what }, linesIn(pieces));
  };
  metrics.collect(() => {
    metrics.record('horae_graphite_lines_waiting', undefined, linesIn(waiting) + linesIn(unsure));
    metrics.record('horae_graphite_connected', undefined, socket === undefined ? 0 : 1);
  });

  /** Lets the oldest go until the rest has room. */
  const bound = () => {
    let over = linesIn(waiting) + linesIn(unsure) - lines_max;
    while (over > 0) {
      const oldest = unsure.length > 0 ? unsure.shift()! : waiting.shift()!;
      count('dropped', [oldest]);
      over -= oldest.lines;
    }
  };

  const turn = async () => {
    const due = clock.now() + interval_ms;
    if (socket !== undefined) {
      count('sent', unsure);
      unsure = [];
    }
    try {
      for (const piece of lines(Math.floor(clock.now() / 1_000))) {
        if (closed) return;
        waiting.push({ text: piece.join(''), lines: piece.length });
        bound();
        await new Promise<void>(resolve => setImmediate(resolve));
      }
    } catch (error) {
      log.error({ error: wordsOf(error) }, 'figures for Graphite could not be gathered: the rest of them is left out');
    }
    if (!closed) wake = clock.wakeAt(due, () => void turn());
    await pump();
  };

  const pump = async () => {
    if (pumping) return;
    pumping = true;
    try {
      while (!closed && waiting.length > 0) {
        socket ??= await connected();
        const link = socket;
        const piece = waiting.shift()!;
        unsure.push(piece);
        await written(link, piece.text);
      }
    } catch (error) {
      if (closed) return;
      if (!away)
        log.warn({ host, port, error: wordsOf(error) }, 'Graphite takes nothing: figures wait, and the oldest go');
      away = true;
    } finally {
      pumping = false;
    }
  };

  const connected = async (): Promise<Socket> => {
    const link = connectTcp({ host, port });
    link.on('error', () => undefined); // `close` follows.
    link.on('close', () => {
      if (socket !== link) return;
      socket = undefined;
      waiting = [...unsure, ...waiting];
      unsure = [];
      bound();
    });
    // The server has nothing to say; whoever reads notices when it goes.
    link.resume();
    link.unref();
    await settled(link, done => link.once('connect', () => done()));
    if (closed) throw new Error('it is being closed');
    if (away) log.info({ host, port }, 'Graphite is there again');
    away = false;
    return link;
  };
  const written = (link: Socket, text: string) => settled(link, done => link.write(text, done));

  /** Resolves when `begin` says that it is done. When that fails or takes too long, the connection is ended. */
  const settled = (link: Socket, begin: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      const over = (error?: Error | null) => {
        late.cancel();
        link.off('error', over);
        link.off('close', gone);
        if (error === undefined || error === null) return resolve();
        link.destroy();
        reject(error);
      };
      const gone = () => over(new Error('the connection has ended'));
      const late = clock.wakeAt(clock.now() + timeout_ms, () =>
        over(new Error(`it took longer than ${timeout_ms} ms`)),
      );
      link.once('error', over);
      link.once('close', gone);
      begin(over);
    });

  void turn();
  return {
    close() {
      closed = true;
      wake?.cancel();
      socket?.destroy();
    },
  };
}

const linesIn = (pieces: readonly Piece[]) => pieces.reduce((sum, { lines }) => sum + lines, 0);
const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
