// secrets.ts: secrets for a container: what its engine must not be told, and its processes are to have.
//
// An engine shows the environment that it was given to whoever asks, and keeps it on its disk. So it is given none of this.
// Files lie beside what the agent knows of the task, where nobody else passes, and are bound into the container, read only and
// for all who are in there: as whom the image runs is its own affair. Variables are one more such file, which a shell of the
// image reads before it becomes what the container runs.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { exported, isExportable } from '../dress.ts';
import { removeTree } from '../removal.ts';
import { secrets_folder } from '../secret-wishes.ts';
import { forgetSecrets, type Secrets, writeSecrets } from '../secrets.ts';
import { variables_file } from './behind.ts';

type Paths = { readonly sandbox: string; readonly meta: string };

export const secretsOutside = ({ meta }: Pick<Paths, 'meta'>): string => join(meta, 'secrets');

/** Puts what a container is to find at `.secrets` of its sandbox where it can be bound from. */
export function layOutInside({ variables, files }: Secrets, paths: Paths): void {
  const names = Object.keys(variables);
  if (names.length + files.length === 0) return;
  const unfit = names.find(name => !isExportable(name));
  if (unfit !== undefined)
    throw new Error(
      `a secret is to be variable ${JSON.stringify(unfit)}, which no shell can have: expected a file for it`,
    );
  const all =
    names.length === 0 ? files : [...files, { name: variables_file, bytes: Buffer.from(exported(variables)) }];
  writeSecrets(all, secretsOutside(paths), { folder: 0o755, file: 0o444 });
  // An archive may have brought something of that name, a link even, and the engine would bind through it.
  forgetSecrets(paths.sandbox);
  mkdirSync(join(paths.sandbox, secrets_folder), { mode: 0o700 });
}

export function forgetInside(paths: Paths): void {
  removeTree(secretsOutside(paths));
}
