// needs.test.ts: what Mesos is asked for, as the job document has it. (launch.ts)

import test from 'ava';
import { requirements } from '../../actors/instance/launch.ts';
import { readJob } from '../../actors/model/job.ts';

const overhead = { cpus: 0.1, mem: 32, disk: 0 };
function needs(more: object) {
  const read = readJob({ role: 'www', environment: 'prod', name: 'hello', command: 'true', ...more });
  if (!read.ok) throw new Error(read.problems.map(({ message }) => message).join('; '));
  return requirements('www/prod/hello', 1, read.value, overhead).plan;
}

test('a job that says nothing of GPUs and revocable resources asks for none', t => {
  const plan = needs({});
  t.deepEqual(plan.resources, { cpus: 0.1, mem: 128, disk: 0 });
  t.false('revocable' in plan);
  t.false('revocable' in needs({ revocable: false }));
});

test('GPUs are asked for whole, and revocable resources only by those who said so', t => {
  const plan = needs({ gpus: 2, revocable: true });
  t.is(plan.resources.gpus, 2);
  t.true(plan.revocable);
  t.throws(() => needs({ gpus: 0.5 }), { message: /gpus|whole|integer|expected/i });
});

test('what runs for ever is reckoned to last longer than what ends', t => {
  t.true(needs({ service: true }).lasts_ms! > needs({}).lasts_ms!);
});
