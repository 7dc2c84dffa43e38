// agent-terms.ts: on which terms an agent of this machine works, as its settings say it.

import type { LocalMesosOptions } from '../mesos/local/index.ts';
import type { AgentSettings } from '../transport/cli/agent-settings.ts';
import { engineOf } from './engine.ts';
import { secretsFrom } from './secrets.ts';

export function agentTerms(settings: AgentSettings) {
  return {
    retention: {
      sandboxes_max: settings.sandboxes_max,
      age_ms_max: settings.sandbox_days * 86_400_000,
      free_part_min: settings.sandbox_free_percent / 100,
      look_ms: settings.sandbox_look_ms,
      swept_max: settings.swept_max,
    },
    limits: {
      limits: settings.limits,
      cpu_hard: settings.cpu_hard_limit,
      usage_ms: settings.usage_interval_ms,
      disk_ms: settings.disk_interval_ms,
      points_max: settings.usage_points_max,
      ended_max: settings.usage_ended_max,
    },
    fetch: {
      bytes_max: settings.fetch_mb_max * 2 ** 20,
      unpacked_bytes_max: settings.fetch_unpacked_mb_max * 2 ** 20,
      files_max: settings.fetch_files_max,
      at_once_max: settings.fetches_at_once_max,
      cache_bytes_max: settings.fetch_cache_mb * 2 ** 20,
    },
    ...secretsFrom(settings),
    docker: {
      ...engineOf(settings.docker),
      engine_return_ms: settings.docker_return_ms,
      keep_ms: settings.docker_keep_minutes * 60_000,
      cpu_hard: settings.cpu_hard_limit,
    },
  } satisfies Partial<LocalMesosOptions>;
}
