// telling.test.ts: the whole scheduler on the seeded runtime: what happens to jobs, and which letters people get of it.

import test from 'ava';
import { type Delivery, type Letter, notice_events, type SentLetter } from '../../actors/model/notices.ts';
import type { NoticesSettings } from '../../actors/tree.ts';
import { job, tree_settings, type World, type WorldOptions, world } from '../support/world.ts';
import { limits } from './office.ts';

const rules: NoticesSettings = {
  ...limits,
  standing: ['mail', 'slack'],
  on: ['failed', 'disabled', 'deleted', 'exhausted'],
  late_after_ms: 0,
  long_running_after_ms: 0,
  pending_after_ms: 0,
  log_ms_max: 1_000,
  delivery_ms_max: 30_000,
};

const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 1; exit 0' };
const to_me = [{ on: [...notice_events], to: [{ channel: 'mail' as const, to: 'me@example.com' }] }];

type Told = { readonly w: World; readonly seen: Letter[]; readonly events: () => readonly string[] };

async function telling(
  options: WorldOptions & {
    readonly rules?: Partial<NoticesSettings>;
    readonly answer?: (letter: Letter, seen: number) => Promise<Delivery>;
    readonly readLog?: (agent_id: string, task_id: string) => Promise<string | undefined>;
  } = {},
): Promise<Told> {
  const seen: Letter[] = [];
  const notices = { ...rules, ...options.rules };
  const w = await world({
    ...options,
    settings: { notices, trigger: { ...tree_settings.trigger, watch: notices }, ...options.settings },
    letters: {
      deliver(letter) {
        seen.push(letter);
        return options.answer?.(letter, seen.length) ?? Promise.resolve({ type: 'delivered' });
      },
      readLog: options.readLog ?? (async () => undefined),
    },
  });
  return { w, seen, events: () => seen.flatMap(one => one.notices.map(each => each.event)) };
}

test('a run that has failed for good is told to each owner by mail and to each channel once, with all that helps', async t => {
  const { w, seen } = await telling({ readLog: async (_, task) => `${task}: no such file` });
  await w.create({
    ...base,
    command: 'sleep 1; exit 3',
    retries: 1,
    owner: 'a@example.com, b@example.com,a@example.com,',
  });
  await w.until(w.clock.now() + 60_000);
  t.deepEqual(seen.map(one => [one.channel, one.to]).sort(), [
    ['mail', 'a@example.com'],
    ['mail', 'b@example.com'],
    ['slack', ''],
  ]);
  const [letter] = seen;
  t.is(letter!.subject, "[north] [Horae] job 'www/prod/hello' failed: it exited with 3");
  t.like(letter!.notices[0], {
    event: 'failed',
    job: 'www/prod/hello',
    attempt: 2,
    attempts: 2,
    command: 'sleep 1; exit 3',
    reason: 'it exited with 3',
    log: 'www:prod:hello:1.once:0:2: no such file',
    task: 'www:prod:hello:1.once:0:2',
    facts: { errorCount: '1', errorsSinceLastSuccess: '1', retries: '1' },
  });
  t.truthy(letter!.notices[0]!.host);
  t.regex(letter!.text, /no such file$/);
  t.deepEqual(w.fatal, []);
});

test('what nobody asked for is told to nobody, and leaves no record', async t => {
  const { w, seen } = await telling();
  await w.create({ ...base, owner: 'a@example.com' });
  await w.create({ ...base, name: 'silent', command: 'sleep 1; exit 3', owner: 'a@example.com', notify: [] });
  await w.until(w.clock.now() + 120_000);
  t.deepEqual(seen, []);
  t.false(w.committed.some(one => one.kind === 'notice'));
});

test('a success is told to whoever asked for it', async t => {
  const { w, events } = await telling();
  await w.create({ ...base, notify: to_me });
  await w.until(w.clock.now() + 60_000);
  t.deepEqual(events(), ['succeeded']);
});

test('a job that is deleted is told of, with whoever did it', async t => {
  const { w, seen } = await telling();
  await w.create({ ...base, cron: '0 0 1 1 *', owner: 'a@example.com' });
  await w.submit({ type: 'delete', key: 'www/prod/hello' });
  await w.until(w.clock.now() + 10_000);
  t.like(seen[0], { subject: "[north] [Horae] job 'www/prod/hello' was deleted: by tester" });
});

