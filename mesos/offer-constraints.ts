// offer-constraints.ts: which agents a master need not offer us at all.
//
// Constraints of jobs are for us to keep, offer by offer. A fence around the whole framework is better kept by the master, which
// then offers what lies within to us and the rest to others. It is written `rack=a`, `rack!=a`, `rack~a.*` (RE2, the whole
// value), `!rack` (no such attribute) or `rack` (any); `@hostname`, `@region` and `@zone` are what Mesos itself knows of an
// agent. An agent must satisfy all. Masters before 1.11 do not know them and offer everything.

import { bad, good, type Result } from '../schedules/problem.ts';
import type { AttributePredicate, AttributeSelector, OfferConstraints } from './protocol.ts';

type AttributeConstraint = { readonly selector: AttributeSelector; readonly predicate: AttributePredicate };

/** A sign, a name, and what is asked of it. */
const written = /^(!?)(@?\w[\w.-]*)(?:(=|!=|~|!~)(.+))?$/;
const pseudo: { readonly [name: string]: 'HOSTNAME' | 'REGION' | 'ZONE' } = {
  '@hostname': 'HOSTNAME',
  '@region': 'REGION',
  '@zone': 'ZONE',
};

/** The constraint that a text says. */
export function readOfferConstraint(text: string): Result<AttributeConstraint> {
  const problem = (message: string) =>
    bad({
      place: '',
      value: text,
      message,
      expected: 'a constraint on offers, such as rack=a, rack!=a, rack~a.* or !rack',
    });
  const [, not, name = '', operator, value = ''] = written.exec(text) ?? [];
  if (name === '' || (not === '!' && operator !== undefined)) return problem(`"${text}" is no constraint on offers`);
  const pseudoattribute_type = pseudo[name];
  if (name.startsWith('@') && pseudoattribute_type === undefined)
    return problem(`"${name}" is nothing that Mesos knows of an agent: expected @hostname, @region or @zone`);
  const selector = pseudoattribute_type === undefined ? { attribute_name: name } : { pseudoattribute_type };
  return good({ selector, predicate: predicateOf(not === '!', operator, value) });
}

/** The fence around these roles; undefined when there is none. Throws for what `readOfferConstraint` would not read. */
export function offerConstraints(roles: readonly string[], texts: readonly string[]): OfferConstraints | undefined {
  if (texts.length === 0) return undefined;
  const attribute_constraints = texts.map(text => {
    const read = readOfferConstraint(text);
    if (!read.ok) throw new Error(read.problems[0]!.message);
    return read.value;
  });
  return { role_constraints: Object.fromEntries(roles.map(role => [role, { groups: [{ attribute_constraints }] }])) };
}

function predicateOf(not: boolean, operator: string | undefined, value: string): AttributePredicate {
  switch (operator) {
    case '=':
      return { text_equals: { value } };
    case '!=':
      return { text_not_equals: { value } };
    case '~':
      return { text_matches: { regex: value } };
    case '!~':
      return { text_not_matches: { regex: value } };
    default:
      return not ? { not_exists: {} } : { exists: {} };
  }
}
