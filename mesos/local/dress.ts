// dress.ts: a task's variables, given to it when it is nobody but itself.
//
// Where a task has another user, programs of the agent's user come first: the wrapper, setsid, prlimit, setpriv. With the
// task's variables around them (LD_PRELOAD above all) they would do its will as the agent's user. So they start with next to
// none, and a shell that is the task's user already reads the rest from a file that has lost its name before anything was in it.
// No pipe: the agent may die at any moment, and a task that began with half of its variables would be worse than none.

import { closeSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
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
  const unfit = Object.keys(env).find(name => !isExportable(name));
  if (unfit !== undefined)
    throw new Error(
      `variable ${JSON.stringify(unfit)} cannot be given to a task of another user: expected letters, digits and _, not beginning with a digit`,
    );
  const wardrobe = fileOf(exported(env), join(folder, 'wardrobe'));
  return {
    argv: confined(['/bin/sh', '-c', dress, 'sh', ...argv], confinement),
    env: { PATH: path_default },
    wardrobe,
  };
}

/** For reading alone, for it goes to somebody else. */
function fileOf(text: string, path: string): number {
  const written = openSync(path, 'wx', 0o600);
  let reading: number | undefined;
  try {
    try {
      reading = openSync(path, 'r');
    } finally {
      unlinkSync(path);
    }
    writeFileSync(written, text);
    return reading;
  } catch (error) {
    if (reading !== undefined) closeSync(reading);
    throw error;
  } finally {
    closeSync(written);
  }
}

/** What a shell is told that is to have these variables, and no others of a name that they have. */
export const exported = (env: Readonly<Record<string, string>>): string =>
  Object.entries(env)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join('');
/** Whether a shell can have a variable of this name. */
export const isExportable = (name: string): boolean => /^[A-Za-z_]\w*$/.test(name);
/** One word for a shell, whatever is in it. */
export const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** For `sh -c`, with a command behind it. Read as text, since a file of another's may be read on, but not opened. */
export const dress = 'eval "$(cat <&3)"; exec 3<&-; exec "$@"';
