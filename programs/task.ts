// task.ts: `horae task`: performs what its line asks for. Bytes go from the scheduler to standard output as they come, no faster
// than they are taken there.

import * as http from 'node:http';
import * as https from 'node:https';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { asksHelp } from '../transport/cli/arguments.ts';
import { refusedText } from '../transport/cli/ask.ts';
import { newestRun, printFiles, readTask, task_usage } from '../transport/cli/task.ts';
import { fail } from './refused.ts';

/** How much of what has been passed on may wait for its memory to be freed. */
const pieces_held_bytes_max = 8 * 2 ** 20;

export async function task(argv: readonly string[]): Promise<void> {
  if (argv[0] === 'exec') return (await import('./exec.ts')).exec(argv.slice(1));
  if (asksHelp(argv) || argv.length === 0) {
    console.log(task_usage);
    return;
  }
  const read = readTask(argv, process.env);
  if (!read.ok) fail(read.problems);
  const { what, job_url, rest, headers, json: as_json } = read.value;
  try {
    const run = read.value.run ?? newestRun(await json(await ask(`${job_url}/runs?limit=1`, headers)));
    if (run === undefined) throw new Refused(`${job_url.split('/').slice(-3).join('/')} has not run yet`);
    const answer = await ask(`${job_url}/runs/${encodeURIComponent(run)}/${rest}`, headers);
    if (what === 'files') {
      const body = await json(answer);
      process.stdout.write(as_json ? `${JSON.stringify(body, undefined, 2)}\n` : printFiles(body));
    } else await pipeline(answer, tidily, process.stdout, { end: false });
  } catch (error) {
    // Whoever read it has seen enough: `horae task logs ... | head`.
    if ((error as { code?: string }).code === 'EPIPE') return;
    const origin = new URL(job_url).origin;
    const why = error instanceof Error ? error.message || (error as { code?: string }).code : String(error);
    console.error(`horae: ${error instanceof Refused ? why : `no answer from ${origin}: ${why}`}`);
    process.exitCode = 1;
  }
}

/**
 * The same pieces. Each is memory outside of V8's heap, of which V8 frees nothing before there are 64 MB: it is told earlier,
 * so that whoever follows a busy log for days holds little.
 */
async function* tidily(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (how: { type: 'minor' }) => void;
  let held_bytes = 0;
  for await (const piece of pieces) {
    yield piece;
    held_bytes += piece.length;
    if (held_bytes < pieces_held_bytes_max) continue;
    held_bytes = 0;
    collect({ type: 'minor' });
  }
}

/** The scheduler's own no. */
class Refused extends Error {}

function ask(address: string, headers: Readonly<Record<string, string>>): Promise<http.IncomingMessage> {
  const url = new URL(address);
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).get(url, { agent: false, headers }, response => {
      const { statusCode: status = 0 } = response;
      if (status === 200) resolve(response);
      else
        json(response).then(
          body => reject(new Refused(refusedText(status, body))),
          () => reject(new Refused(refusedText(status, undefined))),
        );
    });
    request.on('error', reject);
  });
}
