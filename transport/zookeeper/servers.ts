// servers.ts: the text that names a ZooKeeper ensemble, read.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { checkPath } from './zookeeper.ts';

export type Server = { readonly host: string; readonly port: number };
/** `path` is `/` when the text names none. */
export type Ensemble = { readonly servers: readonly Server[]; readonly path: string };

const port_default = 2181;
const expected_server = 'host:port, such as zk1.example.com:2181';
const expected_path = 'an absolute path such as /horae';

/** Reads `zk1:2181,zk2,[::1]:2183/horae`. `place` says in problems where the text stood. */
export function readEnsemble(text: string, place: string): Result<Ensemble> {
  const slash = text.indexOf('/');
  const hosts = (slash < 0 ? text : text.slice(0, slash)).split(',').map(host => host.trim());
  const path = slash < 0 ? '/' : text.slice(slash).trim();
  const problems: Problem[] = [];
  const servers: Server[] = [];
  for (const host of hosts) {
    const server = serverOf(host);
    if (server !== undefined) servers.push(server);
    else
      problems.push({
        place,
        value: host,
        message: `invalid ZooKeeper server "${host}": expected ${expected_server}`,
        expected: expected_server,
      });
  }
  try {
    checkPath(path);
  } catch {
    const message = `invalid ZooKeeper path "${path}": expected ${expected_path}`;
    problems.push({ place, value: path, message, expected: expected_path });
  }
  return problems.length > 0 ? bad(...problems) : good({ servers, path });
}

function serverOf(text: string): Server | undefined {
  const [, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? port_default : Number(port);
  return host === undefined || number < 1 || number > 65_535 ? undefined : { host, port: number };
}
