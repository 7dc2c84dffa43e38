// url-runner.ts: `horae url-runner URL ARGS`: a program that lives at an address, run as if it lay here.
//
// It is brought once for all tasks of a machine and asked about before each run, so that whoever replaces it at its address
// need not tell anybody. What follows the address are the words of the program, untouched.

import { isAbsolute } from 'node:path';
import type { Result } from '../schedules/problem.ts';
import { readFlags } from '../transport/cli/flags.ts';
import { become } from './child.ts';
import { type Environment, type World, Wrongs } from './helper.ts';
import { fileFor, type Wanted } from './url-cache.ts';

export const url_runner_usage = `Usage: horae url-runner [FLAGS] URL [ARGS...]

Download a program, make it executable, and become it, with ARGS as its words. It is kept for all who run it on this
machine; before each run the server is asked whether it has changed (by ETag, or by date and size). When the server cannot
be reached, what is kept is run, and a line on stderr says so.

  --cache DIR      Where programs are kept; $HORAE_URL_CACHE, or /var/tmp/horae-url-runner-UID when left out. It must be
                   ours, and nobody else may write there.
  --cache-mb N     How much is kept: what was not run for longest goes first; 1024 when left out.
  --sha256 HEX     The program must have this checksum. Once it is here the server is not asked any more.
  --max-mb N       A larger program is refused; 1024 when left out.
  --timeout S      Seconds for one download; 600 when left out.
  --tries N        How often a server that does not answer is asked; 3 when left out.

The status is the program's own; 125 when it cannot be had, 126 or 127 when it cannot be started.`;

export type UrlRunner = { readonly wanted: Wanted; readonly argv: readonly string[] };

export function readUrlRunner(argv: readonly string[], env: Environment, user = process.getuid?.()): Result<UrlRunner> {
  const known = ['--cache', '--cache-mb', '--sha256', '--max-mb', '--timeout', '--tries'];
  const read = readFlags(argv, { values: known, switches: [], leading: true });
  if (!read.ok) return read;
  const { words, values } = read.value;
  const wrongs = new Wrongs();
  const [address, ...rest] = words;
  const url = address === undefined ? undefined : URL.parse(address);
  if (address === undefined) wrongs.refuse('URL', '', 'no address is given', 'horae url-runner URL ARGS');
  else if (url === null || url === undefined || !/^https?:$/.test(url.protocol))
    wrongs.refuse(
      'URL',
      address,
      `the address is "${address.slice(0, 200)}"`,
      'one that begins with http:// or https://',
    );
  const sha256 = values.get('--sha256')?.toLowerCase();
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256))
    wrongs.refuse('--sha256', sha256, `--sha256 is ${sha256.slice(0, 80)}`, '64 hexadecimal digits');
  const folder = values.get('--cache') ?? env.HORAE_URL_CACHE ?? `/var/tmp/horae-url-runner-${user ?? 'all'}`;
  if (!isAbsolute(folder)) wrongs.refuse('--cache', folder, `--cache is "${folder}"`, 'an absolute path');
  const million = 1_000_000;
  const wanted = {
    folder,
    cache_bytes_max: wrongs.whole(values, '--cache-mb', 1_024, 1, million) * million,
    bytes_max: wrongs.whole(values, '--max-mb', 1_024, 1, million) * million,
    timeout_ms: wrongs.whole(values, '--timeout', 600, 1, 86_400) * 1_000,
    tries: wrongs.whole(values, '--tries', 3, 1, 100),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
  return wrongs.or(() => ({ wanted: { ...wanted, url: url as URL }, argv: rest }));
}

export async function urlRunner({ wanted, argv }: UrlRunner, world: World): Promise<number> {
  return become(await fileFor(wanted, world), argv, world.say);
}
