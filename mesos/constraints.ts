// constraints.ts: which agents will do, said in terms of their attributes.
//
// The three operators are Chronos's and mean what they mean there: EQUALS wants exactly this text, LIKE a regular expression
// that matches the whole value, UNLIKE one that does not. An agent that lacks the attribute satisfies none of them, UNLIKE
// included: what is not known is not promised. `hostname` is an attribute of every agent, unless it has one of its own.

import { RE2JS, RE2JSException } from 're2js';
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
  const read = readPattern(value);
  if (typeof read === 'string')
    return bad({
      place: `/constraints/${attribute}`,
      value,
      message: `"${value.slice(0, 80)}" in ${attribute} ${operator} is not a regular expression that is taken: ${read}`,
      expected: 'a regular expression of RE2, such as rack-[1-3]',
    });
  return good(attributes => {
    const present = attributes.get(attribute);
    if (present === undefined) return false;
    const values = present.map(matchableValues);
    // A range of numbers has no text to match: such an attribute neither is nor is not like anything.
    if (values.some(items => items === undefined)) return false;
    // What is too long to be held to a pattern is not promised to be unlike it either.
    if (values.some(items => items!.some(item => item.length > value_length_max))) return false;
    const alike = values.some(items => items!.some(item => matches(read, item)));
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

// --- patterns of strangers ----------------------------------------------------------------------------------------

// Whoever submits a job writes patterns that run in the scheduler's own thread, over every host. JavaScript's engine may
// take for ever over `(a+)+$`; this one takes time in proportion to the pattern's program and to the text. So both have a
// bound, and each answer is remembered, since hosts are asked about again in every round.

/** Instructions of a pattern's program. */
const program_size_max = 1_000;
/** Patterns with counted repetitions grow when they are compiled; longer ones with such are not tried. */
const repeating_length_max = 256;
const value_length_max = 1_024;
/** Patterns and answers remembered; then all are forgotten. */
const patterns_max = 10_000;
const answers_max = 200_000;

type Pattern = { readonly regex: RE2JS; readonly answers: Map<string, boolean> };
const patterns = new Map<string, Pattern | string>();
let answer_count = 0;

/** A pattern that can be asked, or what is wrong with it. */
function readPattern(text: string): Pattern | string {
  const known = patterns.get(text);
  if (known !== undefined) return known;
  if (patterns.size >= patterns_max) patterns.clear();
  const read = compiled(text);
  patterns.set(text, read);
  return read;
}

function compiled(text: string): Pattern | string {
  if (text.length > repeating_length_max && text.includes('{'))
    return `it has ${text.length} characters and a counted repetition; with one it may have ${repeating_length_max}`;
  try {
    const regex = RE2JS.compile(text);
    const size = regex.programSize();
    if (size > program_size_max) return `its program has ${size} steps, and may have ${program_size_max}`;
    return { regex, answers: new Map() };
  } catch (error) {
    if (error instanceof RE2JSException) return error.message;
    throw error;
  }
}

function matches({ regex, answers }: Pattern, value: string): boolean {
  const known = answers.get(value);
  if (known !== undefined) return known;
  if (answer_count >= answers_max) {
    patterns.clear();
    answer_count = 0;
  }
  const alike = regex.testExact(value);
  answers.set(value, alike);
  answer_count++;
  return alike;
}
