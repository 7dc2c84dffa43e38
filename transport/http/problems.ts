// problems.ts: how the server says no: RFC 9457, with every problem at once.
//
// A handler that must refuse throws a Refused; whoever dispatches turns it into `application/problem+json`. It is the
// one thing thrown on purpose here: a refusal ends a request from any depth. Whatever else is thrown is a mistake of
// ours, is logged, and is answered 500 without saying what happened inside.

import { type Refusal, refusal_statuses } from '../../actors/model/reasons.ts';
import type { Problem, Result } from '../../schedules/problem.ts';

export type ProblemDocument = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly problems: readonly Problem[];
};

/** Every kind of refusal: its status, its title, and what it is named. */
const kinds = {
  malformed: [400, 'The request cannot be read'],
  'not-authenticated': [401, 'Who are you?'],
  'not-permitted': [403, 'Not permitted'],
  'foreign-host': [403, 'This server is not known by that name'],
  'foreign-origin': [403, 'A page from another origin may not do this'],
  'not-found': [404, 'There is no such thing'],
  'wrong-method': [405, 'This cannot be done to that'],
  'too-slow': [408, 'The request took too long to arrive'],
  exists: [409, 'It exists already'],
  'already-running': [409, 'A run is active'],
  'in-use': [409, 'Others need it'],
  cycle: [409, 'It would follow itself'],
  updating: [409, 'The job is being updated'],
  'not-running': [409, 'It does not run'],
  'not-awaited': [409, 'Nobody waits for word of this task'],
  'not-updating': [409, 'There is no update of which this could be asked'],
  quarantined: [409, 'The job has been put aside'],
  'version-mismatch': [412, 'Somebody changed it in the meantime'],
  'too-large': [413, 'The request body is too large'],
  'wrong-type': [415, 'The request body is of a type that is not read here'],
  'bad-range': [416, 'There is nothing in that range'],
  invalid: [422, 'The request is understood but wrong'],
  'upgrade-required': [426, 'Another protocol is spoken here'],
  'version-required': [428, 'Say which version you are changing'],
  'too-many-headers': [431, 'The request head is too large'],
  failed: [500, 'Something went wrong here'],
  'agent-refuses': [502, 'The agent that has it says no'],
  'agent-away': [502, 'The agent that has it does not answer'],
  'too-many': [503, 'Too much is waiting already'],
  'shutting-down': [503, 'The scheduler is stopping'],
  'no-leader': [503, 'No node leads at present'],
  interrupted: [503, 'It may have been done, or not'],
  behind: [503, 'This node has not caught up in time'],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;
export type RefusalKind = keyof typeof kinds;

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly kind: RefusalKind;
  readonly problems: readonly Problem[];
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    kind: RefusalKind,
    detail: string,
    problems: readonly Problem[] = [],
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.kind = kind;
    this.problems = problems;
    this.headers = headers;
  }
  get status(): number {
    return kinds[this.kind][0];
  }
}

export const problem_type = 'application/problem+json';

export function problemDocument(refused: Refused): ProblemDocument {
  const [status, title] = kinds[refused.kind];
  return {
    type: `urn:horae:problem:${refused.kind}`,
    title,
    status,
    detail: refused.message,
    problems: refused.problems,
  };
}

/** A document that can be read, and is wrong: every problem in it. */
export const invalid = (problems: readonly Problem[]) => new Refused('invalid', inShort(problems), problems);

/** What a document says. Throws Refused with every problem in it. */
export function valid<T>(read: Result<T>): T {
  if (read.ok) return read.value;
  throw invalid(read.problems);
}

/** What the core refused, as it leaves the server. */
export function refusedBy(refusal: Refusal): Refused {
  // What may have been done already is not to be repeated without looking.
  const again = refusal_statuses[refusal.code] === 503 && refusal.code !== 'interrupted';
  const headers: Record<string, string> = again ? { 'retry-after': '1' } : {};
  return new Refused(refusal.code, refusal.message, refusal.problems, headers);
}

/** One sentence over several problems: the first, and how many more there are. */
export function inShort(problems: readonly Problem[]): string {
  const [first, ...rest] = problems;
  if (first === undefined) return 'it is wrong';
  const place = first.place === '' ? '' : `${first.place}: `;
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`;
  return `${place}${first.message}${more}`;
}
