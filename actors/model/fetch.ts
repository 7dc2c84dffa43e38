// fetch.ts: files that a task finds in its sandbox when it begins.
//
// The agent brings them, one after the other, before anything of the task runs; one that cannot be had is a failure of the
// attempt. Where they may come from is the agent's to say: http(s) and its own files everywhere, more on a Mesos with more.

import { z } from 'zod';
import type { Problem } from '../../schedules/problem.ts';

const files_max = 256;

export const fetch_field = z
  .array(
    z.strictObject({
      uri: z
        .string()
        .min(1)
        .max(4_096)
        .describe('An http(s) address, `file:///PATH` or `/PATH` on the agent, or what else agents can fetch.'),
      extract: z
        .boolean()
        .optional()
        .describe('false: an archive (tar, tgz, tbz2, txz, gz, zip) is not unpacked. true when left out.'),
      executable: z.boolean().optional().describe('true: it is made executable, and not unpacked.'),
      cache: z
        .boolean()
        .optional()
        .describe('true: it is fetched once for all tasks of the agent; what is behind the address must not change.'),
      output_file: z
        .string()
        .min(1)
        .max(1_024)
        .optional()
        .describe("Its path in the sandbox; the last part of the address's path when left out."),
    }),
  )
  .max(files_max)
  .describe('Files and archives that the agent brings into the sandbox before the task begins.');

export type Fetched = {
  readonly uri: string;
  readonly extract: boolean;
  readonly executable: boolean;
  readonly cache: boolean;
  readonly output_file?: string;
};
export type FetchFields = { readonly fetch?: readonly Fetched[] };

export function readFetch(given: z.infer<typeof fetch_field> | undefined): {
  readonly fields: FetchFields;
  readonly problems: readonly Problem[];
} {
  if (given === undefined || given.length === 0) return { fields: {}, problems: [] };
  const fetch = given.map(({ uri, extract, executable, cache, output_file }): Fetched => {
    const named = output_file === undefined ? {} : { output_file };
    return { uri, extract: extract ?? true, executable: executable ?? false, cache: cache ?? false, ...named };
  });
  return { fields: { fetch }, problems: fetch.flatMap((each, index) => fetchProblems(each, `/fetch/${index}`)) };
}

/** What no agent could do. */
export function fetchProblems({ uri, output_file }: Fetched, place: string): readonly Problem[] {
  const problems: Problem[] = [];
  const whole = uri.startsWith('/') || (/^[A-Za-z][A-Za-z0-9+.-]*:/.test(uri) && URL.canParse(uri));
  if (!whole || /[\s\0]/.test(uri))
    problems.push({
      place: `${place}/uri`,
      value: uri,
      message: `"${uri}" cannot be fetched`,
      expected: 'an address such as https://HOST/FILE, file:///PATH, or an absolute path, without spaces',
    });
  if (output_file === undefined && whole && (uri.endsWith('/') || new URL(uri, 'file:///').pathname === '/'))
    problems.push({
      place: `${place}/output_file`,
      value: output_file,
      message: `"${uri}" does not say what the file is to be called`,
      expected: 'an output_file',
    });
  if (output_file !== undefined && !staysInSandbox(output_file))
    problems.push({
      place: `${place}/output_file`,
      value: output_file,
      message: `output_file "${output_file}" leaves the sandbox`,
      expected: 'a relative path without ".."',
    });
  return problems;
}

/** A path of a file in a sandbox, by its words. */
export const staysInSandbox = (path: string): boolean =>
  path !== '' && path !== '.' && !path.startsWith('/') && !path.includes('\0') && !path.split('/').includes('..');

/** As Mesos is told it. */
export const urisOf = (fetch: readonly Fetched[]) => fetch.map(({ uri, ...how }) => ({ value: uri, ...how }));
