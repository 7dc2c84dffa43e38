// server.ts: a real Cassandra as a child process: one node on loopback, with a small heap, that can be killed and started again.
//
// Its jars come from Maven Central, by Maven, which knows how that is reached from here; they are kept in the user's cache.
// 5.0 runs on Java 17, and asks for the same doors into it that Cassandra's own scripts open.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Child, startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import type { Owner } from '../support/temp.ts';

const version = '5.0.5';
/** Starting takes twenty seconds here; on a busy machine far more. */
const ready_ms_max = 120_000;

/** The folder with the jars: `HORAE_TEST_CASSANDRA`, or fetched once. */
export async function cassandraJars(say: (line: string) => void): Promise<string> {
  const given = process.env.HORAE_TEST_CASSANDRA;
  if (given !== undefined && given !== '') return given;
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'horae', `cassandra-${version}`);
  if (existsSync(cache)) return cache;
  say(`fetching cassandra-all ${version} and what it needs into ${cache}`);
  const making = `${cache}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  const project = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>horae</groupId><artifactId>cassandra-for-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId>
<version>${version}</version></dependency></dependencies></project>
`;
  writeFileSync(join(making, 'pom.xml'), project);
  const argv = ['-B', '-q', 'dependency:copy-dependencies', `-DoutputDirectory=${join(making, 'jars')}`];
  await promisify(execFile)('mvn', argv, { cwd: making, maxBuffer: 2 ** 26 }).catch(error => {
    throw new Error(
      `Maven could not fetch cassandra-all ${version} (${String(error).slice(0, 500)}): expected maven and a JDK (apt-get install maven default-jdk-headless), or HORAE_TEST_CASSANDRA=FOLDER with the jars`,
    );
  });
  renameSync(join(making, 'jars'), cache);
  rmSync(making, { recursive: true });
  return cache;
}

/** Whom a new Cassandra lets in, some seconds after its first start. */
export const superuser = { user: 'cassandra', password: 'cassandra' };

export type Cassandra = {
  readonly port: number;
  /** As a power cut would. */
  readonly kill: () => Promise<void>;
  /** Again, on the same ports and the same data; resolves when it takes clients. */
  readonly start: () => Promise<void>;
};

export async function startCassandra(t: Owner, folder: string, jars: string): Promise<Cassandra> {
  if (!readdirSync(jars).some(name => name.startsWith('cassandra-all-')))
    throw new Error(`${jars} holds no cassandra-all-VERSION.jar: expected the jars of Cassandra and of what it needs`);
  const [port, storage_port, jmx_port] = await Promise.all([freePort(), freePort(), freePort()]);
  const conf = join(folder, 'conf');
  mkdirSync(conf, { recursive: true });
  writeFileSync(join(conf, 'cassandra.yaml'), yaml(folder, port, storage_port));
  writeFileSync(join(conf, 'logback.xml'), logback);
  let child: Child | undefined;
  const start = async () => {
    child = startChild(t, {
      command: 'java',
      argv: javaArguments(folder, jars, jmx_port),
      cwd: folder,
      env: process.env,
    });
    await child.line(/Startup complete/, ready_ms_max);
  };
  await start();
  return { port, start, kill: async () => void (await child?.kill()) };
}

const yaml = (folder: string, port: number, storage_port: number) => `cluster_name: horae-test
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
data_file_directories: [${folder}/data]
commitlog_directory: ${folder}/commitlog
saved_caches_directory: ${folder}/saved_caches
hints_directory: ${folder}/hints
cdc_raw_directory: ${folder}/cdc
# A row that was answered for is on the device: the test kills the server.
commitlog_sync: batch
commitlog_segment_size: 4MiB
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: 127.0.0.1:${storage_port}
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: ${storage_port}
native_transport_port: ${port}
start_native_transport: true
endpoint_snitch: SimpleSnitch
authenticator: PasswordAuthenticator
authorizer: AllowAllAuthorizer
concurrent_reads: 2
concurrent_writes: 2
concurrent_counter_writes: 2
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 32MiB
key_cache_size: 4MiB
auto_snapshot: false
`;

const logback = `<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender">
<encoder><pattern>%d %-5level %logger - %msg%n</pattern></encoder></appender>
<logger name="org.apache.cassandra.service.CassandraDaemon" level="INFO"/>
<root level="WARN"><appender-ref ref="out"/></root></configuration>
`;

function javaArguments(folder: string, jars: string, jmx_port: number): string[] {
  const base = [
    ...['jdk.internal.misc', 'jdk.internal.ref', 'jdk.internal.loader', 'jdk.internal.reflect', 'jdk.internal.math'],
    ...['jdk.internal.module', 'jdk.internal.util.jar', 'sun.nio.ch', 'java.io', 'java.nio', 'java.lang'],
    ...['java.lang.module', 'java.lang.ref', 'java.lang.reflect', 'java.util', 'java.util.concurrent'],
    'java.util.concurrent.atomic',
  ];
  const opened = [...base.map(name => `java.base/${name}`), 'jdk.management/com.sun.management.internal'];
  const exported = [
    ...base.map(name => `java.base/${name}`),
    ...['java.management.rmi/com.sun.jmx.remote.internal.rmi', 'java.rmi/sun.rmi.registry', 'java.rmi/sun.rmi.server'],
    ...['java.sql/java.sql', 'jdk.unsupported/sun.misc'],
  ];
  const properties = {
    // Else it shuts its mouth before it says that it is ready.
    'cassandra-foreground': 'yes',
    'jdk.attach.allowAttachSelf': 'true',
    'cassandra.config': `file://${folder}/conf/cassandra.yaml`,
    'cassandra.storagedir': folder,
    'cassandra.logdir': `${folder}/log`,
    'cassandra.jmx.local.port': String(jmx_port),
    'cassandra.skip_wait_for_gossip_to_settle': '0',
    'cassandra.ring_delay_ms': '100',
  };
  return [
    ...['-Xms256m', '-Xmx512m', '-Xss512k', '-XX:+UseSerialGC'],
    ...opened.flatMap(each => ['--add-opens', `${each}=ALL-UNNAMED`]),
    ...exported.flatMap(each => ['--add-exports', `${each}=ALL-UNNAMED`]),
    ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
    ...['-cp', `${join(folder, 'conf')}:${jars}/*`, 'org.apache.cassandra.service.CassandraDaemon'],
  ];
}
