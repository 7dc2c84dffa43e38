// letters.ts: what the scheduler needs to tell people: the channels that the settings open, and the logs of tasks to quote from.

import type { ChannelName } from '../actors/model/notices.ts';
import type { Sandboxes, Views } from '../actors/model/views.ts';
import type { Letters } from '../actors/notices/couriers.ts';
import type { Metrics } from '../transport/metrics.ts';
import type { Channels } from '../transport/notify/open.ts';

/** `standing`: channels for which the settings name a place; `mail`: a server. */
export type OpenLetters = Letters & { readonly standing: readonly ChannelName[] };

export function lettersOf(channels: Channels, sandboxes: Sandboxes, log_bytes_max: number): OpenLetters {
  return {
    standing: standingOf(channels),
    async deliver(letter, signal) {
      const channel = channels.get(letter.channel);
      if (channel !== undefined) return channel.deliver(letter, signal);
      return { type: 'failed', message: `the settings of this node say nothing of ${letter.channel}` };
    },
    async readLog(agent_id, task_id) {
      if (log_bytes_max === 0) return undefined;
      const tail = (name: string) => lastLines(sandboxes, agent_id, task_id, name, log_bytes_max);
      const [errors, output] = await Promise.all([tail('stderr'), tail('stdout')]);
      if (errors === '') return output === '' ? undefined : output;
      if (output === '') return errors;
      // Of each the last half, or more where the other has less.
      const half = Math.floor(log_bytes_max / 2);
      const room = (other: string) => Math.max(half, log_bytes_max - Buffer.byteLength(other));
      return `stdout:\n${lines(output, room(errors))}\nstderr:\n${lines(errors, room(output))}`;
    },
  };
}

export const standingOf = (channels: Channels): readonly ChannelName[] =>
  channels.get('mail') === undefined ? channels.standing : ['mail', ...channels.standing];

/** What waits and what was given up, at this moment. */
export function countLetters(metrics: Pick<Metrics, 'record'>, views: Pick<Views, 'letter_counts'>): void {
  for (const [channel, { notices, pending, dead }] of Object.entries(views.letter_counts())) {
    metrics.record('horae_notices_waiting', { channel }, notices);
    metrics.record('horae_letters_waiting', { channel }, pending);
    metrics.record('horae_letters_dead', { channel }, dead);
  }
}

async function lastLines(
  sandboxes: Sandboxes,
  agent_id: string,
  task_id: string,
  name: string,
  bytes_max: number,
): Promise<string> {
  const file = await sandboxes.open(agent_id, task_id, name);
  if (file === undefined) return '';
  try {
    const size = await file.size();
    const from = Math.max(0, size - bytes_max - 1);
    const pieces: Uint8Array[] = [];
    // An agent may tell less at a time than it is asked for, and a file may shrink meanwhile.
    for (let at = from; at < size; ) {
      const piece = await file.read(at, size - at);
      if (piece.length === 0) break;
      pieces.push(Uint8Array.from(piece));
      at += piece.length;
    }
    return lines(Buffer.concat(pieces).toString('utf8'), bytes_max, from > 0);
  } finally {
    await file.close();
  }
}

/** The last whole lines of a text that are no more than so many bytes; `torn`: something stood before it. */
function lines(text: string, bytes_max: number, torn = false): string {
  // Terminals are told colours and worse by what begins with an escape; letters are not.
  const plain = text.replaceAll(escapes, '').replaceAll(/\r\n?/g, '\n').replaceAll(controls, '\uFFFD').trimEnd();
  if (!torn && Buffer.byteLength(plain) <= bytes_max) return plain;
  const tail = Buffer.from(plain).subarray(-bytes_max).toString('utf8');
  const cut = tail.indexOf('\n');
  return cut < 0 || cut === tail.length - 1 ? tail.replace(/^\uFFFD+/, '') : tail.slice(cut + 1);
}
const escapes = new RegExp(`${String.fromCharCode(0x1b)}\\[[0-9;?]*[ -/]*[@-~]`, 'g');
const controls = /[^\P{Cc}\n\t]/gu;
