// discovery.ts: where services are, for people and balancers without ZooKeeper, and for Prometheus.

import { z } from 'zod';
import type { JobView, Views } from '../../../actors/model/views.ts';
import { permits } from '../../credentials.ts';
import { membersOf, type TargetGroup, targetGroups } from '../../discovery/members.ts';
import { type Exchange, keyOfPath, noSuchJob, problem, type Reply, type Route } from '../route.ts';

const port_query = z.string().max(64).optional().describe('Only ports of this name.');

export const discovery_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/discovery/:role/:environment/:name',
    id: 'discover',
    tag: 'discovery',
    summary: "Where a job's live instances are",
    description:
      'Instances that run, and where there is a health check are well, with their hosts and ports. One whose end is decided is gone from here before its task is told to go; one whose agent is out of reach stays while its partition policy waits for it.',
    permission: 'read',
    query: z.strictObject({ port: port_query }),
    answers: {
      200: { description: 'Its members, in the order of their numbers.', schema: 'Members' },
      404: problem('There is no such job.'),
    },
    handle: members,
  },
  {
    method: 'GET',
    path: '/api/v1/http_sd',
    id: 'httpSd',
    tag: 'discovery',
    summary: 'Every port of every live instance, for Prometheus',
    description:
      "As `http_sd_configs` wants it. Labels: `__meta_horae_job`, `_role`, `_environment`, `_name`, `_instance`, `_port`, `_task_id`, and `__meta_horae_label_<name>` for the job's own. Only of jobs whose role the sender may read.",
    permission: 'read',
    query: z.strictObject({
      port: port_query,
      role: z.string().max(64).optional().describe('Only jobs of this role.'),
    }),
    answers: { 200: { description: 'Target groups.', schema: 'TargetGroups' } },
    handle: targets,
  },
];

function members(exchange: Exchange): Reply {
  const key = keyOfPath(exchange);
  const job = exchange.services.views.job(key);
  if (job === undefined) throw noSuchJob(key);
  const { port } = exchange.query;
  const found = membersOf(job).flatMap(({ key: _, ports, ...rest }) => {
    const wanted = port === undefined ? ports : Object.hasOwn(ports, port) ? { [port]: ports[port]! } : undefined;
    return wanted === undefined ? [] : [{ ...rest, ports: wanted }];
  });
  return { status: 200, body: { job: key, members: found } };
}

function targets({ query, who, services }: Exchange): Reply {
  const body: TargetGroup[] = [];
  for (const view of allJobs(services.views)) {
    const { job } = view.record;
    if (job.ports.length === 0 || (query.role !== undefined && job.role !== query.role)) continue;
    if (permits(who, 'read', job.role)) body.push(...targetGroups(view.key, job, membersOf(view), query.port));
  }
  return { status: 200, body };
}

const page_jobs = 1_000;
function* allJobs(views: Views): Generator<JobView> {
  for (let after: string | undefined; ; ) {
    const page = views.jobs(page_jobs, after);
    yield* page;
    after = page.at(-1)?.key;
    if (page.length < page_jobs) return;
  }
}
