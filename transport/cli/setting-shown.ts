// setting-shown.ts: the settings as they may be shown to somebody else.
//
// A setting whose value opens something says so in the list, and is told as set or not. Of other texts it is known that an
// address may carry a password before its host, and a key in its query: neither is shown. What was kept back is handed on,
// so that it can be taken out of whatever else is shown.

import type { Setting } from './setting.ts';
import { flagOf } from './settings-reader.ts';

export type Shown = {
  /** By flag, without its dashes. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What must be found nowhere. */
  readonly secrets: readonly string[];
};

const hidden = '(set, not shown)';
/** Before the host of an address: `user:password@`. */
const user_info = /(?<=:\/\/)[^\s/@]+@/g;
const query = /(?<=:\/\/[^\s?]*)\?[^\s,]+/g;
/** Shorter pieces of a secret are words that stand anywhere. */
const piece_characters_min = 6;

export function shownOf(
  list: { readonly [name: string]: Setting<unknown> },
  read: { readonly [name: string]: unknown },
): Shown {
  const secrets = new Set<string>();
  const masked = (text: string): string => {
    for (const found of [...text.matchAll(user_info), ...text.matchAll(query)]) addPieces(secrets, found[0]);
    return text.replace(user_info, '***@').replace(query, '?***');
  };
  const entries = Object.entries(list).map(([name, setting]): [string, unknown] => {
    const value = read[name];
    const key = flagOf(name).slice(2);
    if (setting.secret !== true) return [key, shown(value, masked)];
    for (const text of Array.isArray(value) ? value : [value]) if (typeof text === 'string') addPieces(secrets, text);
    return [key, isUnset(value) ? null : hidden];
  });
  return { settings: Object.fromEntries(entries), secrets: [...secrets].sort((a, b) => b.length - a.length) };
}

function shown(value: unknown, masked: (text: string) => string): unknown {
  if (value === undefined) return null;
  if (typeof value === 'string') return masked(value);
  return Array.isArray(value) ? value.map(each => shown(each, masked)) : value;
}

const isUnset = (value: unknown) => value === undefined || value === '' || (Array.isArray(value) && value.length === 0);

/** The same of a secret that a setting names a file of. */
export function piecesOf(text: string): readonly string[] {
  const pieces = new Set<string>();
  addPieces(pieces, text);
  return [...pieces].sort((a, b) => b.length - a.length);
}

/** The whole, and what it is put together of: a password may be told without its user, a key without its address. */
function addPieces(secrets: Set<string>, text: string): void {
  for (const piece of [text, ...text.split(/[\s:/@?&=,]+/)])
    for (const form of [piece, decoded(piece), JSON.stringify(piece).slice(1, -1)])
      if (form.length >= piece_characters_min) secrets.add(form);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Not an encoded one.
  }
}

/** A text in which nothing of that is left. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) clean = clean.replaceAll(secret, '***');
  return clean;
}

/** The words of a command line without what is secret in them, and the flags that were followed or joined by it. */
export function withoutTyped(
  list: { readonly [name: string]: Setting<unknown> },
  words: readonly string[],
  read: { readonly [name: string]: unknown },
): { readonly words: readonly string[]; readonly flags: readonly string[] } {
  const values = Object.entries(list).flatMap(([name, { secret }]) => {
    const value = read[name];
    return secret === true && typeof value === 'string' && value !== '' ? [value] : [];
  });
  const flags: string[] = [];
  const clean = words.map((word, index) => {
    const [, flag, attached] = /^(--?[^=]+)=(.*)$/s.exec(word) ?? [];
    if (flag !== undefined && values.includes(attached!)) {
      flags.push(flag);
      return `${flag}=***`;
    }
    const before = words[index - 1];
    if (before === undefined || !/^--?[^=]+$/.test(before) || !values.includes(word)) return word;
    flags.push(before);
    return '***';
  });
  return { words: clean, flags };
}
