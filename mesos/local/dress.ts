// dress.ts: a task's variables, given to it when it is nobody but itself.
//
// Where a task has another user, programs of the agent's user come first: the wrapper, setsid, prlimit, setpriv. With the
// task's variables around them (LD_PRELOAD above all) they would do its will as the agent's user. So they start with next to
// none, and a shell that is the task's user already reads the rest from a file that has no name any more.

import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Confinement, confined } from './limits/users.ts';
import { path_default } from './sandbox.ts';

export type Dressed = {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** For descriptor 3 of whoever is spawned, and closed here when that is done. */
  readonly wardrobe: number | undefined;
};

/** `folder`: where nobody else may look. Throws with words for a variable that a shell cannot have. */
export function dressed(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  confinement: Confinement,
  folder: string,
): Dressed {
  if (confinement.user === undefined) return { argv: confined(argv, confinement), env, wardrobe: undefined };
  const text = exports(env);
  const path = join(folder, 'wardrobe');
  const written = openSync(path, 'wx', 0o600);
  let wardrobe: number;
  try {
    writeSync(written, text);
    wardrobe = openSync(path, 'r');
  } finally {
    closeSync(written);
    unlinkSync(path);
  }
  return {
    argv: confined(['/bin/sh', '-c', dress, 'sh', ...argv], confinement),
    env: { PATH: path_default },
    wardrobe,
  };
}

/** What a shell is told that is to have these variables, and no others of a name that they have. */
export function exports(env: Readonly<Record<string, string>>): string {
  let text = '';
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new Error(
        `variable ${JSON.stringify(name)} cannot be given to a task of another user: expected letters, digits and _, not beginning with a digit`,
      );
    text += `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`;
  }
  return text;
}

/** Read as text, since a file of another's may be read on, but not opened. */
const dress = 'eval "$(cat <&3)"; exec 3<&-; exec "$@"';
