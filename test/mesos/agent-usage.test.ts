// agent-usage.test.ts: what a task uses, as agents of Mesos tell it: the moment alone, which becomes a series here.

import test from 'ava';
import { agentUsage, usageIn } from '../../mesos/agent-usage.ts';
import { Series } from '../../mesos/local/limits/series.ts';
import { simulatedClock } from '../../schedules/clock.ts';

/** As a Mesos 1.12 agent tells it, with disk/du. */
const told = (executor_id: string, cpu_s: number, timestamp: number) => ({
  executor_id,
  executor_name: '',
  framework_id: 'F',
  source: '',
  statistics: {
    cpus_soft_limit: 0.1,
    cpus_system_time_secs: 0.5,
    cpus_user_time_secs: cpu_s,
    disk_limit_bytes: 16777216,
    disk_statistics: [{ limit_bytes: 16777216, used_bytes: 12619776 }],
    disk_used_bytes: 12619776,
    mem_limit_bytes: 33554432,
    mem_rss_bytes: 53514240,
    mem_soft_limit_bytes: 33554432,
    timestamp,
  },
});
const limits = { cpus: 0.1, mem_bytes: 33554432, disk_bytes: 16777216 };

test('what a Mesos agent tells of the moment becomes a series for as long as somebody looks', async t => {
  const clock = simulatedClock(1_000_000);
  const asked: string[] = [];
  const ask = async (agent_id: string, path: string) => {
    asked.push(`${agent_id} ${path}`);
    const body = Buffer.from(JSON.stringify([told('other', 9, 1), told('a b', asked.length, asked.length * 10)]));
    return { status: 200, headers: {}, body };
  };
  const usages = agentUsage({ ask }, clock);
  t.deepEqual((await usages.of('S1', 'a b'))?.points.length, 1);
  await usages.of('S1', 'a b');
  t.deepEqual(asked, ['S1 /monitor/statistics?executor_id=a%20b'], 'not more often than once a second');
  clock.advanceTo(1_001_000);
  t.deepEqual(await usages.of('S1', 'a b'), {
    since: 'watched',
    limits,
    points: [1, 2].map(n => ({ at: n * 10_000, cpu_s: n + 0.5, rss_bytes: 53514240, disk_bytes: 12619776 })),
  });
  t.is(await usages.of('S1', 'gone'), undefined);
});

test('an answer that makes no sense is as good as none', t => {
  for (const text of ['', 'x', '{}', '[null]', '[1]', '[{"executor_id":"t"}]', '[{"executor_id":"t","statistics":{}}]'])
    t.is(usageIn(text, 't', new Series(4)), undefined, text);
});
