// status-table.test.ts: every state with every reason, and the table of them in ARCHITECTURE.md, which is made here.
//
// A pair that is concluded otherwise than before must be written down anew: the test prints the table as it should be.

import { readFileSync } from 'node:fs';
import test from 'ava';
import { status_reasons, type TaskState, type TaskStatus, task_states } from '../../mesos/protocol.ts';
import { conclude } from '../../mesos/statuses.ts';
import { json_streams, recordsIn, unchunked } from './support/recordings.ts';

/** What follows from a state, a reason and the words of an executor that ended well or ill. */
function meaning(state: TaskState, reason: string | undefined): string {
  const { kind, cause, final, never_started, result_known } = conclude({
    task_id: { value: 't' },
    state,
    ...(reason === undefined ? {} : { reason }),
  });
  const end = final ? 'yes' : 'no';
  const ran = never_started ? 'no' : final ? 'yes' : 'perhaps';
  return `${kind} | ${cause} | ${end} | ${ran} | ${result_known ? 'yes' : 'no'}`;
}

/** A row for each thing that a state can mean, with the reasons that make it so. */
function rows(): readonly string[] {
  return task_states.flatMap(state => {
    const plain = meaning(state, undefined);
    const special = new Map<string, string[]>();
    for (const reason of status_reasons) {
      const means = meaning(state, reason);
      if (means !== plain) special.set(means, [...(special.get(means) ?? []), reason.slice('REASON_'.length)]);
    }
    const others = special.size === 0 ? 'any' : 'any other';
    return [
      ...[...special].map(([means, reasons]) => `| ${state.slice(5)} | ${reasons.join(', ')} | ${means} |`),
      `| ${state.slice(5)} | ${others} | ${plain} |`,
    ];
  });
}

for (const state of task_states)
  for (const reason of [undefined, ...status_reasons])
    test(`${state} ${reason ?? 'without a reason'} has one row in ARCHITECTURE.md`, t => {
      const text = readFileSync(new URL('../../ARCHITECTURE.md', import.meta.url), 'utf8');
      const means = meaning(state, reason);
      const listed = text.split('\n').filter(line => line.startsWith(`| ${state.slice(5)} | `));
      const name = reason?.slice('REASON_'.length);
      const own = listed.filter(line => name !== undefined && line.split(' | ')[1]!.split(', ').includes(name));
      const [row, ...more] = own.length > 0 ? own : listed.filter(line => /^any( other)?$/.test(line.split(' | ')[1]!));
      t.deepEqual(more, []);
      t.true(row?.endsWith(` | ${means} |`), `the table should be:\n${rows().join('\n')}`);
    });

test('the recordings have no reason that is not in the table', t => {
  const known = new Set<string>(status_reasons);
  const said = json_streams.flatMap(({ stream }) =>
    recordsIn(unchunked(stream.raw).body).flatMap(text => {
      const reason = (JSON.parse(text) as { update?: { status: TaskStatus } }).update?.status.reason;
      // Masters write agents under both of their names.
      return reason === undefined || known.has(reason.replace('SLAVE', 'AGENT')) ? [] : [reason];
    }),
  );
  t.deepEqual(said, []);
});

test('what a reason is called in the old API is the same in the new', t => {
  for (const state of task_states)
    for (const reason of status_reasons.filter(reason => reason.includes('_AGENT_')))
      t.is(meaning(state, reason.replace('_AGENT_', '_SLAVE_')), meaning(state, reason), `${state} ${reason}`);
});
