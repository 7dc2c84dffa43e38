// detector.ts: which master leads, by what stands in ZooKeeper, and where masters are by what a person wrote.
//
// Every master that would lead puts a node beside the others, and ZooKeeper numbers them in the order in which they came. The
// lowest number leads; when its session ends its node goes, and the next in line leads. What is written in a node says where
// its master listens.

import { bad, good, type Result } from '../schedules/problem.ts';

export type Masters =
  | { readonly type: 'addresses'; readonly urls: readonly string[] }
  | {
      readonly type: 'zookeeper';
      /** `h1:2181,h2:2181` */
      readonly servers: string;
      readonly path: string;
      /** `user:password`, where the nodes are guarded. */
      readonly auth?: string;
    };

const expected = 'http://HOST:5050 (or https, or several with commas), or zk://HOST:2181,HOST:2181/PATH';

/** What `--mesos` says. */
export function readMasters(text: string): Result<Masters> {
  const wrong = (why: string) =>
    bad({
      place: '--mesos',
      value: withoutPassword(text),
      message: `--mesos is "${withoutPassword(text)}": ${why}: expected ${expected}`,
      expected,
    });
  if (text.startsWith('zk://')) {
    const [, auth, servers = '', path = ''] = /^zk:\/\/(?:([^@/]*)@)?([^@/]*)(\/.*)?$/.exec(text) ?? [];
    const members = servers.split(',');
    const stranger = members.find(each => !/^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/.test(each));
    if (stranger !== undefined) return wrong(`"${stranger}" is no server of ZooKeeper`);
    if (auth !== undefined && !/^[^:]+:.+$/.test(auth)) return wrong('before the @ stands no user:password');
    const clean = path.replace(/\/+$/, '');
    if (!/^(\/[^/\s]+)+$/.test(clean) || /\/\.{1,2}(\/|$)/.test(clean))
      return wrong('it does not end in the path that the masters were given with --zk');
    const with_ports = members.map(each => (/:\d{1,5}$/.test(each) && !each.endsWith(']') ? each : `${each}:2181`));
    return good({
      type: 'zookeeper',
      servers: with_ports.join(','),
      path: clean,
      ...(auth === undefined ? {} : { auth }),
    });
  }
  const urls = text
    .split(',')
    .map(each => each.trim())
    .filter(each => each !== '');
  for (const each of urls) {
    const url = URL.canParse(each) ? new URL(each) : undefined;
    if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
      return wrong(`"${each}" is no address of a master`);
    if (url.username !== '' || url.password !== '')
      return wrong('a secret stands in an address, where everybody who lists processes can read it');
  }
  return urls.length === 0 ? wrong('nothing is there') : good({ type: 'addresses', urls });
}

/** As it may be shown to anybody. */
export const withoutPassword = (text: string): string => text.replace(/^(zk:\/\/[^:@/]*):[^@/]*@/, '$1:...@');

/** The node of the leader among the children of the path; undefined while nobody leads. */
export function leadingNode(children: readonly string[]): string | undefined {
  let leader: { readonly name: string; readonly sequence: number } | undefined;
  for (const name of children) {
    const [, digits] = /^json\.info_(\d+)$/.exec(name) ?? [];
    if (digits === undefined) continue;
    const sequence = Number(digits);
    if (leader === undefined || sequence < leader.sequence) leader = { name, sequence };
  }
  return leader?.name;
}

export type Leader = {
  /** `http://host:5050` */
  readonly url: string;
  readonly id: string | undefined;
  readonly version: string | undefined;
};

/** What a master has written into its node; a sentence where that is not to be understood. */
export function leaderIn(node: string, data: Uint8Array, scheme: 'http' | 'https'): Leader | string {
  let info: unknown;
  try {
    info = JSON.parse(new TextDecoder().decode(data));
  } catch (error) {
    return `${node} holds no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  const fields = isObject(info) ? info : {};
  const address = isObject(fields.address) ? fields.address : {};
  const port = address.port ?? fields.port;
  // A certificate names hosts; without one, the number that the masters use among themselves is the surer of the two.
  const [first, second] = scheme === 'https' ? [address.hostname, address.ip] : [address.ip, address.hostname];
  const host = [first, second, fields.hostname].find(each => typeof each === 'string' && each !== '');
  if (typeof host !== 'string' || typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
    return `${node} does not say where its master listens: expected address.ip and address.port in ${brief(fields)}`;
  const text = `${scheme}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
  if (!URL.canParse(text)) return `${node} says ${text}, which is no address`;
  return {
    url: text,
    id: typeof fields.id === 'string' ? fields.id : undefined,
    version: typeof fields.version === 'string' ? fields.version : undefined,
  };
}

const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const brief = (value: unknown) => JSON.stringify(value).slice(0, 200);
