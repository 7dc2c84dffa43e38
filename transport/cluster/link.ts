// link.ts: a conversation between two nodes that know each other: questions, answers, and signs of life.
//
// Think of a counter with a fixed number of trays. Whoever asks puts a question on a free tray; the answer comes back on
// it, and only then the tray is free again. So nobody can be buried in questions, and somebody who brings more than there
// are trays is no guest of this house. Whoever says nothing for too long is taken for gone.
//
// A question that was never sent has surely done nothing (`unsent`); one that was sent and not answered may have
// (`unknown`). Nothing is ever sent twice: whoever asked knows whether asking again does harm.

import type { RawData, WebSocket } from 'ws';
import type { Clock, Wake } from '../../schedules/clock.ts';
import type { Introduction, Known } from './handshake.ts';
import { createOpener, createSeal } from './seal.ts';

export type LinkLimits = {
  /** Questions of the other side that may be under way here. */
  readonly window: number;
  /** Questions that may wait here for a free tray; further ones are unsent. */
  readonly waiting_max: number;
  readonly frame_bytes_max: number;
  /** Between signs of life. */
  readonly beat_ms: number;
  /** Not a word for so long: the other side counts as gone. */
  readonly silence_ms_max: number;
  /** How long two nodes may take to know each other. */
  readonly handshake_ms_max: number;
};

