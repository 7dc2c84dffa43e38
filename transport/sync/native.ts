// native.ts: a directory of Horae's own documents, ROLE/ENVIRONMENT/NAME.yaml: each is what a POST of it would be.
//
// Where a file stands is its key, so role, environment and name may be left out of it; what is said must agree. Compared are
// canonical jobs: the file's by the server's own parser, the server's as it has them.

import { stringify } from 'yaml';
import { identifier, parseJobKey } from '../../actors/model/ids.ts';
import { type Job, keyOf, readJob } from '../../actors/model/job.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { readPlacedYaml } from '../http/yaml.ts';
import type { Check, Dialect } from './dialect.ts';
import { differences, type Fields, same } from './diff.ts';
import type { Found } from './plan.ts';

export function nativeDialect(check: Check): Dialect {
  return {
    layout: 'native',
    shape: 'ROLE/ENVIRONMENT/NAME.yaml',
    read(document, file) {
      const read = jobOf(document, file);
      if (!read.ok) return read;
      const { job, document: sent } = read.value;
      const checked = check(job);
      if (!checked.ok) return checked;
      const says_enabled = sent.enabled !== undefined;
      return good({
        name: keyOf(job),
        parents: job.parents ?? [],
        document: sent,
        fields: fieldsOf(job, says_enabled),
      });
    },
    owns: (file, name) => keyOfPath(file) === name,
    compare: (wanted, found) =>
      differences('enabled' in wanted.fields ? found.fields : without(found.fields, ['enabled']), wanted.fields),
    brandNew: ({ document }) => differences({}, without(document, ['role', 'environment', 'name'])),
    replacement: ({ document }, found) =>
      document.enabled !== undefined || found.fields.enabled !== false ? document : { ...document, enabled: false },
    roleOf: name => name.slice(0, name.indexOf('/')),
    write: (found, { source, keep_disabled }) =>
      found.map(({ name, document }) => {
        const { role: _role, environment: _environment, name: _name, enabled, ...rest } = document;
        const off = enabled === false ? (keep_disabled ? 'enabled: false\n' : switched_off) : '';
        return { file: `${name}.yaml`, text: `# From ${source}\n${off}${yamlText(rest)}` };
      }),
  };
}

const switched_off = '# It was switched off when this was written; "enabled: false" would keep it so.\n';

/** A job of the server's list; undefined where that is none. Its key becomes a path of files, so it is looked at. */
export function foundNative(resource: unknown): Found | undefined {
  const { key, etag, origin, job } = (resource ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof key !== 'string' || asKey(key) === undefined || typeof job !== 'object' || job === null) return undefined;
  const document = job as Fields;
  return {
    name: key,
    parents: Array.isArray(document.parents) ? document.parents.map(String) : [],
    fields: without(document, ['role', 'environment', 'name']),
    document,
    ...(typeof etag === 'string' ? { tag: etag } : {}),
    ...(typeof origin === 'string' ? { foreign: `it came by ${origin}'s dialect` } : {}),
  };
}

/** The key that a file stands for. */
const keyOfPath = (file: string) => asKey(file.replace(/\.ya?ml$/i, ''));
/** undefined for what is no key. */
function asKey(key: string): string | undefined {
  const parts = parseJobKey(key);
  return parts.ok && Object.values(parts.value).every(part => identifier.test(part)) ? key : undefined;
}

function jobOf(document: unknown, file: string): Result<{ readonly job: Job; readonly document: Fields }> {
  if (document === null || typeof document !== 'object' || Array.isArray(document))
    return bad({ place: '', message: 'there is no job in it', expected: 'fields such as "command: echo hello"' });
  const key = keyOfPath(file);
  if (key === undefined)
    return bad({
      place: '',
      value: file,
      message: `${file} names no job`,
      expected: 'letters, digits, ".", "_", "-" in role, environment and name, each beginning with a letter or a digit',
    });
  const parts = parseJobKey(key);
  if (!parts.ok) return parts;
  const problems: Problem[] = Object.entries(parts.value).flatMap(([field, value]) => {
    const said = (document as Fields)[field];
    if (said === undefined || said === value) return [];
    const message = `it says ${field} ${JSON.stringify(said)}, and stands where ${key} should`;
    return [{ place: `/${field}`, value: said, message, expected: `${value}, or the file moved` }];
  });
  if (problems.length > 0) return bad(...problems);
  const whole = { ...parts.value, ...(document as Fields) };
  const read = readJob(whole);
  return read.ok ? good({ job: read.value, document: whole }) : read;
}

/** What the server would show of it. A service is not told when to give up, so it is no field of one. */
function fieldsOf(job: Job, says_enabled: boolean): Fields {
  const left_out = ['role', 'environment', 'name'];
  if (!says_enabled) left_out.push('enabled');
  if (job.service) left_out.push('max_task_failures');
  return without(job, left_out);
}

const without = (fields: object, names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

/**
 * As a person would write it: lines are not folded, aliases are not made; older readers of YAML find the same in it. The library
 * loses spaces where a line has nothing else: a text for which that matters is in quotes, with its line ends spelled out.
 */
export function yamlText(document: Fields): string {
  const text = stringify(document, yaml_options);
  const read = readPlacedYaml(text);
  if (read.ok && same(read.value.value, document)) return text;
  return stringify(document, { ...yaml_options, blockQuote: false, defaultStringType: 'QUOTE_DOUBLE' });
}
const yaml_options = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

/** The path of a job below the API. */
export const pathOf = (name: string): string => `/api/v1/jobs/${name.split('/').map(encodeURIComponent).join('/')}`;
