// old-chronos.ts: as much of a Chronos as a sync meets: jobs listed with every default, posted whole, moved on by runs.
//
// Written after the source of both generations. What is different between them is where it differs there: the prefix, whether one
// job can be read, PUT, which fields are known, and what is said of jobs that are not there.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Owner } from '../support/temp.ts';

type Job = Record<string, unknown>;
export type OldChronos = {
  readonly url: string;
  readonly jobs: Map<string, Job>;
  /** Every write that came, in order. */
  readonly written: { readonly method: string; readonly path: string; readonly body: Job }[];
  /** What happens before the next write is looked at. */
  meanwhile: (() => void) | undefined;
};

const defaults: Readonly<Record<2 | 3, Job>> = {
  3: {
    shell: true,
    executor: '',
    executorFlags: '',
    taskInfoData: '',
    retries: 2,
    owner: '',
    ownerName: '',
    description: '',
    successCount: 0,
    errorCount: 0,
    lastSuccess: '',
    lastError: '',
    cpus: 0.1,
    disk: 256,
    mem: 128,
    disabled: false,
    softError: false,
    dataProcessingJobType: false,
    errorsSinceLastSuccess: 0,
    fetch: [],
    uris: [],
    environmentVariables: [],
    arguments: [],
    highPriority: false,
    runAsUser: 'root',
    concurrent: false,
    constraints: [],
  },
  2: { epsilon: 'PT60S', async: false },
};
/** Of 3.x alone. */
const newer = ['concurrent', 'maxCompletionTime', 'taskInfoData'];

export async function oldChronos(t: Owner, generation: 2 | 3, first: readonly Job[] = []): Promise<OldChronos> {
  const prefix = generation === 3 ? '/v1/scheduler' : '/scheduler';
  const known = generation === 3 ? defaults[3] : { ...defaults[3], ...defaults[2] };
  const kept = (posted: Job): Job => {
    const job: Job = {};
    for (const [field, value] of Object.entries(known))
      if (generation === 3 || !newer.includes(field)) job[field] = posted[field] ?? value;
    const { container, parents } = posted as { container?: Job; parents?: string[] };
    for (const field of ['cpus', 'mem', 'disk']) job[field] = Number(job[field]) || known[field];
    return {
      name: posted.name,
      command: posted.command ?? '',
      ...job,
      ...(container?.image === undefined
        ? {}
        : {
            container: {
              type: String(container.type ?? 'DOCKER').toUpperCase(),
              image: container.image,
              network: container.network ?? 'HOST',
              networkInfos: [],
              volumes: container.volumes ?? [],
              forcePullImage: container.forcePullImage ?? false,
              parameters: container.parameters ?? [],
            },
          }),
      ...(parents === undefined
        ? { schedule: started(String(posted.schedule)), scheduleTimeZone: posted.scheduleTimeZone ?? '' }
        : { parents }),
    };
  };
  const chronos: OldChronos = {
    url: '',
    jobs: new Map(first.map(job => [String(job.name), kept(job)])),
    written: [],
    meanwhile: undefined,
  };
  const listed = ({ fetch, uris, ...job }: Job): Job => {
    const [files, addresses] = [fetch as Job[], uris as string[]];
    return {
      ...job,
      fetch: files.length > 0 ? files : addresses.map(uri => ({ uri, executable: false, cache: false, extract: true })),
      uris: addresses.length > 0 ? addresses : files.map(({ uri }) => uri),
    };
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const say = (status: number, body?: unknown) =>
      void response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(body === undefined ? undefined : JSON.stringify(body));
    const { pathname: path, searchParams } = new URL(request.url ?? '', 'http://chronos');
    const method = request.method ?? '';
    if (!path.startsWith(prefix)) return say(404);
    const route = path.slice(prefix.length);
    const name = decodeURIComponent(/^\/job\/([^/]+)$/.exec(route)?.[1] ?? '');
    const unknown = {
      status: 'Bad Request',
      message: `java.lang.IllegalArgumentException: Job '${name}' not found\n\tat x`,
    };
    if (method !== 'GET') {
      chronos.meanwhile?.();
      chronos.meanwhile = undefined;
      const body = await text(request);
      const job = (body === '' ? {} : JSON.parse(body)) as Job;
      chronos.written.push({ method, path, body: job });
      if (method === 'DELETE') return chronos.jobs.delete(name) ? say(204) : say(400, unknown);
      const dependent = route === '/dependency';
      if (dependent !== (job.parents !== undefined)) return say(500, { message: 'Unrecognized field' });
      if (Array.isArray(job.uris) && job.uris.length > 0 && Array.isArray(job.fetch) && job.fetch.length > 0)
        return say(400, { message: `Tried to add both uri (deprecated) and fetch parameters on ${String(job.name)}` });
      const missing = ((job.parents ?? []) as string[]).filter(parent => !chronos.jobs.has(parent));
      if (missing.length > 0) return say(400, { message: 'Error, parent does not exist\n\tat com.airbnb' });
      chronos.jobs.set(String(job.name), kept(job));
      return say(204);
    }
    if (route === '/jobs') return say(200, [...chronos.jobs.values()].map(listed));
    if (route === '/jobs/search') {
      const part = searchParams.get('name') ?? '';
      return say(
        200,
        [...chronos.jobs.values()].filter(job => String(job.name).includes(part)),
      );
    }
    if (name !== '' && generation === 3) {
      const job = chronos.jobs.get(name);
      return job === undefined ? say(400, unknown) : say(200, job);
    }
    return say(404);
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(chronos, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** An empty start is the moment of the post, in the form that every start gets. */
const started = (schedule: string) => schedule.replace(/^(R\d*)\/\//, '$1/2026-01-01T00:00:00.000Z/');

/** A run: the schedule is the cursor, and the counters count. */
export function ran(job: Job): void {
  const [repeat = '', start = '', period = ''] = String(job.schedule).split('/');
  const left = /^R(\d+)$/.exec(repeat)?.[1];
  const next = new Date(Date.parse(start) + 86_400_000).toISOString();
  job.schedule = `R${left === undefined ? '' : Number(left) - 1}/${next}/${period}`;
  job.successCount = Number(job.successCount) + 1;
  job.lastSuccess = next;
}
