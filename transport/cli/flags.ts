// flags.ts: the words and flags that follow a command which is no server: `--name value`, `--name=value`, `--switch`.

import { nearest } from '../../schedules/nearest.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';

export type Flags = {
  /** What is no flag, in order. */
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
  /** Flags that may stand several times, each with its values in order. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
};
export type Known = {
  readonly values: readonly string[];
  readonly switches: readonly string[];
  readonly lists?: readonly string[];
  /** Our flags end at the first word: what follows it belongs to somebody else's command. */
  readonly leading?: boolean;
};

/** Reads a line. `values` and `lists` take a value, `switches` take none; `--` ends the flags. */
export function readFlags(argv: readonly string[], known: Known): Result<Flags> {
  const words: string[] = [];
  const values = new Map<string, string>();
  const switches = new Set<string>();
  const lists = new Map<string, string[]>();
  const problems: Problem[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('--') && known.leading === true) {
      words.push(...argv.slice(i));
      break;
    }
    if (!word.startsWith('--')) {
      words.push(word);
      continue;
    }
    const cut = word.indexOf('=');
    const name = cut < 0 ? word : word.slice(0, cut);
    const refuse = (message: string, expected: string) =>
      problems.push({ place: name, value: word, message: `${message}: expected ${expected}`, expected });
    if (known.switches.includes(name)) {
      if (cut >= 0) refuse(`${name} has a value`, `${name} alone`);
      switches.add(name);
    } else if (known.values.includes(name) || known.lists?.includes(name) === true) {
      const value = cut < 0 ? argv[++i] : word.slice(cut + 1);
      if (value === undefined) refuse(`${name} ends the line`, 'a value after it');
      else if (known.lists?.includes(name) === true) lists.set(name, [...(lists.get(name) ?? []), value]);
      else if (values.has(name)) refuse(`${name} is given twice`, 'it once');
      else values.set(name, value);
    } else {
      const all = [...known.values, ...(known.lists ?? []), ...known.switches];
      const near = nearest(name, all);
      refuse(`unknown flag ${name}`, near ?? `one of ${all.join(', ')}`);
    }
  }
  return problems.length > 0 ? bad(...problems) : good({ words, values, switches, lists });
}
