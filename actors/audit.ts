// audit.ts: the row that every write leaves behind: who, what, to which job, and how it ended.

import { type Effect, record } from './effects.ts';
import type { CommandEnvelope } from './model/commands.ts';
import { keyOf } from './model/job.ts';
import { sortable } from './model/records.ts';

export function audit({ command, principal, request_id }: CommandEnvelope, now: number, result: string): Effect {
  const target =
    command.type === 'put-calendar' || command.type === 'delete-calendar'
      ? `calendar/${command.name}`
      : 'node' in command
        ? `node/${command.node}`
        : 'letter' in command
          ? `letter/${command.letter}`
          : command.type === 'submit'
            ? keyOf(command.job)
            : command.type === 'kill-run'
              ? `${command.key}/${command.run}`
              : 'instance' in command
                ? command.instance
                : command.key;
  return record('audit', `${sortable(now)}/${request_id}`, {
    at: now,
    principal: principal.name,
    command: command.type,
    target,
    request_id,
    result,
    ...('detail' in command ? { detail: command.detail } : {}),
  });
}
