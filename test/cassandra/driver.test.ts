// driver.test.ts: the thread of the driver, where there is no Cassandra.

import test from 'ava';
import { cassandraDriver, type DriverOptions } from '../../transport/cassandra/driver.ts';
import { openStore } from '../../transport/cassandra/store.ts';
import { freePort } from '../support/free-port.ts';

const options: DriverOptions = {
  contact_points: ['127.0.0.1'],
  port: 1,
  user: undefined,
  password: undefined,
  timeout_ms: 5_000,
};

test('a driver that finds nobody says so, and is closed', async t => {
  const driver = cassandraDriver({ ...options, port: await freePort() });
  const names = { keyspace: 'metrics', table: 'chronos', stat_count_table: 'counts' };
  const store = { names, consistency: 'ANY', ttl_s: 0, source: 's', now: () => 0 } as const;
  await t.throwsAsync(openStore(driver, store), { message: /ECONNREFUSED|All host\(s\) tried/ });
  await t.throwsAsync(driver.connect(), { message: /is being closed/ });
});

test('a driver that dies where nobody can catch it takes nobody along: whoever asks is told', async t => {
  // It does not stand being made without an address.
  const driver = cassandraDriver({ ...options, contact_points: [] });
  await t.throwsAsync(driver.connect(), { message: /the driver of Cassandra has failed: .*[Cc]ontacts? ?[Pp]oints?/ });
  await t.throwsAsync(driver.execute('SELECT', [], { consistency: 1, isIdempotent: true }), {
    message: /the driver of Cassandra has failed/,
  });
  await driver.close();
});
