// letter-template.ts: a job's own words for a letter: text with names in double braces that are filled in.
//
// There is no logic in it, and no name that could hold a secret: whoever may write templates learns nothing by them that he
// could not read anyway. A name that does not exist is a mistake that is told when the job is submitted.

import type { Notice } from './notices.ts';

/** Every name, with what it becomes; '' where the notice has nothing of the sort. */
export const placeholders: Readonly<Record<string, (notice: Notice, cluster: string) => string>> = {
  job: ({ job }) => job,
  name: ({ job, name }) => name ?? job,
  event: ({ event }) => event,
  reason: ({ reason }) => reason ?? '',
  command: ({ command }) => command ?? '',
  host: ({ host }) => host ?? '',
  task: ({ task }) => task ?? '',
  run: ({ run }) => run ?? '',
  attempt: ({ attempt }) => String(attempt ?? ''),
  attempts: ({ attempts }) => String(attempts ?? ''),
  owner: ({ owner }) => owner ?? '',
  at: ({ at }) => new Date(at).toISOString(),
  link: ({ link }) => link ?? '',
  log: ({ log }) => log ?? '',
  cluster: (_, cluster) => cluster,
};

const hole = /\{\{([^{}]*)\}\}/g;

/** More would make long letters of short templates: each may become a log. */
export const placeholders_max = 50;
export const namesIn = (template: string): readonly string[] =>
  [...template.matchAll(hole)].map(match => match[1]!.trim());
export const isPlaceholder = (name: string): boolean => Object.hasOwn(placeholders, name);

/** What a hole is filled with is not looked at again: a log that holds braces stays as it is. */
export const filled = (template: string, notice: Notice, cluster: string): string =>
  template.replace(hole, (whole, name: string) => placeholders[name.trim()]?.(notice, cluster) ?? whole);
