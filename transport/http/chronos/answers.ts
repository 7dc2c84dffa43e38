// answers.ts: what the routes of the dialect share: which jobs are its, how it names them, how it refuses and streams.

import { STATUS_CODES } from 'node:http';
import type { JobKey } from '../../../actors/model/ids.ts';
import type { JobView } from '../../../actors/model/views.ts';
import { Refused } from '../problems.ts';
import type { Exchange, Reply, Services } from '../route.ts';
import { isGoing } from '../routes/jobs.ts';
import { chronos_environment, chronos_role, chronosKey, chronosName } from './document.ts';

const prefix = `${chronos_role}/${chronos_environment}/`;

/** Jobs looked up in one go. Chronos's own list was slow from a thousand jobs on. */
const jobs_per_page = 200;

/** The jobs of this dialect, as far as they are there when their page is asked for. */
export function* pagesOf({ services: { views } }: Exchange): Generator<readonly JobView[]> {
  for (let after = prefix; ; ) {
    const ours = views.jobs(jobs_per_page, after).filter(view => view.key.startsWith(prefix));
    yield ours.filter(view => !isGoing(view));
    if (ours.length < jobs_per_page) return;
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
