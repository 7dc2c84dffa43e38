// offer-constraints.ts: from which agents a framework wants offers at all.
//
// A group of constraints is satisfied when all of them are, a role when one of its groups is; a role without groups takes
// every agent. Expressions are JavaScript's here and RE2's in Mesos, which differ where hardly anybody goes.

import type { AttributePredicate, AttributeSelector, OfferConstraints } from '../protocol.ts';
import type { AgentInfo } from './messages.ts';

export function satisfies(constraints: OfferConstraints | undefined, role: string, agent: AgentInfo): boolean {
  const groups = constraints?.role_constraints?.[role]?.groups ?? [];
  return (
    groups.length === 0 ||
    groups.some(({ attribute_constraints }) =>
      attribute_constraints.every(({ selector, predicate }) => holds(predicate, selected(selector, agent))),
    )
  );
}

/** A text; `other` for a value that is none; undefined when there is nothing. */
type Selected = { readonly text: string } | 'other' | undefined;

function selected(selector: AttributeSelector, agent: AgentInfo): Selected {
  if (!('attribute_name' in selector))
    return selector.pseudoattribute_type === 'HOSTNAME' ? { text: agent.hostname } : undefined; // No regions, no zones.
  const attribute = agent.attributes?.find(({ name }) => name === selector.attribute_name);
  if (attribute === undefined) return undefined;
  return attribute.text === undefined ? 'other' : { text: attribute.text.value };
}

/** What is said of texts is true of everything that is none. */
function holds(predicate: AttributePredicate, value: Selected): boolean {
  if ('exists' in predicate) return value !== undefined;
  if ('not_exists' in predicate) return value === undefined;
  if ('text_equals' in predicate)
    return value !== undefined && (value === 'other' || value.text === predicate.text_equals.value);
  if ('text_not_equals' in predicate)
    return value === undefined || value === 'other' || value.text !== predicate.text_not_equals.value;
  if ('text_matches' in predicate)
    return value !== undefined && (value === 'other' || whole(predicate.text_matches.regex).test(value.text));
  return value === undefined || value === 'other' || !whole(predicate.text_not_matches.regex).test(value.text);
}

const whole = (regex: string) => new RegExp(`^(?:${regex})$`);

/** Why constraints cannot be kept; undefined when they can. They come as they were written, so nothing is sure yet. */
export function wrongConstraints(constraints: unknown): string | undefined {
  const invalid = (why: string) => `Offer constraints are not valid: ${why}`;
  for (const role of Object.values(fieldsOf(fieldsOf(constraints).role_constraints))) {
    const { groups = [] } = fieldsOf(role);
    if (!Array.isArray(groups)) return invalid('`groups` is no list');
    for (const group of groups) {
      const list = fieldsOf(group).attribute_constraints;
      if (!Array.isArray(list) || list.length === 0)
        return invalid('`OfferConstraints::RoleConstraints::Group` is empty');
      for (const constraint of list) {
        const { selector, predicate } = fieldsOf(constraint);
        const selected = Object.entries(fieldsOf(selector));
        if (selected.length !== 1 || typeof selected[0]![1] !== 'string')
          return invalid('exactly one of `AttributeConstraint::Selector::selector` must be set');
        const [name, operand] = Object.entries(fieldsOf(predicate))[0] ?? [];
        const wanted = operands.get(name ?? '');
        if (wanted === undefined || Object.keys(fieldsOf(predicate)).length !== 1)
          return invalid('exactly one of `AttributeConstraint::Predicate::predicate` must be set');
        const text = fieldsOf(operand)[wanted];
        if (wanted !== '' && typeof text !== 'string') return invalid(`\`${name}\` needs a \`${wanted}\``);
        if (wanted === 'regex' && !isExpression(String(text))) return invalid(`'${text}' is no regular expression`);
      }
    }
  }
  return undefined;
}

/** What each predicate brings along. */
const operands: ReadonlyMap<string, '' | 'value' | 'regex'> = new Map([
  ['exists', ''],
  ['not_exists', ''],
  ['text_equals', 'value'],
  ['text_not_equals', 'value'],
  ['text_matches', 'regex'],
  ['text_not_matches', 'regex'],
]);

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

function isExpression(regex: string): boolean {
  try {
    whole(regex);
    return true;
  } catch {
    return false;
  }
}
