// letter-command.ts: what a person may ask of a letter: that it be tried again at once, or, once given up, forgotten.

import { audit } from '../audit.ts';
import { type Effect, reply } from '../effects.ts';
import type { CommandEnvelope, LetterCommand } from '../model/commands.ts';
import { refusal } from '../model/reasons.ts';
import type { Desk, NoticesMessage } from './notices.ts';

type Doing = {
  readonly again: (desk: Desk, id: string) => void;
  readonly forget: (id: string) => void;
};

export function letterCommand(
  desk: Desk,
  envelope: CommandEnvelope<LetterCommand>,
  { again, forget }: Doing,
): readonly Effect[] {
  const { command, request_id } = envelope;
  const { state, now, effects } = desk;
  const { letter: id } = command;
  const known = state.letters.get(id);
  const refuse = (code: 'not-found' | 'in-use', text: string) => [
    audit(envelope, now, code),
    reply(request_id, refusal(code, text)),
  ];
  if (known === undefined) return refuse('not-found', `there is no letter ${id} that waits or was given up`);
  if (command.type === 'delete-letter' && known.dead_at === undefined)
    return refuse('in-use', `letter ${id} is still being tried: expected one that was given up`);
  if (command.type === 'retry-letter') again(desk, id);
  else forget(id);
  const result = command.type === 'retry-letter' ? 'retrying' : 'deleted';
  return [...effects, audit(envelope, now, result), reply(request_id, { type: `letter-${result}`, letter: id })];
}

/** What becomes of mail to the queue when it was put aside: people are told of nothing, and whoever asks is told why. */
export function noticesAside(message: NoticesMessage, _key: string, reason: string): readonly Effect[] {
  if (message.type !== 'command') return [];
  const { request_id } = message.envelope;
  const text = `notifications were put aside after crashing (${reason}): they go on when the scheduler starts again`;
  return [reply(request_id, refusal('quarantined', text))];
}
