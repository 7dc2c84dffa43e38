// shapes.ts: the small shapes of which those that leave the server are made.

import { z } from 'zod';

export const instant = z.iso.datetime().describe('ISO 8601 in UTC.');
export const count = z.int().min(0);
export const links = z.record(z.string(), z.string()).describe('Paths of what belongs to it.');
export const end_reason = z.object({
  code: z.enum([
    'exited',
    'signalled',
    'killed',
    'launch-failed',
    'over-limit',
    'unhealthy',
    'lost',
    'invalid',
    'result-unknown',
    'timed-out',
    'called-back',
  ]),
  which: z.enum(['start', 'run', 'total', 'call-back']).optional().describe('The time-out that passed.'),
  limit_ms: z.number().optional().describe('How long that is.'),
  status_code: z.int().optional().describe('What was reported of an async task.'),
  exit_code: z.int().optional(),
  signal: z.string().optional(),
  by: z.string().optional(),
  message: z.string().optional(),
});
