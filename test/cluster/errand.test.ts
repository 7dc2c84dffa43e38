// errand.test.ts: a command is done once, whichever node is asked, and whatever becomes of the leader on the way.

import test, { type ExecutionContext } from 'ava';
import type { Answer, CommandEnvelope } from '../../actors/model/commands.ts';
import { readJob } from '../../actors/model/job.ts';
import { systemClock } from '../../schedules/clock.ts';
import { type Brought, createDesk, type Desk, type DeskOptions } from '../../transport/cluster/desk.ts';
import { createErrands, type ErrandOptions, not_leading } from '../../transport/cluster/errand.ts';
import { Refused } from '../../transport/http/problems.ts';
import { type Core, createCore } from '../http/support/core.ts';
import { until } from '../support/until.ts';
import { long_ms, openDoorAt, openLine, openRelay } from './pair.ts';

const clock = systemClock();
const create = (request_id: string, name = 'hello'): CommandEnvelope => {
  const read = readJob({ role: 'www', environment: 'prod', name, command: 'true' });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return { command: { type: 'submit', mode: 'create', job: read.value }, principal: { name: 'ann' }, request_id };
};
/** Commands that had an effect, by the record that each leaves. */
const rows = (core: Core) =>
  core.history.page('audit', '', 100).rows.map(row => (row.body as { result: string }).result);

const deskOf = (core: Core, more: Partial<DeskOptions> = {}): Desk =>
  createDesk({
    submit: core.submit,
    position: () => core.views.position(),
    confirm: async () => undefined,
    history: core.history,
    caught_up: Promise.resolve(),
    pending: { keys: () => [], why: () => undefined },
    quarantined: () => new Map(),
    ...more,
  });
/** What a node answers to another. */
const answering = (desk: () => Desk | undefined) => async (method: string, body: unknown) => {
  const own = desk();
  if (own === undefined) return not_leading;
  return method === 'command' ? own.command(body as Brought) : own.position();
};
const errandsOf = (line: ErrandOptions['line'], more: Partial<ErrandOptions> = {}) =>
  createErrands({ desk: () => undefined, line, reached: async () => true, wait_ms: long_ms, clock, ...more });

async function pair(
  t: ExecutionContext,
  options: { readonly core?: Core; readonly desk?: () => Desk | undefined } = {},
) {
  const core = options.core ?? createCore(clock.now);
  const desk = deskOf(core);
  const leader = await openDoorAt(t, answering(options.desk ?? (() => desk)));
  const relay = await openRelay(t, leader.port);
  const { line } = openLine(t);
  line.to({ id: 'callee', url: relay.url });
  return { core, leader, relay, line };
}

test('a command that a standby is given is done by the leader, under the name of whoever sent it', async t => {
  const { core, line } = await pair(t);
  const reached: number[] = [];
  const errands = errandsOf(line, {
    async reached(position) {
      reached.push(position);
      return true;
    },
  });
  const answer = await errands.submit(create('r1'));
  t.deepEqual(answer, { type: 'created', key: 'www/prod/hello', version: 1 });
  t.is(core.asked[0]!.principal.name, 'ann');
  // It comes home when what it did can be read here.
  t.deepEqual(reached, [core.views.position()]);
  t.like(await errands.submit(create('r2')), { type: 'refused', code: 'exists' });
});

test('a command on a wire that breaks again and again is done once, and its answer arrives', async t => {
  const core = createCore(clock.now);
  const held = Promise.withResolvers<void>();
  core.hold = held.promise;
  const { relay, line } = await pair(t, { core });
  const answer = errandsOf(line).submit(create('r1'));
  for (let n = 1; n <= 3; n++) {
    await until('the command to be on its way', () => core.asked.length === 1 && relay.sent.length >= n);
    relay.cut();
  }
  held.resolve();
  t.deepEqual(await answer, { type: 'created', key: 'www/prod/hello', version: 1 });
  t.is(core.asked.length, 1);
});

/** A leader that dies with a command in its hands, before or after it has done it; and its successor on the same records. */
async function succession(t: ExecutionContext, done: boolean) {
  const core = createCore(clock.now);
  const taken = Promise.withResolvers<void>();
  const first = await openDoorAt(
    t,
    async (_method, body) => {
      if (done) await core.submit((body as Brought).envelope);
      taken.resolve();
      return new Promise(() => undefined);
    },
    { id: 'first' },
  );
  const caught_up = Promise.withResolvers<void>();
  const desk = deskOf(core, { caught_up: caught_up.promise });
  const second = await openDoorAt(
    t,
    answering(() => desk),
    { id: 'second' },
  );
  const { line } = openLine(t);
  line.to({ id: 'first', url: first.url });
  const answer = errandsOf(line).submit(create('r1'));
  await taken.promise;
  first.door.close('it died');
  line.to({ id: 'second', url: second.url });
  caught_up.resolve();
  return { core, answer: await answer };
}

