// task-info.test.ts: an ACCEPT as a master wants to read it. (Beside recorded ones it is laid in replay.test.ts.)

import test from 'ava';
import type { TaskDocument } from '../../mesos/executor/document.ts';
import { hostsOf } from '../../mesos/hosts.ts';
import type { Placement } from '../../mesos/match.ts';
import { match } from '../../mesos/match.ts';
import { acceptCall, byHost } from '../../mesos/task-info.ts';
import { offer, plan } from './support/offers.ts';

const terms = { framework_id: 'framework-1', refuse_seconds: 2 };
const executor = { cpus: 0.1, mem: 32, disk: 32 };
const placements = (waiting: Parameters<typeof match>[1], offers = [offer({ id: 'O1' })]): readonly Placement[] =>
  match(hostsOf(offers), waiting).placements;
const one_host = (list: readonly Placement[]) => byHost(list)[0]!;

test('a task with an executor goes out as a group of its own under the default executor, whose id is the task id', t => {
  const call = acceptCall(one_host(placements([plan('t1', { executor })])), terms);
  const allocation_info = { role: '*' };
  const scalar = (name: string, value: number) => ({
    name,
    type: 'SCALAR' as const,
    role: '*',
    allocation_info,
    scalar: { value },
  });
  t.deepEqual(call, {
    type: 'ACCEPT',
    accept: {
      offer_ids: [{ value: 'O1' }],
      operations: [
        {
          type: 'LAUNCH_GROUP',
          launch_group: {
            executor: {
              type: 'DEFAULT',
              executor_id: { value: 't1' },
              framework_id: { value: 'framework-1' },
              resources: [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 32)],
            },
            task_group: {
              tasks: [
                {
                  name: 't1',
                  task_id: { value: 't1' },
                  agent_id: { value: 'S0' },
                  resources: [scalar('cpus', 1), scalar('mem', 128)],
                  command: { shell: true, value: 'true' },
                  kill_policy: { grace_period: { nanoseconds: 3_000_000_000 } },
                },
              ],
            },
          },
        },
      ],
      filters: { refuse_seconds: 2 },
    },
  });
});

test('many placements of one host are one ACCEPT: a group each, and one LAUNCH for all that go without an executor', t => {
  const { accept } = acceptCall(
    one_host(
      placements(
        [
          plan('a'),
          plan('b', { executor }),
          plan('c'),
          plan('d', { executor, resources: { cpus: 0.1, mem: 1, disk: 0 } }),
        ],
        [offer({ cpus: 8 })],
      ),
    ),
    terms,
  );
  t.deepEqual(
    accept.operations.map(operation => {
      if (operation.type === 'LAUNCH') return operation.launch.task_infos.map(task => task.task_id.value);
      if (operation.type !== 'LAUNCH_GROUP') return operation.type;
      return operation.launch_group.task_group.tasks.map(task => task.task_id.value);
    }),
    [['b'], ['d'], ['a', 'c']],
  );
});

test('ports are told in PORT_<name>, after the environment that the plan has', t => {
  const command = { shell: true, value: 'serve', environment: { variables: [{ name: 'HORAE_ATTEMPT', value: '1' }] } };
  const { accept } = acceptCall(one_host(placements([plan('a', { command, ports: ['http', 'admin'] })])), terms);
  const [operation] = accept.operations;
  t.deepEqual(operation?.type === 'LAUNCH' && operation.launch.task_infos[0]?.command, {
    ...command,
    environment: {
      variables: [
        { name: 'HORAE_ATTEMPT', value: '1' },
        { name: 'PORT_http', value: '31000' },
        { name: 'PORT_admin', value: '31001' },
      ],
    },
  });
});

test('labels are told where there are any', t => {
  const labelled = acceptCall(one_host(placements([plan('a', { labels: { team: 'time' } })])), terms).accept
    .operations[0];
  t.deepEqual(labelled?.type === 'LAUNCH' && labelled.launch.task_infos[0]?.labels, {
    labels: [{ key: 'team', value: 'time' }],
  });
});

test('placements of two hosts do not go into one ACCEPT', t => {
  const offers = [offer({ agent: 'S0', cpus: 1 }), offer({ agent: 'S1', cpus: 1 })];
  const list = placements([plan('a'), plan('b')], offers);
  t.is(byHost(list).length, 2);
  t.throws(() => acceptCall([list[0]!, list[1]!], terms), { message: /expected placements of one host in one ACCEPT/ });
  const roles = placements([plan('a'), plan('b')], [offer({ role: 'x', cpus: 1 }), offer({ role: 'y', cpus: 1 })]);
  t.is(byHost(roles).length, 2);
  t.throws(() => acceptCall([roles[0]!, roles[1]!], terms), {
    message: /expected placements of one host in one ACCEPT/,
  });
});

test('secrets go out as references: of the command, or of the executor that tasks inherit from', t => {
  const secrets = [
    { of: 'me/db', env: 'DB' },
    { of: 'me/db', file: 'db.txt' },
  ];
  const custom = { id: 'x', command: 'run', environment: { variables: [] } };
  const processes = {
    task: {},
    instance: 0,
    user: 'me',
    archive_url: 'http://h/a.tgz',
    document: { finalization_wait_ms: 1_000 } as TaskDocument,
  };
  const secret = { type: 'REFERENCE', reference: { name: 'me/db' } };
  const volumes = [{ mode: 'RO', container_path: '.secrets/db.txt', source: { type: 'SECRET', secret } }];
  for (const more of [{}, { custom }, { processes }]) {
    const [placed] = placements([plan('t1')]);
    const placement = { ...placed!, plan: { ...placed!.plan, executor: undefined, secrets, ...more } };
    const { operations } = acceptCall([placement], terms).accept;
    const [launch] = operations;
    if (launch?.type !== 'LAUNCH') return t.fail('expected a LAUNCH');
    const [task] = launch.launch.task_infos;
    const holder = 'custom' in more || 'processes' in more ? task!.executor! : task!;
    t.deepEqual(holder.command!.environment!.variables, [{ name: 'DB', type: 'SECRET', secret }]);
    t.deepEqual(holder.container, { type: 'MESOS', volumes } as never);
    t.false(JSON.stringify(task!.data ?? '').includes('me/db'));
  }
});
