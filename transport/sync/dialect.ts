// dialect.ts: what the two layouts of a directory have to say for themselves; planning and reading are the same for both.

import type { Job } from '../../actors/model/job.ts';
import type { Result } from '../../schedules/problem.ts';
import type { FieldChange, Fields } from './diff.ts';
import type { Found, Wanted } from './plan.ts';

export type Layout = 'native' | 'chronos';

export interface Dialect {
  readonly layout: Layout;
  /** The folders that job files stand in, and how deep below the directory: `ROLE/ENVIRONMENT/NAME.yaml`. */
  readonly shape: string;
  /** The job in a file, as it would be submitted. Places are JSON pointers into the file's own document. */
  readonly read: (document: unknown, file: string) => Result<Pick<Wanted, 'name' | 'parents' | 'fields' | 'document'>>;
  /** Which job a file that cannot be read is of, going by its name: the test for names of the server's jobs. */
  readonly owns: (file: string, name: string) => boolean;
  readonly compare: (wanted: Wanted, found: Found) => readonly FieldChange[];
  readonly brandNew: (wanted: Wanted) => readonly FieldChange[];
  /** What is sent for a job that is there: what is left to people stays as they left it. */
  readonly replacement: (wanted: Wanted, found: Found) => Fields;
  /** Which role a job is of; undefined where there are none. */
  readonly roleOf: (name: string) => string | undefined;
  /** Files that say what the server has. */
  readonly write: (found: readonly Found[], options: WriteOptions) => readonly WrittenFile[];
}
export type WrittenFile = { readonly file: string; readonly text: string };
export type WriteOptions = {
  /** Where it came from, for the first line. */
  readonly source: string;
  /** Jobs that are switched off say so in their files. */
  readonly keep_disabled: boolean;
};

/** Whether a job means something: what no schema can see. */
export type Check = (job: Job) => Result<void>;
