// explain.ts: the route that tells what a schedule will do, before a job is trusted with it.

import { z } from 'zod';
import { answerQuestion, type Question, question_fields } from '../../../schedules/question.ts';
import { valid } from '../problems.ts';
import { type Exchange, problem, type Reply, type Route } from '../route.ts';

const text = (max: number, description: string) => z.string().max(max).optional().describe(description);

export const explain_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/schedules/explain',
    id: 'explainSchedule',
    tag: 'jobs',
    summary: 'What a schedule will do: its next instants, in words, and the clock changes that touch it',
    permission: 'read',
    query: z.strictObject({
      spec: z.string().max(16_384).describe(question_fields.spec),
      zone: text(64, question_fields.zone),
      from: text(64, question_fields.from),
      count: text(16, question_fields.count),
      gap: text(16, question_fields.gap),
      fold: text(16, question_fields.fold),
      day_rule: text(16, question_fields.day_rule),
      dialect: text(16, question_fields.dialect),
      job: text(200, question_fields.job),
    }),
    answers: {
      200: { description: 'What it will do.', schema: 'Explanation' },
      422: problem('It cannot be read, or will never run: every problem.'),
    },
    handle: explained,
  },
];

function explained({ query, services }: Exchange): Reply {
  const answer = answerQuestion(query as Question, services.clock.now(), services.default_zone, field => `?${field}`);
  const { text: _, ...body } = valid(answer);
  return { status: 200, body };
}