test('a command that a leader had done before it died is not done again, and whoever sent it is told', async t => {
  const { core, answer } = await succession(t, true);
  t.like(answer, { type: 'refused', code: 'interrupted' });
  t.regex((answer as { message: string }).message, /request r1 was done \(submit www\/prod\/hello: created\)/);
  t.deepEqual(rows(core), ['created']);
});

test('a command that a leader had not done when it died is done by its successor', async t => {
  const { core, answer } = await succession(t, false);
  t.deepEqual(answer, { type: 'created', key: 'www/prod/hello', version: 1 });
  t.deepEqual(rows(core), ['created']);
});

test('a node that is deposed with a command in its hands looks for the answer at its successor', async t => {
  const core = createCore(clock.now);
  const { line } = await pair(t, { core });
  let own: Desk | undefined = deskOf(core, {
    submit: async () => {
      own = undefined;
      return { type: 'refused', code: 'interrupted', message: 'another node leads', problems: [] } as Answer;
    },
  });
  const answer = await errandsOf(line, { desk: () => own }).submit(create('r1'));
  t.deepEqual(answer, { type: 'created', key: 'www/prod/hello', version: 1 });
  t.deepEqual(rows(core), ['created']);
});

test('a command waits while nobody leads, and is refused as surely not done when that lasts', async t => {
  const core = createCore(clock.now);
  let desk: Desk | undefined;
  const { line } = await pair(t, { core, desk: () => desk });
  await until('the line', () => line.connected());
  const refused = await errandsOf(line, { wait_ms: 200 }).submit(create('r1'));
  t.like(refused, { type: 'refused', code: 'no-leader' });
  t.is(core.asked.length, 0);
  const waiting = errandsOf(line).submit(create('r2'));
  desk = deskOf(core);
  t.like(await waiting, { type: 'created' });
  const { line: nowhere } = openLine(t);
  t.like(await errandsOf(nowhere, { wait_ms: 100 }).submit(create('r3')), { type: 'refused', code: 'no-leader' });
});

test('a command that waits for a leader is done here when this node is elected', async t => {
  const core = createCore(clock.now);
  const { line } = openLine(t);
  let own: Desk | undefined;
  const answer = errandsOf(line, { desk: () => own, wait_ms: 20_000 }).submit(create('r1'));
  const began = clock.monotonic();
  own = deskOf(core);
  t.deepEqual(await answer, { type: 'created', key: 'www/prod/hello', version: 1 });
  t.true(clock.monotonic() - began < 15_000);
});

test('a command whose leader falls silent for good is of unknown fate, and that is what is said', async t => {
  const { line, core } = await pair(t);
  core.hold = new Promise(() => undefined);
  await until('the line', () => line.connected());
  const answer = await errandsOf(line, { wait_ms: 300 }).submit(create('r1'));
  t.like(answer, { type: 'refused', code: 'interrupted' });
  t.regex((answer as { message: string }).message, /look whether it took effect, and repeat it if not/);
});

test('a node that leads itself and gets no answer out of its own journal does not wait for ever', async t => {
  const core = createCore(clock.now);
  core.hold = new Promise(() => undefined);
  const { line } = openLine(t);
  const answer = await errandsOf(line, { desk: () => deskOf(core), wait_ms: 200 }).submit(create('r1'));
  t.like(answer, { type: 'refused', code: 'interrupted' });
});

test('an answer that cannot be read at home yet is not given as if it could', async t => {
  const { line } = await pair(t);
  const answer = await errandsOf(line, { reached: async () => false }).submit(create('r1'));
  t.like(answer, { type: 'refused', code: 'interrupted' });
  t.regex((answer as { message: string }).message, /was answered \(created\), but this node cannot show it yet/);
});

test('catching up asks the leader how far it is, and waits until this node is as far', async t => {
  const { core, line } = await pair(t);
  await core.submit(create('r1'));
  let mine = 0;
  const errands = errandsOf(line, {
    async reached(position) {
      mine = position;
      return true;
    },
  });
  await errands.catchUp();
  t.is(mine, core.views.position());
  await until('the line', () => line.connected());
  const behind = errandsOf(line, { reached: async () => false, wait_ms: 150 });
  const error = await t.throwsAsync(behind.catchUp(), { instanceOf: Refused });
  t.is((error as Refused).kind, 'behind');
  t.regex((error as Refused).message, /the leader is at position \d+/);
});

test('a leader that cannot confirm that it leads tells no position', async t => {
  const core = createCore(clock.now);
  const desk = deskOf(core, {
    confirm: async () => {
      throw new Error('ZooKeeper does not say who leads');
    },
  });
  const { line } = await pair(t, { core, desk: () => desk });
  await until('the line', () => line.connected());
  const error = await t.throwsAsync(errandsOf(line, { wait_ms: 150 }).catchUp(), { instanceOf: Refused });
  t.regex((error as Refused).message, /ZooKeeper does not say who leads/);
});
