// diff.ts: what is different between two documents, field by field.
//
// Pure. Objects are walked into, so that one variable of thirty is told by its name; a list is one value, since its order is part
// of what it says. Both sides are in their canonical form: an absent field is absent, whatever its default is.

export type Fields = Readonly<Record<string, unknown>>;
export type FieldChange = {
  /** A JSON pointer: `/env/PATH`. */
  readonly field: string;
  /** Absent: it was not there. */
  readonly from?: unknown;
  /** Absent: it is not to be there. */
  readonly to?: unknown;
};

/** From `before` to `after`, fields in the order of their names. */
export function differences(before: Fields, after: Fields, place = ''): readonly FieldChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap(name => {
    const [from, to] = [before[name], after[name]];
    const field = `${place}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (isObject(from) && isObject(to)) return differences(from, to, field);
    if (same(from, to)) return [];
    return [{ field, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }];
  });
}

/** Whether two values say the same; the order of an object's keys says nothing. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((each, index) => same(each, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const defined = (value: Fields) => Object.keys(value).filter(key => value[key] !== undefined);
  const keys = defined(a);
  return keys.length === defined(b).length && keys.every(key => same(a[key], b[key]));
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
