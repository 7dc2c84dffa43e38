// template.ts: `{{thermos.ports[http]}}` and its kin, filled in when it is known where a task runs.
//
// A letter with blanks. Which blanks there may be is known long before what goes into them, so a letter with a blank that
// nobody can fill is refused when it is handed in. `{{&x}}` stands for `{{x}}` itself, for programs that have braces of
// their own.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';

export type Bindings = {
  readonly task_id: string;
  readonly instance: number;
  readonly hostname: string;
  readonly user: string;
  readonly ports: Readonly<Record<string, number>>;
};

const variables: Readonly<Record<string, (bindings: Bindings) => string>> = {
  'thermos.task_id': ({ task_id }) => task_id,
  'thermos.user': ({ user }) => user,
  'mesos.instance': ({ instance }) => String(instance),
  'mesos.hostname': ({ hostname }) => hostname,
};
const known = [...Object.keys(variables), 'thermos.ports[NAME]'].map(name => `{{${name}}}`).join(', ');
const blank = /\{\{(&?)([^{}]*)\}\}/g;
const port = /^thermos\.ports\[([A-Za-z][A-Za-z0-9_-]{0,62})\]$/;

/** The names of all ports that a text uses. */
export function portsIn(text: string): readonly string[] {
  const names = new Set<string>();
  for (const [, quoted, name] of text.matchAll(blank)) {
    const found = quoted === '' ? port.exec(name!.trim())?.[1] : undefined;
    if (found !== undefined) names.add(found);
  }
  return [...names];
}

/** What cannot be filled in, whatever the bindings. For submissions. */
export function templateProblems(text: string, place: string): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [whole, quoted, name] of text.matchAll(blank))
    if (quoted === '' && !Object.hasOwn(variables, name!.trim()) && !port.test(name!.trim()))
      problems.push({
        place,
        value: whole,
        message: `nobody knows what ${whole} is`,
        expected: `one of ${known}; {{&x}} to write {{x}} itself`,
      });
  return problems;
}

/** The same for whoever fills it in: what stands in braces is nobody's blank. */
export const verbatim = (text: string): string => text.replace(blank, whole => `{{&${whole.slice(2)}`);

/** Fills in every blank, or tells which cannot be. */
export function bind(text: string, bindings: Bindings, place: string): Result<string> {
  const problems = [...templateProblems(text, place)];
  const bound = text.replace(blank, (whole: string, quoted: string, inner: string) => {
    const name = inner.trim();
    if (quoted !== '') return `{{${inner}}}`;
    const port_name = port.exec(name)?.[1];
    if (port_name === undefined) return Object.hasOwn(variables, name) ? variables[name]!(bindings) : whole;
    const number = Object.hasOwn(bindings.ports, port_name) ? bindings.ports[port_name] : undefined;
    if (number === undefined)
      problems.push({
        place,
        value: whole,
        message: `the task has no port "${port_name}"`,
        expected: `one of ${Object.keys(bindings.ports).join(', ') || 'no port at all'}`,
      });
    return String(number ?? whole);
  });
  return problems.length > 0 ? bad(...problems) : good(bound);
}
