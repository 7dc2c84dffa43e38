// revocable.test.ts: what is lent goes to those who do not mind, whole names of it, and to nobody else.

import test from 'ava';
import { hostsOf } from '../../mesos/hosts.ts';
import { type LaunchPlan, match } from '../../mesos/match.ts';
import type { Offer, Resource } from '../../mesos/protocol.ts';

const scalar = (name: string, value: number, more: Partial<Resource> = {}): Resource => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  ...more,
});
const lent = (name: string, value: number) => scalar(name, value, { revocable: {} });
const offer = (agent: string, ...resources: Resource[]): Offer => ({
  id: { value: `O-${agent}` },
  framework_id: { value: 'f' },
  agent_id: { value: agent },
  hostname: agent,
  resources,
});
const plan = (task_id: string, more: Partial<LaunchPlan> = {}): LaunchPlan => ({
  task_id,
  name: 't',
  group: task_id,
  resources: { cpus: 1, mem: 100, disk: 0 },
  ports: [],
  executor: { cpus: 0.5, mem: 10, disk: 0 },
  constraints: [],
  command: {},
  kill_grace_ms: 0,
  labels: {},
  ...more,
});
const amounts = (resources: readonly Resource[]) =>
  resources.map(({ name, scalar, revocable }) => `${name} ${scalar?.value}${revocable === undefined ? '' : ' lent'}`);
const lender = offer('S0', scalar('cpus', 1), scalar('mem', 500), lent('cpus', 4));

test('work that minds is not given what is lent', t => {
  const { placements, why } = match(hostsOf([lender]), [plan('a')]);
  t.deepEqual(placements, []);
  const reason = why.get('a');
  t.like(reason?.code === 'no-fit' && reason.short.cpus, { needs: 1.5, nearest: { has: 1 } });
});

test('work that does not mind takes what is lent, for its executor too, and the rest as its own', t => {
  const { placements } = match(
    hostsOf([lender]),
    [1, 2, 3].map(n => plan(`t${n}`, { revocable: true })),
  );
  t.deepEqual(
    placements.map(({ plan }) => plan.task_id),
    ['t1', 't2'],
    'a third would need half of what is lent and half of its own, which Mesos refuses',
  );
  for (const { resources, executor_resources } of placements) {
    t.deepEqual(amounts(resources), ['cpus 1 lent', 'mem 100']);
    t.deepEqual(amounts(executor_resources), ['cpus 0.5 lent', 'mem 10']);
  }
});

test('work that does not mind goes elsewhere when nothing is lent, or the rest is not there', t => {
  const poor = offer('S1', scalar('mem', 50), lent('cpus', 4));
  const plain = offer('S2', scalar('cpus', 4), scalar('mem', 500));
  const { placements } = match(hostsOf([poor, plain]), [plan('a', { revocable: true })]);
  t.deepEqual(
    placements.map(({ agent_id, resources }) => [agent_id, ...amounts(resources)]),
    [['S2', 'cpus 1', 'mem 100']],
  );
});

test('a host that lends keeps its own for those who mind', t => {
  const both = offer('S0', scalar('cpus', 1.5), scalar('mem', 500), lent('cpus', 2));
  const { placements } = match(hostsOf([both]), [plan('a', { revocable: true }), plan('b')]);
  t.deepEqual(
    placements.map(({ plan, resources }) => [plan.task_id, ...amounts(resources)]),
    [
      ['a', 'cpus 1 lent', 'mem 100'],
      ['b', 'cpus 1', 'mem 100'],
    ],
  );
});
