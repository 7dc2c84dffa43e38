// fields.ts: reading a JSON value field by field, and telling everything that is wrong with it.
//
// A clerk with a form: each field is asked for once, by name and kind, and what nobody asked for is refused at the end, so
// that a misspelt name never passes as a default. The executor carries no schema library, so this is all there is.

import type { Problem } from '../../schedules/problem.ts';

export type NumberKind = {
  /** Used when the field is absent. */
  readonly otherwise: number;
  readonly least: number;
  readonly most: number;
};

/** One object that is being read. Each method takes the next field; `close` complains of what is left. */
export type Fields = {
  readonly place: string;
  readonly whole: (name: string, kind: NumberKind) => number;
  readonly flag: (name: string) => boolean;
  /** `undefined` when the field is absent and may be. */
  readonly text: (name: string, rule: TextRule) => string | undefined;
  readonly oneOf: <T extends string>(name: string, words: readonly T[], otherwise?: T) => T;
  readonly list: <T>(name: string, most: number, read: (item: unknown, place: string) => T) => readonly T[];
  readonly map: <T>(name: string, read: (item: unknown, place: string) => T) => Readonly<Record<string, T>>;
  readonly object: <T>(name: string, read: (fields: Fields) => T) => T | undefined;
  /** As it is: somebody else reads it. */
  readonly any: (name: string) => unknown;
  readonly close: () => void;
};
export type TextRule = {
  readonly needed?: true;
  /** '' means something here. */
  readonly may_be_empty?: true;
  readonly bytes_max: number;
  readonly pattern?: RegExp;
  /** What would be right, in words. */
  readonly expected: string;
};

/** Begins to read `input`. What is no object reads as an empty one, with a problem. */
export function fieldsOf(input: unknown, place: string, problems: Problem[]): Fields {
  const is_object = typeof input === 'object' && input !== null && !Array.isArray(input);
  const left = new Map<string, unknown>(is_object ? Object.entries(input) : []);
  if (!is_object) wrong(problems, place, input, 'an object');
  const take = (name: string): unknown => {
    const value = left.get(name);
    left.delete(name);
    return value;
  };
  const at = (name: string | number) => `${place}/${escaped(String(name))}`;
  const fields: Fields = {
    place,
    whole(name, { otherwise, least, most }) {
      const value = take(name);
      if (value === undefined) return otherwise;
      if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
      wrong(problems, at(name), value, `a whole number from ${least} to ${most}`);
      return otherwise;
    },
    flag(name) {
      const value = take(name);
      if (value !== undefined && typeof value !== 'boolean') wrong(problems, at(name), value, 'true or false');
      return value === true;
    },
    text(name, { needed, may_be_empty, bytes_max, pattern, expected }) {
      const value = take(name);
      if (value === undefined && needed === undefined) return undefined;
      const is_text = typeof value === 'string' && (value !== '' || may_be_empty === true);
      if (is_text && !value.includes('\0') && pattern?.test(value) !== false) {
        if (Buffer.byteLength(value) <= bytes_max) return value;
        wrong(problems, at(name), value, `at most ${bytes_max} bytes`);
      } else wrong(problems, at(name), value, expected);
      return needed === undefined ? undefined : '';
    },
    oneOf(name, words, otherwise) {
      const value = take(name) ?? otherwise;
      const found = words.find(word => word === value);
      if (found === undefined) wrong(problems, at(name), value, `one of ${words.join(', ')}`);
      return found ?? words[0]!;
    },
    list(name, most, read) {
      const value = take(name);
      if (value === undefined) return [];
      if (!Array.isArray(value) || value.length > most) {
        wrong(problems, at(name), value, `a list of at most ${most}`);
        return [];
      }
      return value.map((item, index) => read(item, `${at(name)}/${index}`));
    },
    map(name, read) {
      const value = take(name);
      if (value === undefined) return {};
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        wrong(problems, at(name), value, 'an object');
        return {};
      }
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, read(item, `${at(name)}/${escaped(key)}`)]),
      );
    },
    object(name, read) {
      const value = take(name);
      return value === undefined ? undefined : read(fieldsOf(value, at(name), problems));
    },
    any: take,
    close() {
      for (const [name, value] of left)
        problems.push({
          place: at(name),
          value: brief(value),
          message: `unknown field "${name}"`,
          expected: 'no such field here',
        });
    },
  };
  return fields;
}

/** Adds the plain complaint: this stands there, that should. */
export function wrong(problems: Problem[], place: string, value: unknown, expected: string): void {
  const message =
    value === undefined ? 'a required value is missing' : `${JSON.stringify(brief(value))} will not do: ${expected}`;
  problems.push({ place, ...(value === undefined ? {} : { value: brief(value) }), message, expected });
}

const escaped = (step: string) => step.replaceAll('~', '~0').replaceAll('/', '~1');

/** A value short enough to stand in an error message. */
export function brief(value: unknown): unknown {
  if (typeof value === 'string') return value.length > 200 ? `${value.slice(0, 200)}...` : value;
  if (value === null || typeof value !== 'object') return value;
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}...` : value;
}
