// cassandra.ts: history in Cassandra, out of the settings. Nothing of it is loaded where nobody asks for it.

import type { Views } from '../actors/model/views.ts';
import type { Exporter } from '../transport/cassandra/exporter.ts';
import type { History } from '../transport/journal/journal.ts';
import { oneLine } from './refused.ts';
import type { Ground } from './start.ts';

export interface CassandraHistory {
  /** Begins to write, for a reign. `source`: whose history it is. `caught_up`: when it has everything from before. */
  begin(source: string, caught_up: Promise<void>): Exporter;
}

export async function openCassandra(
  { settings, clock, metrics, logs }: Ground,
  views: Views,
  history: Pick<History, 'page'>,
): Promise<CassandraHistory | undefined> {
  if (settings.cassandra.length === 0) return undefined;
  const [{ openExporter }, { openStore }, { cassandraDriver }] = await Promise.all([
    import('../transport/cassandra/exporter.ts'),
    import('../transport/cassandra/store.ts'),
    import('../transport/cassandra/driver.ts'),
  ]);
  const { cassandra_password_file: file } = settings;
  const password = file === undefined ? settings.cassandra_password : oneLine('--cassandra-password-file', file);
  let current: Exporter | undefined;
  metrics.collect(() => {
    const state = current?.state();
    metrics.record('horae_cassandra_connected', undefined, state?.connected === true ? 1 : 0);
    metrics.record('horae_cassandra_waiting', undefined, state?.waiting ?? 0);
    metrics.record('horae_cassandra_lag_seconds', undefined, (state?.lag_ms ?? 0) / 1_000);
  });
  return {
    begin(source, caught_up) {
      const exporter = openExporter({
        open: async () =>
          openStore(
            cassandraDriver({
              contact_points: settings.cassandra,
              port: settings.cassandra_port,
              user: settings.cassandra_user,
              password,
              timeout_ms: settings.cassandra_timeout_ms,
            }),
            {
              names: {
                keyspace: settings.cassandra_keyspace,
                table: settings.cassandra_table,
                stat_count_table: settings.cassandra_stat_count_table,
              },
              consistency: settings.cassandra_consistency,
              ttl_s: settings.cassandra_ttl,
              source,
              now: clock.now,
            },
          ),
        views,
        history,
        caught_up,
        waiting_max: settings.cassandra_waiting_max,
        in_flight_max: settings.cassandra_in_flight_max,
        clock,
        counted: answer => metrics.record('horae_cassandra_rows_total', { answer }, 1),
        log: logs.of('cassandra'),
      });
      current = exporter;
      return {
        ...exporter,
        async close() {
          if (current === exporter) current = undefined;
          await exporter.close();
        },
      };
    },
  };
}
