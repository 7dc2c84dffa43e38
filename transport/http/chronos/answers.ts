// answers.ts: what the routes of the dialect share: which jobs are its, how it names them, how it refuses and streams.

import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { JobKey } from '../../../actors/model/ids.ts';
import type { JobView } from '../../../actors/model/views.ts';
import { isGoing } from '../jobs.ts';
import { Refused } from '../problems.ts';
import { type Exchange, type Reply, type Services, streaming } from '../route.ts';
import { chronos_environment, chronos_role, chronosKey, chronosName } from './document.ts';

const prefix = `${chronos_role}/${chronos_environment}/`;

/** Jobs written in one go: a few milliseconds' worth. Chronos's own list was slow from a thousand jobs on. */
const jobs_per_piece = 500;

/** The jobs of this dialect, as far as they are there when their page is asked for. */
export function* pagesOf({ services: { views } }: Exchange): Generator<readonly JobView[]> {
  for (let after = prefix; ; ) {
    const ours = views.jobs(jobs_per_piece, after).filter(view => view.key.startsWith(prefix));
    yield ours.filter(view => !isGoing(view));
    if (ours.length < jobs_per_piece) return;
    after = ours.at(-1)!.key;
  }
}

/** The job that a name of the path means. */
export function jobOf(exchange: Exchange): JobView {
  const view = jobNamed(exchange, exchange.params.name ?? '');
  if (view === undefined) throw unknown(exchange);
  return view;
}

export function jobNamed({ services: { views } }: Exchange, name: string): JobView | undefined {
  const key = chronosKey(name);
  const view = key === undefined ? undefined : views.job(key);
  return view === undefined || isGoing(view) ? undefined : view;
}

export const unknown = ({ params }: Exchange) =>
  new Refused('not-found', `Job '${(params.name ?? '').slice(0, 200)}' not found`);

/** Names as Chronos's clients know them, in what the core says of keys. */
export function named(refused: Refused): Refused {
  const text = (words: string) =>
    words.replaceAll(/chronos\/default\/[A-Za-z0-9_.%-]+/g, (key: JobKey) => chronosName(key));
  const problems = refused.problems.map(each => ({ ...each, message: text(each.message) }));
  return new Refused(refused.kind, text(refused.message), problems, refused.headers);
}

/** What Chronos answered 400: whatever was wrong with what the client asked for. */
const client_faults = [404, 409, 412, 422];

export function refuse(refused: Refused, { chronos }: Services): Reply {
  const status = chronos.strict && client_faults.includes(refused.status) ? 400 : refused.status;
  return {
    status,
    headers: refused.headers,
    body: { status: STATUS_CODES[status] ?? 'Error', message: refused.message },
  };
}

/** Leaves piece by piece, and between two pieces the scheduler gets its turn. */
export async function streamed(
  { request, response }: Exchange,
  type: string,
  pieces: Iterable<string>,
): Promise<typeof streaming> {
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
  if (request.method !== 'HEAD')
    for (const piece of pieces) {
      if (response.destroyed) return streaming;
      response.write(piece);
      await taken(response);
    }
  response.end();
  return streaming;
}

/** Resolves in a later turn, when the client has taken what was written or is gone. */
function taken(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    if (!response.writableNeedDrain) return void setImmediate(resolve);
    const go = () => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}
