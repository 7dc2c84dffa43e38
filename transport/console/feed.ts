// feed.ts: the console's WebSocket: what somebody looks at, sent again when it changes.
//
// Think of a waiter who never lets a glass stand empty and never pours into a full one. Changes are gathered for a moment,
// and what a socket watches is compared with what it was last sent. A reader that is too slow is left alone until it has
// drunk up, and is then poured the present picture, not the past: so nothing here can grow.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Packr, Unpackr } from 'msgpackr';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { type JobKey, roleOf } from '../../actors/model/ids.ts';
import type { Views } from '../../actors/model/views.ts';
import type { Clock, Instant, Wake } from '../../schedules/clock.ts';
import { calendarsOf } from '../http/routes/calendars.ts';
import type { Metrics } from '../metrics.ts';
import { type Board, createBoard, type Sees } from './board.ts';
import { createWording, jobParts } from './detail.ts';
import {
  type Frame,
  type JobParts,
  type JobWatch,
  type ListFrame,
  type ListWatch,
  readWatch,
  type Watch,
} from './messages.ts';
import type { Row } from './rows.ts';

export type FeedLog = {
  readonly debug: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
};
export type FeedInputs = {
  readonly views: Views;
  readonly clock: Clock;
  readonly limits: { readonly sockets_max: number; readonly socket_frames_max: number };
  readonly metrics: Metrics;
  readonly log: FeedLog;
  /** Zone of cron schedules that name none, for their words; UTC when left out. */
  readonly default_zone?: string;
  /** Where several nodes make one scheduler: which this is, and who leads. */
  readonly nodes?: {
    readonly node_id: string;
    leader(): { readonly id: string; readonly url: string } | undefined;
  };
};
export interface Feed {
  /** Takes over a connection that asks to become a WebSocket. `sees`: the job roles that may be read; all when left out. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, sees?: Sees): void;
  sockets(): number;
  close(): void;
}

/** Changes are gathered this long, so that a busy scheduler costs a page ten frames a second at most. */
const gather_ms = 100;
/** What no record speaks of (when a job is due, why an instance waits) is looked at this often. */
const glance_ms = 1_000;
const beat_ms = 15_000;
/** How long a page may take to say goodbye. */
const farewell_ms = 500;
/** A picture that took n ms is not taken again for this many times n and readers: together they cost a tenth of the time. */
const rest_factor = 10;
const message_bytes_max = 4_096;
const buffered_bytes_max = 1_048_576;

/** Close codes of RFC 6455. */
const code = { away: 1001, unsupported: 1003, malformed: 1007, refused: 1008, failed: 1011 } as const;

type Reader = {
  readonly ws: WebSocket;
  readonly sees: Sees;
  watch: Watch | undefined;
  /** What the page knows; undefined: nothing, it needs the whole picture. */
  known: Known | undefined;
  /** Whether what it watches may have changed. */
  due: boolean;
  /** Monotonic time before which it is not looked at again. */
  rest_until: number;
  /** Frames that wait for the network. */
  frames: number;
  /** Too slow: nothing is sent until all frames are gone. */
  stalled: boolean;
  answered_ping: boolean;
  /** Who leads, as it was last told. */
  leader: string | undefined;
  /** What it knows of letters. */
  letters: LettersSeen;
};
type Known =
  | {
      readonly watch: 'list';
      readonly version: number;
      readonly total: number;
      readonly counters: string;
      readonly rows: readonly Row[];
    }
  | { readonly watch: 'job'; readonly parts: ReadonlyMap<string, Buffer> };

export function createFeed(inputs: FeedInputs): Feed {
  const { views, clock, limits, metrics, log, default_zone = 'UTC', nodes } = inputs;
  const server = new WebSocketServer({ noServer: true, maxPayload: message_bytes_max, perMessageDeflate: false });
  const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true });
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  const wording = createWording(default_zone, () => calendarsOf(views));
  const gauge = metrics.gauge('horae_console_sockets');
  const resnapshots = metrics.counter('horae_console_resnapshots_total');
  const readers = new Set<Reader>();
  let board: Board | undefined;
  let unsubscribe: (() => void) | undefined;
  let wake: (Wake & { readonly at: Instant }) | undefined;
  let glance_at = 0;
  let beat_at = 0;
  let closed = false;

  /** At most one wake is pending, for the earliest of what is wanted. */
  const wakeAt = (at: Instant) => {
    if (closed || readers.size === 0 || (wake !== undefined && wake.at <= at)) return;
    wake?.cancel();
    wake = { at, ...clock.wakeAt(at, safeTick) };
  };

  /** The first reader opens the board and the last one closes it. */
  const begin = () => {
    board = createBoard(views);
    board.build();
    unsubscribe = views.subscribe(batch => {
      board!.note(batch);
      wakeAt(clock.now() + gather_ms);
    });
    glance_at = clock.monotonic() + glance_ms;
    beat_at = clock.monotonic() + beat_ms;
  };
  const end = () => {
    unsubscribe?.();
    wake?.cancel();
    board = unsubscribe = wake = undefined;
  };

  /** A mistake in a picture must not stop the scheduler: the pages are closed, come back, and begin with a new board. */
  function safeTick() {
    try {
      tick();
    } catch (error) {
      log.error({ err: error }, 'console feed failed');
      for (const { ws } of readers) ws.close(code.failed, 'the feed failed');
      end();
    }
  }

  function tick() {
    wake = undefined;
    if (board === undefined) return;
    const time = clock.monotonic();
    if (time >= beat_at) {
      beat_at = time + beat_ms;
      for (const reader of readers) beat(reader);
    }
    if (!board.complete()) board.build();
    const changed = board.refresh();
    const glancing = time >= glance_at;
    if (glancing) {
      glance_at = time + glance_ms;
      board.glance(inView());
    }
    let soonest = Math.min(glance_at, beat_at);
    for (const reader of readers) {
      const { watch } = reader;
      if (!reader.stalled) {
        showLeader(reader);
        showLetters(reader);
      }
      if (watch === undefined || reader.stalled) continue;
      if (watch.watch === 'job') reader.due ||= glancing || changed.has(watch.key);
      else reader.due ||= !isCurrent(reader, board);
      if (!reader.due) continue;
      if (watch.watch === 'list' && !board.complete()) soonest = time;
      else if (reader.rest_until > time) soonest = Math.min(soonest, reader.rest_until);
      else show(reader, watch, board);
    }
    if (!board.complete()) soonest = time;
    wakeAt(clock.now() + Math.max(0, soonest - time));
  }

  /** Keys that somebody has on the screen. */
  const inView = (): Set<JobKey> => {
    const keys = new Set<JobKey>();
    for (const { known } of readers) if (known?.watch === 'list') for (const row of known.rows) keys.add(row.key);
    return keys;
  };

  function show(reader: Reader, watch: Watch, board: Board) {
    const from = clock.monotonic();
    const sent = watch.watch === 'list' ? showList(reader, watch, board) : showJob(reader, watch);
    reader.due = false;
    const to = clock.monotonic();
    reader.rest_until = to + Math.max(sent ? gather_ms : 0, (to - from) * rest_factor * readers.size);
  }

  function showList(reader: Reader, watch: ListWatch, board: Board): boolean {
    const { total, rows, counters } = board.window(watch, reader.sees);
    const before = reader.known?.watch === 'list' ? reader.known : undefined;
    const known_rows = new Set(before?.rows);
    const counted = JSON.stringify(counters);
    const changed = rows.filter(row => !known_rows.has(row));
    const moved = before === undefined || !sameOrder(before.rows, rows);
    reader.known = { watch: 'list', version: board.version(), total, counters: counted, rows };
    const frame: ListFrame = {
      type: 'list',
      ...answer(watch, before),
      ...(before?.total === total ? {} : { total }),
      ...(before === undefined ? { offset: watch.offset } : {}),
      ...(before?.counters === counted ? {} : { counters }),
      ...(moved ? { keys: rows.map(row => row.key) } : {}),
      rows: changed.map(worded),
    };
    if (changed.length === 0 && !moved && before.total === total && before.counters === counted) return false;
    return send(reader, frame);
  }

  const worded = (row: Row): Row => {
    const record = row.schedule === undefined ? undefined : views.job(row.key)?.record;
    const words = record === undefined ? undefined : wording.first(record);
    return words === undefined ? row : { ...row, words };
  };

  function showJob(reader: Reader, watch: JobWatch): boolean {
    const hidden = reader.sees !== undefined && !reader.sees(roleOf(watch.key));
    const parts: JobParts = hidden ? { head: null } : jobParts(views, watch.key, clock.now(), wording, reader.sees);
    const before = reader.known?.watch === 'job' ? reader.known : undefined;
    const packed = new Map(Object.entries(parts).map(([name, part]) => [name, packr.pack(part)]));
    const changed = Object.entries(parts).filter(
      ([name]) => before?.parts.get(name)?.equals(packed.get(name)!) !== true,
    );
    reader.known = { watch: 'job', parts: packed };
    if (before !== undefined && changed.length === 0) return false;
    const frame = { type: 'job', ...answer(watch, before), key: watch.key, parts: Object.fromEntries(changed) };
    return send(reader, frame as Frame);
  }

  const answer = (watch: Watch, before: Known | undefined) => ({
    id: watch.id,
    at: clock.now(),
    position: views.position(),
    ...(before === undefined ? { fresh: true as const } : {}),
  });

  function send(reader: Reader, frame: Frame): boolean {
    const { ws } = reader;
    if (ws.readyState !== ws.OPEN) return false;
    reader.frames++;
    ws.send(packr.pack(frame), () => {
      reader.frames--;
      if (!reader.stalled || reader.frames > 0) return;
      reader.stalled = false;
      reader.known = undefined;
      reader.due = true;
      resnapshots.add();
      wakeAt(clock.now());
    });
    if (reader.frames >= limits.socket_frames_max || ws.bufferedAmount > buffered_bytes_max) reader.stalled = true;
    return true;
  }

  function showLeader(reader: Reader) {
    if (nodes === undefined) return;
    const { id, url } = nodes.leader() ?? {};
    const leader = id === undefined || url === undefined ? null : { id, url };
    const told = JSON.stringify(leader);
    if (told === reader.leader) return;
    reader.leader = told;
    send(reader, { type: 'cluster', at: clock.now(), node: nodes.node_id, leader });
  }

  function showLetters(reader: Reader) {
    const seen = lettersFor(views, reader.sees);
    if (seen.dead === reader.letters.dead && seen.pending === reader.letters.pending) return;
    reader.letters = seen;
    send(reader, { type: 'letters', at: clock.now(), ...seen });
  }

  /** Pings are for us: they find readers that are gone. Beats are for the page, which cannot see pings: they find us gone. */
  function beat(reader: Reader) {
    if (!reader.answered_ping) {
      log.debug({}, 'console does not answer');
      return reader.ws.terminate();
    }
    reader.answered_ping = false;
    reader.ws.ping();
    if (!reader.stalled) send(reader, { type: 'beat', at: clock.now() });
  }

  function hear(reader: Reader, data: RawData, is_binary: boolean) {
    if (!is_binary) return reader.ws.close(code.unsupported, 'expected msgpack in binary frames');
    let value: unknown;
    try {
      value = unpackr.unpack(data as Buffer);
    } catch (error) {
      log.debug({ err: error }, 'console sent what is not msgpack');
      return reader.ws.close(code.malformed, 'expected one msgpack value');
    }
    const read = readWatch(value);
    if (!read.ok) {
      const [problem] = read.problems;
      return reader.ws.close(code.refused, `${problem!.message}: expected ${problem!.expected}`.slice(0, 120));
    }
    // Only the last question counts: whoever types fast is answered once.
    reader.watch = read.value;
    reader.known = undefined;
    reader.due = true;
    wakeAt(clock.now());
  }

  function take(ws: WebSocket, sees: Sees) {
    const reader: Reader = {
      ws,
      sees,
      watch: undefined,
      known: undefined,
      due: false,
      rest_until: 0,
      frames: 0,
      stalled: false,
      answered_ping: true,
      leader: undefined,
      letters: no_letters,
    };
    ws.on('message', (data, is_binary) => hear(reader, data, is_binary));
    ws.on('pong', () => {
      reader.answered_ping = true;
    });
    ws.on('error', error => log.debug({ err: error }, 'console connection failed')); // `close` follows.
    ws.on('close', () => {
      readers.delete(reader);
      gauge.set(readers.size);
      if (readers.size === 0) end();
    });
    if (board === undefined) begin();
    readers.add(reader);
    gauge.set(readers.size);
    wakeAt(clock.now());
  }

  return {
    accept(request, socket, head, sees) {
      if (closed || readers.size >= limits.sockets_max) {
        if (!closed) log.warn({ sockets: readers.size }, 'too many consoles');
        socket.on('error', () => undefined); // It is being turned away: whether it hears that is its own affair.
        socket.end(
          'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
        );
        return;
      }
      server.handleUpgrade(request, socket, head, ws => take(ws, sees));
    },
    sockets: () => readers.size,
    close() {
      closed = true;
      const leaving = [...readers].map(({ ws }) => ws);
      for (const ws of leaving) ws.close(code.away, 'the scheduler is stopping');
      clock.wakeAt(clock.now() + farewell_ms, () => {
        for (const ws of leaving) ws.terminate();
      });
      end();
      server.close();
    },
  };
}

type LettersSeen = { readonly dead: number; readonly pending: number };
const no_letters: LettersSeen = { dead: 0, pending: 0 };

function lettersFor(views: Views, sees: Sees): LettersSeen {
  if (sees === undefined) {
    const all = Object.values(views.letter_counts());
    const sum = (what: 'dead' | 'pending') => all.reduce((count, one) => count + one[what], 0);
    return { dead: sum('dead'), pending: sum('pending') };
  }
  const mine = views.letters().filter(({ roles }) => roles.every(sees));
  const dead = mine.filter(one => one.dead_at !== undefined).length;
  return { dead, pending: mine.length - dead };
}

const isCurrent = ({ known }: Reader, board: Board) => known?.watch === 'list' && known.version === board.version();

function sameOrder(a: readonly Row[], b: readonly Row[]): boolean {
  return a.length === b.length && a.every((row, index) => row.key === b[index]!.key);
}