test('a job that failed too often in a row is told of as disabled, and one that somebody switched off too', async t => {
  const { w, seen, events } = await telling({ rules: { on: ['disabled'], standing: ['slack'] } });
  await w.create({ ...base, command: 'sleep 1; exit 3', cron: '* * * * *', pause_on_failure: 2 });
  await w.until(w.clock.now() + 200_000);
  t.deepEqual(events(), ['disabled']);
  t.regex(seen[0]!.text, /2 runs in a row failed/);
  await w.create({ ...base, name: 'other', cron: '0 0 1 1 *' });
  await w.submit({ type: 'set-enabled', key: 'www/prod/other', enabled: false });
  await w.until(w.clock.now() + 200_000);
  t.deepEqual(events(), ['disabled', 'disabled']);
  t.regex(seen[1]!.subject, /'www\/prod\/other' is disabled: by tester/);
});

test('a job whose schedule has nothing left is told of once, when its last run has ended', async t => {
  const { w, seen, events } = await telling();
  await w.create({ ...base, owner: 'a@example.com', schedule: 'R2/2026-01-01T00:01:00Z/PT1M' });
  await w.until(Date.UTC(2026, 0, 1, 0, 2, 0, 500));
  t.deepEqual(events(), []);
  await w.until(Date.UTC(2026, 0, 1, 0, 10));
  t.deepEqual(seen.map(one => [one.channel, one.notices[0]!.event]).sort(), [
    ['mail', 'exhausted'],
    ['slack', 'exhausted'],
  ]);
  await w.crash();
  await w.until(Date.UTC(2026, 0, 1, 1, 0));
  t.is(seen.length, 2);
});

test('targets that nobody will run any more are told of as missed', async t => {
  const { w, events, seen } = await telling();
  await w.create({
    ...base,
    cron: '* * * * *',
    catch_up: { policy: 'none' },
    notify: [{ ...to_me[0]!, on: ['missed'] }],
  });
  await w.until(w.clock.now() + 90_000);
  w.scheduler.abandon();
  w.clock.advanceTo(w.clock.now() + 600_000);
  await w.crash();
  await w.until(w.clock.now() + 10_000);
  t.deepEqual(events(), ['missed']);
  t.regex(seen[0]!.text, /(9|10) targets from/);
});

test('a run that finds no place is told of as late and as stuck, once, and with what keeps it', async t => {
  const { w, seen, events } = await telling();
  await w.create({
    ...base,
    cpus: 64,
    schedule: 'R1/2026-01-01T00:01:00Z/PT1H',
    late_after_ms: 30_000,
    pending_after_ms: 60_000,
    notify: to_me,
  });
  await w.until(Date.UTC(2026, 0, 1, 0, 1, 29));
  t.deepEqual(events(), []);
  await w.until(Date.UTC(2026, 0, 1, 0, 1, 40));
  t.deepEqual(events(), ['late']);
  await w.crash();
  await w.until(Date.UTC(2026, 0, 1, 1, 0));
  t.deepEqual(events(), ['late', 'stuck-pending']);
  t.regex(seen[1]!.text, /instance 0 waits for a place since 2026-01-01T00:01:00/);
  t.regex(seen[1]!.text, /cpus/);
});

test('a start that waits for another run to end is told of as late while it waits, and not again when it begins', async t => {
  const { w, events } = await telling({
    life: () => ({ start_delay_ms: 10, duration_ms: 300_000, exit: { code: 0 }, term_ms: 5 }),
  });
  await w.create({
    ...base,
    schedule: 'R2/2026-01-01T00:01:00Z/PT1M',
    overlap: { policy: 'buffer-all' },
    late_after_ms: 60_000,
    notify: [{ ...to_me[0]!, on: ['late'] }],
  });
  await w.until(Date.UTC(2026, 0, 1, 0, 2, 59));
  t.deepEqual(events(), []);
  await w.until(Date.UTC(2026, 0, 1, 0, 3, 30));
  t.deepEqual(events(), ['late']);
  await w.crash();
  await w.until(Date.UTC(2026, 0, 1, 1, 0));
  t.deepEqual(events(), ['late']);
});

