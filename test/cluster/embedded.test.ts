// embedded.test.ts: without --zk nothing of what makes a cluster is loaded, nor Cassandra's driver without --cassandra.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { startMesos } from '../program/serving.ts';
import { endOf, startChild } from '../support/child.ts';
import { type Owner, tempDir } from '../support/temp.ts';

const root = join(import.meta.dirname, '..', '..');
const of_clusters = [
  /\/node_modules\/node-zookeeper-client\//,
  /\/transport\/cluster\//,
  /\/transport\/zookeeper\/(client|election|wire|line)\.ts$/,
  /\/transport\/journal\/(zookeeper.*|replica)\.ts$/,
  /\/node_modules\/cassandra-driver\//,
  /\/transport\/cassandra\//,
  /\/programs\/(node|node-life|keeper|reign|session|guarded-link)\.ts$/,
];

/** Runs a program until it says where its console is, and resolves with every file that it has loaded. */
async function loadedBy(t: Owner, argv: readonly string[]): Promise<readonly string[]> {
  const hook = join(await tempDir(t), 'hook.mjs');
  // Written to stdout by the process itself, as each module is loaded, whoever asks for it.
  const source = `import { registerHooks } from 'node:module';
    registerHooks({ load(url, context, next) { console.log('loaded ' + url); return next(url, context); } });`;
  writeFileSync(hook, source);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HORAE_')));
  const options = ['--import', pathToFileURL(hook).href, join(root, 'main.ts')];
  const child = startChild(t, { command: process.execPath, argv: [...options, ...argv], cwd: '/', env });
  await child.line(/Console: \S+/, 90_000);
  child.send('SIGTERM');
  await endOf(child);
  return [...child.output().matchAll(/^loaded (\S+)$/gm)].map(([, url]) => url!);
}

test('horae dev and horae serve load nothing that only a cluster or Cassandra needs', async t => {
  const directory = await tempDir(t);
  const place = (name: string) => ['--http', '127.0.0.1:0', '--data-dir', join(directory, name)];
  const mesos = await startMesos(t, join(directory, 'mesos'));
  for (const argv of [
    ['dev', ...place('dev')],
    ['serve', '--mesos', mesos.url, ...place('serve')],
  ]) {
    const loaded = await loadedBy(t, argv);
    t.true(
      loaded.some(url => url.endsWith('/transport/journal/lmdb.ts')),
      argv[0],
    );
    t.deepEqual(
      loaded.filter(url => of_clusters.some(pattern => pattern.test(url))),
      [],
      argv[0],
    );
  }
});
