// schemas.ts: the version of each record's shape, and how older ones become the present one.
//
// All are as they were first written. Whoever changes a shape in model/records.ts raises its version here and adds the step
// from the one before; a body without a step to the present is put aside and shown, never guessed at.

import type { Schemas } from '../transport/journal/journal.ts';

export const record_schemas: Schemas = {};
