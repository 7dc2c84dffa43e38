// support.ts: a service that knows, when it is told to go, who can still find it; and somebody who watches a list.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ZooKeeper } from '../../transport/zookeeper/zookeeper.ts';
import type { Owner } from '../support/temp.ts';

const root = join(import.meta.dirname, '..', '..');

/**
 * Serves at its port; sick while `SICK` is there. On SIGTERM it asks ZooKeeper itself for the hosts and ports in its list, and
 * writes them down: whatever is seen there was there when it was told to go.
 */
const program = `
import { createServer } from 'node:http';
import { appendFileSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
const [port, servers, list, said, sick] = process.argv.slice(2);
const library = createRequire(${JSON.stringify(join(root, 'package.json'))})('node-zookeeper-client');
const zk = library.createClient(servers, { sessionTimeout: 30000 });
zk.connect();
process.on('SIGTERM', () => {
  const end = line => {
    appendFileSync(said, JSON.stringify({ port: Number(port), ...line }) + '\\n');
    process.exit(0);
  };
  zk.getChildren(list, (error, names) => {
    if (error) return end({ error: String(error) });
    let left = names.length;
    const found = [];
    if (left === 0) end({ found });
    for (const name of names)
      zk.getData(list + '/' + name, (error, data) => {
        if (!error) found.push(JSON.parse(data).serviceEndpoint.port);
        if (--left === 0) end({ found });
      });
  });
});
createServer((request, response) => {
  const is_sick = existsSync(sick);
  response.writeHead(is_sick ? 500 : 200).end(is_sick ? 'sick' : 'ok');
}).listen(Number(port), '127.0.0.1');
`;

export type Witness = { readonly path: string; readonly said: string; readonly sick: string };
export function witness(directory: string): Witness {
  const path = join(directory, 'witness.mjs');
  writeFileSync(path, program);
  return { path, said: join(directory, 'said'), sick: join(directory, 'sick') };
}
/** How a job runs it. */
export const commandOf = ({ path, said, sick }: Witness, servers: string, list: string): string =>
  `exec ${process.execPath} ${path} {{thermos.ports[http]}} ${servers} ${list} ${said} ${sick}-{{mesos.instance}}`;
/** While this is there, the instance is sick. */
export const sicknessOf = ({ sick }: Witness, instance: number): string => `${sick}-${instance}`;
/** What they said when they were told to go: who they were, and who could still be found. */
export const lastWords = ({
  said,
}: Witness): readonly { readonly port: number; readonly found?: readonly number[] }[] =>
  existsSync(said)
    ? readFileSync(said, 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
    : [];

/** Ports in a list; undefined when there is no list. */
export async function portsIn(zk: ZooKeeper, list: string): Promise<readonly number[] | undefined> {
  const names = await zk.children(list);
  if (names === undefined) return undefined;
  const nodes = await Promise.all(
    names.filter(name => name.startsWith('member_')).map(name => zk.get(`${list}/${name}`)),
  );
  return nodes.flatMap(node =>
    node === undefined ? [] : [JSON.parse(Buffer.from(node.data).toString()).serviceEndpoint.port as number],
  );
}

/** The fewest members that somebody has seen who watches a list as the recipe says. */
export function observe(
  t: Owner,
  zk: ZooKeeper,
  list: string,
): { readonly fewest: () => number; readonly looks: () => number } {
  let fewest = Number.POSITIVE_INFINITY;
  let looks = 0;
  let over = false;
  t.teardown(() => {
    over = true;
  });
  const look = async (): Promise<void> => {
    if (over) return;
    try {
      const names = await zk.children(list, () => void look());
      if (names === undefined) return;
      looks++;
      fewest = Math.min(fewest, names.filter(name => name.startsWith('member_')).length);
    } catch {
      // ZooKeeper is away, and so is the watch: whoever watches looks again when it is back.
      const stop = zk.onState(state => {
        if (state !== 'connected') return;
        stop();
        void look();
      });
    }
  };
  void look();
  return { fewest: () => fewest, looks: () => looks };
}