/** `unsent`: it has surely not happened. `unknown`: it may have. `refused`: the other side said no, in these words. */
export type LinkErrorCode = 'unsent' | 'unknown' | 'refused';
export class LinkError extends Error {
  override readonly name = 'LinkError';
  readonly code: LinkErrorCode;
  constructor(code: LinkErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type LinkLog = {
  readonly debug: (fields: object, message: string) => void;
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
};

/** Answers a question of the other side. What it throws is told to whoever asked. */
export type Handle = (method: string, body: unknown, peer: Introduction) => Promise<unknown>;

export interface NodeLink {
  readonly peer: Introduction;
  /** Asks, and resolves with the answer. Rejects with a LinkError at the deadline, or when the link ends before. */
  request(method: string, body: unknown, deadline_ms: number): Promise<unknown>;
  /** Why it ended, when it has. */
  readonly ended: Promise<string>;
  close(why: string): void;
}

export type LinkOptions = {
  readonly ws: WebSocket;
  readonly known: Known;
  readonly limits: LinkLimits;
  readonly clock: Clock;
  readonly log: LinkLog;
  readonly handle: Handle;
};

/** Close codes of RFC 6455. */
export const close_code = { done: 1000, refused: 1008, failed: 1011 } as const;
/** How long the other side may take to say goodbye too. */
const farewell_ms = 500;

type Question = {
  readonly id: number;
  readonly method: string;
  readonly body: unknown;
  readonly settle: (outcome: { readonly answer: unknown } | LinkError) => void;
  /** Its deadline has passed: nobody waits, but its tray is taken until the other side answers. */
  forgotten: boolean;
};
/** What travels: a question, an answer, a no, a sign of life. */
type Frame =
  | readonly ['question', id: number, method: string, body: unknown]
  | readonly ['answer', id: number, body: unknown]
  | readonly ['no', id: number, why: string]
  | readonly ['beat'];

export function createLink({ ws, known, limits, clock, log, handle }: LinkOptions): NodeLink {
  const { peer } = known;
  const seal = createSeal(known.keys.ours);
  const opener = createOpener(known.keys.theirs);
  const waiting: Question[] = [];
  const asked = new Map<number, Question>();
  const ended = Promise.withResolvers<string>();
  let asking = 0;
  /** Their questions that are being answered here. */
  let answering = 0;
  let over: string | undefined;
  let heard_at = clock.monotonic();
  let beat: (Wake & { readonly expected_at: number }) | undefined;

  const end = (why: string, code: number) => {
    if (over !== undefined) return;
    over = why;
    beat?.cancel();
    ws.close(code, why.slice(0, 100));
    // A peer that is gone says no goodbye.
    clock.wakeAt(clock.now() + farewell_ms, () => ws.terminate());
    for (const question of asked.values())
      question.settle(new LinkError('unknown', `the link to node ${peer.id} ended before it answered: ${why}`));
    for (const question of waiting.splice(0))
      question.settle(new LinkError('unsent', `the link to node ${peer.id} ended: ${why}`));
    asked.clear();
    ended.resolve(why);
  };

  const send = (frame: Frame): void => {
    if (over === undefined) ws.send(seal.close(frame));
  };

  /** Takes what waits to the free trays. */
  const flow = () => {
    while (over === undefined && asked.size < peer.window && waiting.length > 0) {
      const question = waiting.shift()!;
      if (question.forgotten) continue;
      asked.set(question.id, question);
      send(['question', question.id, question.method, question.body]);
    }
  };

  const answer = (id: number, method: string, body: unknown) => {
    if (answering >= limits.window)
      return end(
        `more than ${limits.window} questions at once: expected no more than were allowed`,
        close_code.refused,
      );
    answering++;
    handle(method, body, peer)
      .then(
        told => send(['answer', id, told]),
        (error: unknown) => {
          log.debug({ node: peer.id, method, error: String(error) }, 'a question of a node was refused');
          send(['no', id, error instanceof Error ? error.message : String(error)]);
        },
      )
      .finally(() => {
        answering--;
      });
  };

  const hear = (frame: Frame) => {
    switch (frame[0]) {
      case 'beat':
        return;
      case 'question':
        return answer(frame[1], frame[2], frame[3]);
      case 'answer':
      case 'no': {
        const question = asked.get(frame[1]);
        if (question === undefined)
          return end(`an answer to question ${frame[1]}, which nobody asked`, close_code.refused);
        asked.delete(frame[1]);
        question.settle(frame[0] === 'answer' ? { answer: frame[2] } : new LinkError('refused', frame[2]));
        return flow();
      }
    }
  };

  ws.on('message', (data: RawData, is_binary: boolean) => {
    if (over !== undefined) return;
    heard_at = clock.monotonic();
    try {
      const frame = is_binary ? readFrame(opener.open(data as Buffer)) : undefined;
      if (frame === undefined) end('what came is no frame of ours', close_code.refused);
      else hear(frame);
    } catch (error) {
      end(error instanceof Error ? error.message : String(error), close_code.refused);
    }
  });
  ws.on('error', error => log.debug({ node: peer.id, error: error.message }, 'the link to a node failed')); // `close` follows.
  ws.on('close', (code, reason) =>
    end(reason.length > 0 ? reason.toString() : `the connection ended (${code})`, close_code.done),
  );

  /** Sends a sign of life, and looks whether the other side gave one. */
  const pulse = () => {
    const now = clock.monotonic();
    // Whoever was stopped for a while has heard nothing because it did not listen: it reads first, and judges later.
    const slept = beat !== undefined && now - beat.expected_at > limits.beat_ms;
    if (slept) heard_at = Math.max(heard_at, now - limits.beat_ms);
    if (now - heard_at >= limits.silence_ms_max)
      return end(`not a word for ${Math.round(now - heard_at)} ms`, close_code.failed);
    send(['beat']);
    beat = { expected_at: now + limits.beat_ms, ...clock.wakeAt(clock.now() + limits.beat_ms, pulse) };
  };
  pulse();

  return {
    peer,
    ended: ended.promise,
    request: (method, body, deadline_ms) =>
      new Promise((resolve, reject) => {
        if (over !== undefined) return reject(new LinkError('unsent', `the link to node ${peer.id} ended: ${over}`));
        if (waiting.length >= limits.waiting_max)
          return reject(
            new LinkError(
              'unsent',
              `${waiting.length} questions wait for node ${peer.id}: expected at most ${limits.waiting_max}`,
            ),
          );
        let alarm: Wake | undefined;
        const question: Question = {
          id: asking++,
          method,
          body,
          forgotten: false,
          settle(outcome) {
            alarm?.cancel();
            if (outcome instanceof LinkError) reject(outcome);
            else resolve(outcome.answer);
          },
        };
        alarm = clock.wakeAt(clock.now() + deadline_ms, () => {
          question.forgotten = true;
          const sent = asked.has(question.id);
          question.settle(
            new LinkError(sent ? 'unknown' : 'unsent', `node ${peer.id} has not answered within ${deadline_ms} ms`),
          );
        });
        waiting.push(question);
        flow();
      }),
    close: why => end(why, close_code.done),
  };
}

function readFrame(value: unknown): Frame | undefined {
  if (!Array.isArray(value)) return undefined;
  const [type, id, what, body] = value as readonly unknown[];
  if (type === 'beat') return ['beat'];
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) return undefined;
  if (type === 'answer') return ['answer', id, what];
  if (typeof what !== 'string') return undefined;
  if (type === 'no') return ['no', id, what];
  return type === 'question' ? ['question', id, what, body] : undefined;
}
