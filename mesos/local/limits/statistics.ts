// statistics.ts: what containers use, in the form in which a Mesos agent tells it at /monitor/statistics.
//
// Real agents tell all containers, each with what it uses now. Asked for one executor (`?executor_id=`), ours tells that one
// alone and adds its `series`, and still knows it for a while when it has ended.

import type { TaskUsage } from '../../agent-usage.ts';
import type { Series, Usage } from './series.ts';
import type { Caps, Ward } from './ward.ts';

type Kept = { readonly ward: Ward; readonly series: Series };

export function statistics(kept: Iterable<Kept>, executor_id: string | undefined): object[] {
  const told: object[] = [];
  for (const { ward, series } of kept) {
    if (executor_id !== undefined && ward.executor_id !== executor_id) continue;
    told.push({
      executor_id: ward.executor_id,
      executor_name: '',
      framework_id: ward.framework_id,
      source: ward.executor_id,
      statistics: {
        ...limitsOf(ward.caps),
        ...(series.latest === undefined ? {} : usedOf(series.latest)),
        ...(executor_id === undefined ? {} : { series: series.all() }),
      },
    });
  }
  return told;
}

/** The same for whoever is in this process. */
export function usageOf(kept: Iterable<Kept>, executor_id: string): TaskUsage | undefined {
  for (const { ward, series } of kept) {
    if (ward.executor_id !== executor_id) continue;
    const { cpus, mem_mb, disk_mb } = ward.caps;
    const limits = {
      ...(cpus === undefined ? {} : { cpus }),
      ...(mem_mb === undefined ? {} : { mem_bytes: Math.round(mem_mb * 2 ** 20) }),
      ...(disk_mb === undefined ? {} : { disk_bytes: Math.round(disk_mb * 2 ** 20) }),
    };
    return { since: 'agent', limits, points: series.all() };
  }
  return undefined;
}

const limitsOf = ({ cpus, mem_mb, disk_mb }: Caps) => ({
  ...(cpus === undefined ? {} : { cpus_soft_limit: cpus }),
  ...(mem_mb === undefined ? {} : { mem_limit_bytes: Math.round(mem_mb * 2 ** 20) }),
  ...(disk_mb === undefined ? {} : { disk_limit_bytes: Math.round(disk_mb * 2 ** 20) }),
});

/** User and system time are not told apart here: all of it stands as user time. */
const usedOf = ({ at, cpu_s, rss_bytes, disk_bytes }: Usage) => ({
  timestamp: at / 1_000,
  cpus_user_time_secs: cpu_s,
  cpus_system_time_secs: 0,
  mem_rss_bytes: rss_bytes,
  disk_used_bytes: disk_bytes,
});