test('a run that goes on for too long is told of once, while it does', async t => {
  const { w, seen, events } = await telling({
    life: () => ({ start_delay_ms: 10, duration_ms: 300_000, exit: { code: 0 }, term_ms: 5 }),
  });
  await w.create({ ...base, long_running_after_ms: 60_000, notify: [{ ...to_me[0]!, on: ['long-running'] }] });
  await w.until(w.clock.now() + 55_000);
  t.deepEqual(events(), []);
  await w.until(w.clock.now() + 10_000);
  t.deepEqual(events(), ['long-running']);
  t.regex(seen[0]!.text, /it has been running since 2026-01-01T00:00:2/);
  await w.crash();
  await w.until(w.clock.now() + 600_000);
  t.deepEqual(events(), ['long-running']);
});

test("a Chronos job's owners hear what Chronos told, by the name they know, and nothing else", async t => {
  const { w, seen } = await telling({ rules: { on: [...notice_events], standing: ['mail'] } });
  const submit = (name: string, more: object) =>
    w.submit({
      type: 'submit',
      mode: 'upsert',
      job: job({ ...base, ...more, role: 'chronos', environment: 'default', name, owner: 'a@example.com' }),
      origin: { dialect: 'chronos', document: { name: `My ${name}`, epsilon: 'PT5M', softError: true } },
    });
  await submit('well', { cron: '* * * * *' });
  await submit('bad', { command: 'sleep 1; exit 3' });
  await w.submit({ type: 'set-enabled', key: 'chronos/default/well', enabled: false });
  await w.until(w.clock.now() + 120_000);
  await w.submit({ type: 'delete', key: 'chronos/default/well' });
  await w.until(w.clock.now() + 120_000);
  t.deepEqual(
    seen.map(one => one.subject),
    ["[north] [Horae] job 'My bad' failed: it exited with 3", "[north] [Horae] job 'My well' was deleted: by tester"],
  );
  t.like(seen[0]!.notices[0]!.facts, { epsilon: 'PT5M', softError: 'true' });
});

test('channels that hang, all of them, delay no run', async t => {
  const timed = async (answer?: () => Promise<Delivery>) => {
    const { w } = await telling(answer === undefined ? {} : { answer });
    await w.create({ ...base, command: 'sleep 1; exit 3', cron: '* * * * *', notify: to_me });
    await w.until(w.clock.now() + 1_800_000);
    return w.committed
      .filter(one => one.kind === 'finished-run')
      .map(one => (one.body as { ended_at: number }).ended_at);
  };
  const quick = await timed();
  t.true(quick.length > 25);
  t.deepEqual(await timed(() => new Promise(() => undefined)), quick);
});

test('a log that never comes holds no letter back', async t => {
  const { w, events } = await telling({ readLog: () => new Promise(() => undefined) });
  await w.create({ ...base, command: 'sleep 1; exit 3', notify: to_me });
  await w.until(w.clock.now() + 30_000);
  t.deepEqual(events(), ['failed']);
});

test("a job's own words are filled in, and a log that looks like a template is not", async t => {
  const { w, seen } = await telling({ readLog: async () => '{{owner}} $& {{nothing}}' });
  await w.create({
    ...base,
    command: 'sleep 1; exit 3',
    owner: 'x@example.com',
    notify: [{ ...to_me[0]!, subject: '{{ cluster }}: {{name}} {{event}}', text: '{{reason}}|{{log}}|{{host}}' }],
  });
  await w.until(w.clock.now() + 30_000);
  t.is(seen[0]!.subject, 'north: www/prod/hello failed');
  t.regex(seen[0]!.text, /^it exited with 3\|\{\{owner\}\} \$& \{\{nothing\}\}\|.+$/);
});

test('a storm: a thousand jobs of one owner fail at once, and he gets one letter', async t => {
  const { w, seen } = await telling({ agents: 30, rules: { gather_ms: 10_000, listed_max: 10 } });
  const created = Array.from({ length: 1_000 }, (_, n) =>
    w.scheduler.submit({
      command: {
        type: 'submit',
        mode: 'create',
        job: job({ ...base, name: `job-${n}`, command: 'sleep 1; exit 3', owner: 'a@example.com', notify: to_me }),
      },
      principal: { name: 'tester' },
      request_id: `storm-${n}`,
    }),
  );
  await w.until(w.clock.now() + 600_000);
  t.true((await Promise.all(created)).every(answer => answer.type === 'created'));
  t.is(seen.length, 1);
  t.is(seen[0]!.subject, '[north] [Horae] 1000 notices: 1000 failed');
  t.is(seen[0]!.notices.length, 10);
  t.is(seen[0]!.more, 990);
  t.true(seen[0]!.text.length < rules.text_max);
  t.deepEqual([...w.outbox.entries('notice'), ...w.outbox.entries('letter'), ...w.outbox.entries('place')], []);
});

