// archive-name.ts: what a scheduler and an agent must agree on about the archive.

/** For CommandInfo.value of the executor, when the archive was extracted into the sandbox. No shell stays in between. */
export const archive_command = 'exec ./horae-executor/run';
