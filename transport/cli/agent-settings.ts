// agent-settings.ts: what can be set of an agent that runs processes: that of `horae dev`, and those of `horae mesos`.

import { choice, docker_form, number, type SettingsOf, text, whole, yes } from './setting.ts';

/** Under the heading `group` of whoever's `--help` it is. */
// biome-ignore format: a table: one line each, whatever its length.
export const agentSettings = (group: string) => ({
  sandboxes_max: whole({ group, unit: 'sandboxes', default: 1_000, min: 0, max: 1_000_000, help: 'Sandboxes kept of ended tasks; then the oldest go first.' }),
  sandbox_days: number({ group, unit: 'days', default: 7, min: 0, max: 3_650, help: 'How long the sandbox of an ended task is kept.' }),
  sandbox_free_percent: number({ group, unit: 'percent', default: 5, min: 0, max: 99, help: 'Part of the disk under the sandboxes that is to be free; below it sandboxes of ended tasks go, the oldest first.' }),
  sandbox_look_ms: whole({ group, unit: 'ms', default: 60_000, min: 50, max: 86_400_000, help: 'Between two looks at the free disk.' }),
  swept_max: whole({ group, unit: 'sandboxes', default: 10_000, min: 0, max: 1_000_000, help: 'Sandboxes that went and of which it is kept when and why; then the oldest rows go.' }),
  fetch_mb_max: whole({ group, unit: 'MB', default: 8_192, min: 1, max: 10_000_000, help: 'The largest file that a task may have fetched into its sandbox; what it asks for beyond that fails it.' }),
  fetch_unpacked_mb_max: whole({ group, unit: 'MB', default: 32_768, min: 1, max: 100_000_000, help: 'What one fetched archive may hold when it is unpacked; the task of a larger one fails.' }),
  fetch_files_max: whole({ group, unit: 'files', default: 1_000_000, min: 1, max: 100_000_000, help: 'Files and folders that one fetched archive may hold; the task of one with more fails.' }),
  fetches_at_once_max: whole({ group, unit: 'tasks', default: 64, min: 1, max: 10_000, help: 'Tasks whose files are fetched at a time on an agent; the others stand in line.' }),
  fetch_cache_mb: whole({ group, unit: 'MB', default: 2_048, min: 0, max: 10_000_000, help: 'What is kept of fetched files that tasks may share; beyond it goes what was wanted longest ago.' }),
  secrets_dir: text({ group, value: 'DIR', expected: 'a directory', matches: /./, help: 'Where the secrets are that tasks refer to: secret NAME of a job is the file ROLE/NAME in there, ROLE being the role of the job.' }),
  secrets_command: text({ group, value: 'COMMAND', expected: 'a program and its arguments, separated by spaces', matches: /^\S/, secret: true, help: 'A program that prints a secret, instead of a directory: run without a shell, with ROLE/NAME after its arguments.' }),
  secrets_timeout_ms: whole({ group, unit: 'ms', default: 30_000, min: 100, max: 3_600_000, help: 'How long that program may take; then the task that wanted the secret has failed.' }),
  limits: choice({ group, of: ['auto', 'sampled', 'off'], default: 'auto', help: "How the limits of tasks hold. auto: in control groups, where this machine lets us have them (root), else as sampled. sampled: memory and disk are looked at now and then, CPU is only counted. off: nothing is looked at." }),
  cpu_hard_limit: yes({ group, help: 'A task gets no more CPU time than its cpus even when nobody else wants it. Needs control groups.' }),
  usage_interval_ms: whole({ group, unit: 'ms', default: 1_000, min: 50, max: 3_600_000, help: 'Between two looks at what tasks use; longer where looking would take more than 1 % of a core.' }),
  disk_interval_ms: whole({ group, unit: 'ms', default: 5_000, min: 50, max: 3_600_000, help: 'Between two measurements of what sandboxes take; longer where measuring would take more than 1 % of a core.' }),
  usage_points_max: whole({ group, unit: 'points', default: 240, min: 2, max: 100_000, help: 'Points in the time series of what one task has used; when there would be more, every second one goes.' }),
  usage_ended_max: whole({ group, unit: 'tasks', default: 200, min: 0, max: 1_000_000, help: 'Ended tasks whose time series are kept; then the oldest go first.' }),
  docker: text({ group, value: 'ADDRESS', expected: 'a socket such as /var/run/docker.sock or unix:///run/docker.sock, or tcp://HOST:PORT', matches: docker_form, help: 'The Docker engine that runs containers. Without this, what DOCKER_HOST says, else /var/run/docker.sock.' }),
  docker_return_ms: whole({ group, unit: 'ms', default: 60_000, min: 0, max: 86_400_000, help: 'How long the engine has to come back after a container died without it; then the result counts as unknown.' }),
  docker_keep_minutes: number({ group, unit: 'minutes', default: 0, min: 0, max: 525_600, help: 'How long an ended container is kept, to be looked into; 0: it goes at once. Its sandbox stays in either case.' }),
});
export type AgentSettings = SettingsOf<ReturnType<typeof agentSettings>>;
