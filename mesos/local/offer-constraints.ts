// offer-constraints.ts: from which agents a framework wants offers at all.
//
// A group of constraints is satisfied when all of them are, a role when one of its groups is; a role without groups takes
// every agent. Expressions are JavaScript's here and RE2's in Mesos, which differ where hardly anybody goes.

import type { AttributePredicate, AttributeSelector, OfferConstraints } from '../protocol.ts';
import type { AgentInfo } from './messages.ts';

export function satisfies(constraints: OfferConstraints | undefined, role: string, agent: AgentInfo): boolean {
  const groups = constraints?.role_constraints[role]?.groups ?? [];
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

/** Why constraints cannot be kept; undefined when they can. */
export function wrongConstraints(constraints: OfferConstraints | undefined): string | undefined {
  for (const { groups = [] } of Object.values(constraints?.role_constraints ?? {}))
    for (const { attribute_constraints = [] } of groups)
      for (const { selector, predicate } of attribute_constraints) {
        if (selector === undefined || Object.keys(selector).length !== 1)
          return 'Offer constraints are not valid: exactly one of `AttributeConstraint::Selector::selector` must be set';
        if (predicate === undefined || Object.keys(predicate).length !== 1)
          return 'Offer constraints are not valid: exactly one of `AttributeConstraint::Predicate::predicate` must be set';
        const regex =
          'text_matches' in predicate
            ? predicate.text_matches.regex
            : 'text_not_matches' in predicate
              ? predicate.text_not_matches.regex
              : '';
        try {
          whole(regex);
        } catch {
          return `Offer constraints are not valid: '${regex}' is no regular expression`;
        }
      }
  return undefined;
}
