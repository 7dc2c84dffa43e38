// operations.test.ts: what the status of an operation means. (How operations are written: replay.test.ts, 25.)

import test from 'ava';
import { acknowledgeOperationCall } from '../../mesos/calls.ts';
import { fateOfOperation, type OperationFate } from '../../mesos/operations.ts';
import { type OperationState, operation_states } from '../../mesos/protocol.ts';

const table: { readonly [state in OperationState]: OperationFate } = {
  OPERATION_PENDING: 'under-way',
  OPERATION_RECOVERING: 'under-way',
  OPERATION_FINISHED: 'done',
  OPERATION_FAILED: 'refused',
  OPERATION_ERROR: 'refused',
  OPERATION_DROPPED: 'refused',
  OPERATION_UNREACHABLE: 'not-known',
  OPERATION_GONE_BY_OPERATOR: 'not-known',
  OPERATION_UNKNOWN: 'not-known',
};

for (const state of operation_states)
  test(`${state} is ${table[state]}`, t => {
    t.is(fateOfOperation({ state }), table[state]);
  });

test('a state of operations that is not known yet is not guessed at', t => {
  t.is(fateOfOperation({ state: 'OPERATION_IN_HEAVEN' as OperationState }), 'not-known');
});

test('the status of an operation is acknowledged if it has a uuid and says of which operation', t => {
  const status = { state: 'OPERATION_ERROR', operation_id: { value: 'o' } } as const;
  t.is(acknowledgeOperationCall(status), undefined);
  t.is(acknowledgeOperationCall({ state: 'OPERATION_FINISHED', uuid: { value: 'dQ==' } }), undefined);
  t.deepEqual(acknowledgeOperationCall({ ...status, uuid: { value: 'dQ==' } }), {
    type: 'ACKNOWLEDGE_OPERATION_STATUS',
    acknowledge_operation_status: { uuid: 'dQ==', operation_id: { value: 'o' } },
  });
});
