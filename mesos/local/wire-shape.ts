// wire-shape.ts: whether JSON has the shape of a message, in the words of a real Mesos when it has not.
//
// Mesos turns JSON into a protobuf before it looks at what is meant. A shape says which fields there are and what may stand
// in them; fields that it does not name pass unseen, as in a protobuf of another version.

/** What stands at a field: a primitive, or a message with its own fields; `many` of them for an array. */
export type Field = {
  readonly kind: 'string' | 'number' | 'boolean' | 'bytes' | 'message';
  readonly fields?: Shape;
  readonly required?: boolean;
  readonly many?: boolean;
  /** Left out rather than empty when nobody gave it: most messages have none of it. */
  readonly sparse?: boolean;
};
export type Shape = { readonly [name: string]: Field };

export const text: Field = { kind: 'string' };
export const number: Field = { kind: 'number' };
export const flag: Field = { kind: 'boolean' };
export const bytes: Field = { kind: 'bytes' };
export const message = (fields: Shape): Field => ({ kind: 'message', fields });
export const must = (field: Field): Field => ({ ...field, required: true });
export const many = (field: Field): Field => ({ ...field, many: true });
export const sparse = (field: Field): Field => ({ ...field, many: true, sparse: true });

export type Faults = { readonly missing: string[]; wrong: string | undefined };

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Checks an object against its shape. Arrays that were left out are there and empty, as in a protobuf. */
export function fill(
  object: Record<string, unknown>,
  shape: Shape,
  place: string,
  faults: Faults,
): Record<string, unknown> {
  const filled: Record<string, unknown> = { ...object };
  for (const [name, field] of Object.entries(shape)) {
    const value = object[name];
    const path = place === '' ? name : `${place}.${name}`;
    if (value === undefined || value === null) {
      if (field.required === true) faults.missing.push(path);
      delete filled[name];
      if (field.many === true && field.sparse !== true) filled[name] = [];
    } else if (field.many !== true) filled[name] = one(value, field, name, path, faults);
    else if (Array.isArray(value)) filled[name] = value.map(each => one(each, field, name, path, faults));
    else faults.wrong ??= `Expecting a JSON array for field '${name}'`;
  }
  return filled;
}

function one(value: unknown, field: Field, name: string, path: string, faults: Faults): unknown {
  if (field.kind === 'message') {
    if (isObject(value)) return fill(value, field.fields ?? {}, path, faults);
    faults.wrong ??= `Not expecting a JSON ${kindOf(value)} for field '${name}'`;
  } else if (field.kind === 'bytes') {
    if (typeof value === 'string') {
      const stranger = /[^A-Za-z0-9+/=]/.exec(value)?.[0];
      if (stranger !== undefined)
        faults.wrong ??= `Failed to base64 decode bytes field '${name}': Invalid character '${stranger}'`;
      else if (!isBase64(value)) faults.wrong ??= `Failed to base64 decode bytes field '${name}': Invalid length`;
    } else faults.wrong ??= `Not expecting a JSON ${kindOf(value)} for field '${name}'`;
  } else if (typeof value !== field.kind) faults.wrong ??= `Not expecting a JSON ${kindOf(value)} for field '${name}'`;
  return value;
}

const kindOf = (value: unknown) => (Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value);

function isBase64(text: string): boolean {
  try {
    atob(text);
    return true;
  } catch {
    return false;
  }
}