test('a notice that nobody can make a letter of stops the telling, and nothing else', async t => {
  const { w, seen } = await telling();
  const broken = { notice: { id: 'x', event: 'failed', at: 0 }, to: [{ channel: 'slack', to: '' }] };
  w.outbox.record({ kind: 'notice', key: 'x', body: broken });
  await w.settle();
  await w.crash();
  await w.create({ ...base, command: 'sleep 1; exit 3', cron: '* * * * *', owner: 'a@example.com' });
  await w.until(w.clock.now() + 300_000);
  t.deepEqual(w.fatal, []);
  t.deepEqual([...w.scheduler.quarantined().keys()], ['notices']);
  t.is(w.committed.filter(one => one.kind === 'finished-run').length, 5);
  t.deepEqual(seen, []);
  t.like(await w.submit({ type: 'retry-letter', letter: 'any' }), { type: 'refused', code: 'quarantined' });
  // And what cannot be told is not piled up.
  t.true([...w.outbox.entries('notice')].length < 3);
});

/** A day with every sort of event in it, on a receiver that fails now and then. */
async function day(
  stall_at?: number,
  kept?: number,
): Promise<{ readonly w: World; readonly seen: Letter[]; readonly submitted: number }> {
  let n = 0;
  const { w, seen } = await telling({
    batch_changes_max: 1,
    ...(stall_at === undefined ? {} : { stall_at }),
    rules: { standing: ['mail', 'slack'], gather_ms: 500, interval_ms: 30_000 },
    answer: async () => (++n % 3 === 1 ? { type: 'failed', message: 'not now' } : { type: 'delivered' }),
  });
  const owner = 'a@example.com, b@example.com';
  await w.create({ ...base, owner, command: 'sleep 1; exit 3', retries: 1 });
  await w.create({ ...base, owner, name: 'twice', schedule: 'R2/2026-01-01T00:01:00Z/PT1M' });
  await w.create({ ...base, owner, name: 'gone', cron: '0 0 1 1 *' });
  await w.submit({ type: 'delete', key: 'www/prod/gone' });
  const submitted = w.journal.written();
  if (stall_at !== undefined) {
    // From that record on nothing becomes durable, and nothing behind it leaves.
    await w.until(w.clock.now() + 400_000);
    await w.crash(kept);
  }
  await w.until(w.clock.now() + 900_000);
  return { w, seen, submitted };
}

test('the process may die at any commit: every notice is delivered in one letter, and none under two ids', async t => {
  const whole = await day();
  const all = ['www/prod/hello failed', 'www/prod/gone deleted', 'www/prod/twice exhausted'];
  const { commits } = whole.w;
  t.true(commits.length > 30, `${commits.length} commits`);
  let crashes = 0;
  for (let n = commits.findIndex(at => at >= whole.submitted); n < commits.length - 1; n++)
    // The commit under way when the power failed is either not there, or there and nothing behind it has left.
    for (const kept of [commits[n]!, commits[n + 1]!]) {
      const { w, seen } = await day(commits[n]! + 1, kept);
      const at = `crash at record ${commits[n]}, ${kept} kept`;
      crashes += 1;
      t.deepEqual(w.fatal, [], at);
      const ids = new Map<string, Set<string>>();
      for (const letter of seen)
        for (const { event, job: of } of letter.notices) {
          const pair = `${letter.channel} ${letter.to} ${of} ${event}`;
          ids.set(pair, (ids.get(pair) ?? new Set()).add(letter.id));
        }
      t.is(ids.size, all.length * 3, `${at}: ${[...ids.keys()].join(', ')}`);
      for (const [pair, under] of ids) t.is(under.size, 1, `${at}: ${pair}`);
      const delivered = w.journal.page('sent-letter', '', 100).rows.map(row => (row.body as SentLetter).letter.id);
      t.deepEqual(delivered.sort(), [...new Set(seen.map(one => one.id))].sort(), at);
      t.deepEqual([...w.outbox.entries('letter'), ...w.outbox.entries('notice')], [], at);
    }
  t.log(`${crashes} crashes over ${commits.length} commits`);
});
