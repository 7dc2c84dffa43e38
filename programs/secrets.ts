// secrets.ts: who keeps the secrets that tasks refer to, as the settings of an agent say it.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SecretSource } from '../mesos/local/secrets.ts';
import { Refused } from './refused.ts';

export function secretsFrom(settings: {
  readonly secrets_dir: string | undefined;
  readonly secrets_command: string | undefined;
  readonly secrets_timeout_ms: number;
}): { readonly secrets?: SecretSource } {
  const { secrets_dir, secrets_command, secrets_timeout_ms: timeout_ms } = settings;
  if (secrets_dir !== undefined && secrets_command !== undefined)
    throw new Refused('both --secrets-dir and --secrets-command are given: expected one of them');
  if (secrets_dir !== undefined) {
    const path = resolve(secrets_dir);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new Refused(`--secrets-dir is ${secrets_dir}: expected a directory that is there`);
    return { secrets: { type: 'folder', path } };
  }
  const [program, ...words] = secrets_command?.trim().split(/ +/) ?? [];
  return program === undefined ? {} : { secrets: { type: 'program', argv: [program, ...words], timeout_ms } };
}
