// secrets.ts: secrets that a job refers to by name. What they are is never in the job, nor anywhere in Horae's memory of it.
//
// A name is looked up under the job's role, so that whoever may write the jobs of one role reaches the secrets of no other.

import { z } from 'zod';
import type { Problem } from '../../schedules/problem.ts';

const secrets_max = 64;
const name = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** What we, Mesos or a shell say by it. */
const not_theirs = /^(?:(?:HORAE|MESOS|mesos|PORT|LIBPROCESS)_.*|_|OLDPWD|SHLVL)$/;
const words = 'expected letters, digits, "_", "." and "-", beginning with a letter, a digit or "_"';

export const secrets_field = z
  .array(
    z.strictObject({
      name: z.string().regex(name, words).describe("Which of the role's secrets: looked up as ROLE/NAME."),
      env: z
        .string()
        .max(256)
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected letters, digits and "_", not beginning with a digit')
        .optional()
        .describe('The variable of the environment that it becomes, without a line end after it.'),
      file: z
        .string()
        .regex(name, words)
        .optional()
        .describe(
          'The file that it becomes, mode 0400 (0444 in a container), at `$MESOS_SANDBOX/.secrets/FILE`; gone when the task ends.',
        ),
    }),
  )
  .max(secrets_max)
  .describe('Secrets by reference, got by the agent when the task begins: each becomes a variable or a file.');

export type SecretReference = { readonly name: string; readonly env?: string; readonly file?: string };
export type SecretFields = { readonly secrets?: readonly SecretReference[] };

export function readSecrets(
  given: z.infer<typeof secrets_field> | undefined,
  job: { readonly env: Readonly<Record<string, string>> },
): { readonly fields: SecretFields; readonly problems: readonly Problem[] } {
  if (given === undefined || given.length === 0) return { fields: {}, problems: [] };
  const problems: Problem[] = [];
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place: `/secrets${place}`, value, message, expected });
  const taken = new Set<string>();
  for (const [index, { env, file }] of given.entries()) {
    if ((env === undefined) === (file === undefined))
      wrong(`/${index}`, undefined, 'a secret becomes one thing', 'exactly one of "env" and "file"');
    const target = env === undefined ? `file ${file}` : `variable ${env}`;
    if (taken.has(target)) wrong(`/${index}`, target, `${target} is two secrets`, 'each once');
    taken.add(target);
    if (env !== undefined && (Object.hasOwn(job.env, env) || not_theirs.test(env)))
      wrong(`/${index}/env`, env, `variable ${env} is something else already`, 'a name of its own');
  }
  const fields = given.map(
    ({ name, env, file }): SecretReference => ({
      name,
      ...(env === undefined ? {} : { env }),
      ...(file === undefined ? {} : { file }),
    }),
  );
  return { fields: { secrets: fields }, problems };
}
