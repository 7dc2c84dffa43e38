// constraints.ts: which agents will do, said in terms of their attributes.
//
// The three operators are Chronos's and mean what they mean there: EQUALS wants exactly this text, LIKE a regular expression
// that matches the whole value, UNLIKE one that does not. An agent that lacks the attribute satisfies none of them, UNLIKE
// included: what is not known is not promised. `hostname` is an attribute of every agent, unless it has one of its own.

import { bad, good, type Result } from '../schedules/problem.ts';
import type { Attribute } from './protocol.ts';

export const constraint_operators = ['EQUALS', 'LIKE', 'UNLIKE'] as const;
export type ConstraintOperator = (typeof constraint_operators)[number];
/** [attribute, operator, value]. */
export type Constraint = readonly [string, ConstraintOperator, string];

/** What an agent says of itself, by name. A name may occur several times. */
export type Attributes = ReadonlyMap<string, readonly Attribute[]>;

export function attributesOf(hostname: string, attributes: readonly Attribute[]): Attributes {
  const map = new Map<string, Attribute[]>();
  for (const attribute of attributes) {
    const same = map.get(attribute.name);
    if (same === undefined) map.set(attribute.name, [attribute]);
    else same.push(attribute);
  }
  if (!map.has('hostname')) map.set('hostname', [{ name: 'hostname', type: 'TEXT', text: { value: hostname } }]);
  return map;
}

/** Whether an agent with these attributes satisfies the constraint. */
export type ConstraintTest = (attributes: Attributes) => boolean;

/** Makes the test of a constraint; a problem when its regular expression cannot be read. */
export function compileConstraint([attribute, operator, value]: Constraint): Result<ConstraintTest> {
  if (operator === 'EQUALS')
    return good(attributes => (attributes.get(attribute) ?? []).some(({ text }) => text?.value === value));
  const pattern = wholeValue(value);
  if (pattern === undefined)
    return bad({
      place: `/constraints/${attribute}`,
      value,
      message: `"${value}" in ${attribute} ${operator} is not a regular expression`,
      expected: 'a regular expression, such as rack-[1-3]',
    });
  return good(attributes => {
    const present = attributes.get(attribute);
    if (present === undefined) return false;
    const values = present.map(matchableValues);
    // A range of numbers has no text to match: such an attribute neither is nor is not like anything.
    if (values.some(items => items === undefined)) return false;
    const alike = values.some(items => items!.some(item => pattern.test(item)));
    return operator === 'LIKE' ? alike : !alike;
  });
}

/** The values of an attribute as people read them, for the reason of a no. */
export const valuesOf = (attributes: Attributes, name: string): readonly string[] =>
  (attributes.get(name) ?? []).flatMap(
    attribute =>
      matchableValues(attribute) ?? (attribute.ranges?.range ?? []).map(({ begin, end }) => `${begin}-${end}`),
  );

/** The texts to which a regular expression is held; undefined for ranges. */
function matchableValues(attribute: Attribute): readonly string[] | undefined {
  if (attribute.text !== undefined) return [attribute.text.value];
  // Chronos holds the pattern to Scala's way of writing a double: 1 is "1.0".
  if (attribute.scalar !== undefined) {
    const { value } = attribute.scalar;
    return [Number.isInteger(value) ? `${value}.0` : String(value)];
  }
  return attribute.set?.item;
}

/** Compiled bare first: `a)|(b` is no expression, although it would become one inside the brackets of the anchors. */
function wholeValue(pattern: string): RegExp | undefined {
  try {
    new RegExp(pattern);
    return new RegExp(`^(?:${pattern})$`);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
