// behind.ts: what a container runs, put behind words that give it the secrets of its environment.
//
// An engine puts a command together out of what it is asked for and what the image says. Where something is to come first it has
// to be told the whole, so the same is done here.

import { type SecretWishes, secrets_folder } from '../secret-wishes.ts';

/** Among the secrets that are files; no secret has such a name. */
export const variables_file = '.variables';

/** `root`: what the sandbox is called in there. */
export const secretsInside = (root: string): string => `${root}/${secrets_folder}`;

/** What reads the variables in a container, as the words before whatever is to have them. */
export const withVariables = (root: string): readonly string[] => [
  '/bin/sh',
  '-c',
  `. ${secretsInside(root)}/${variables_file} && exec "$@"`,
  'sh',
];

export const hasVariables = (wishes: SecretWishes | undefined): boolean => (wishes?.variables.length ?? 0) > 0;

type Line = { readonly Entrypoint?: readonly string[] | null; readonly Cmd?: readonly string[] | null };

/** What a container is to run, with words before it; as an engine would put it together. Undefined: nothing is to run. */
export function lineBehind(words: readonly string[], wanted: Line, image: Line): Line | undefined {
  const own_program = (wanted.Entrypoint?.length ?? 0) > 0;
  const own_words = (wanted.Cmd?.length ?? 0) > 0;
  const program = own_program ? wanted.Entrypoint : image.Entrypoint;
  const rest = own_program || own_words ? wanted.Cmd : image.Cmd;
  const line = [...(program ?? []), ...(rest ?? [])];
  return line.length === 0 ? undefined : { Entrypoint: words, Cmd: line };
}
