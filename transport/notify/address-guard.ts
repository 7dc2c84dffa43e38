// address-guard.ts: which addresses of the internet a letter may be sent to, when somebody else than the operator names them.
//
// Whoever may submit a job may name an address to be told of it. That must not become a way to reach, from where the
// scheduler stands, what only the inside can reach: the metadata of a cloud, an open database, this machine itself. So an
// address counts when it is used, not when it is written: the name is looked up for the connection, what it resolves to is
// judged there, and the connection goes to what was judged. A name that resolves to another address the second time, or an
// address that is spelt in an odd way, gains nothing.

import { type LookupAddress, lookup as lookupName } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** A connection that was not made, because of where it would have gone. */
export class ForbiddenAddress extends Error {
  readonly code = 'FORBIDDEN_ADDRESS';
}

/** Whether everybody's internet, rather than somebody's inside, answers at this address. `address` is an IP address. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !inside_v4.check(address, 'ipv4');
  // A zone (%eth0) says on which wire, which is none of the public ones.
  if (isIP(address) !== 6 || address.includes('%')) return false;
  const embedded = v4Within(address);
  if (embedded !== undefined) return !inside_v4.check(embedded, 'ipv4');
  return global_v6.check(address, 'ipv6') && !special_v6.check(address, 'ipv6');
}

/** Throws ForbiddenAddress for a host that is an address, and not a public one. Sockets look up names alone. */
export function guardLiteral(url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isPublic(host)) throw forbidden(host, []);
}

/** Looks names up for a socket, and gives it only what is allowed. */
export function guardedLookup(resolve: typeof lookupName = lookupName, isAllowed = isPublic): LookupFunction {
  return (host, options, done) => {
    resolve(host, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return done(error, []);
      const allowed = found.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (first === undefined) return done(forbidden(host, found), []);
      return options.all ? done(null, allowed) : done(null, first.address, first.family);
    });
  };
}

function forbidden(host: string, found: readonly LookupAddress[]): ForbiddenAddress {
  const what = found.length === 0 ? host : `${host} (${found.map(({ address }) => address).join(', ')})`;
  return new ForbiddenAddress(
    `${what} is not on the public internet: expected a public address, or --notify-private-allowed`,
  );
}

/** 0.0.0.0/8 to 255.255.255.255, as the registry of special addresses of IANA has them. */
const inside_v4 = blockList('ipv4', [
  '0.0.0.0/8', // this network
  '10.0.0.0/8',
  '100.64.0.0/10', // behind a provider's translator
  '127.0.0.0/8',
  '169.254.0.0/16', // link-local, and the metadata of clouds
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24', // documentation, as are 198.51.100.0 and 203.0.113.0
  '192.88.99.0/24', // relays of 6to4
  '192.168.0.0/16',
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
]);
/** The one part of IPv6 that is given out for the whole world, and what of it is not. */
const global_v6 = blockList('ipv6', ['2000::/3']);
const special_v6 = blockList('ipv6', [
  '2001::/23', // of protocols, Teredo among them
  '2001:db8::/32', // documentation, as is 3fff::
  '2002::/16', // 6to4: whatever IPv4 address it holds
  '3fff::/20',
]);
/** What stands for an IPv4 address: mapped by sockets, and translated (NAT64) where a network has IPv6 alone. */
const mapped_v4 = blockList('ipv6', ['::ffff:0:0/96', '64:ff9b::/96']);

function blockList(family: 'ipv4' | 'ipv6', subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address = '', bits] = subnet.split('/');
    list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** The IPv4 address in the last 32 bits of one that is made for carrying it. */
function v4Within(address: string): string | undefined {
  if (!mapped_v4.check(address, 'ipv6')) return undefined;
  // The URL parser writes each address in one way, with the last 32 bits as two groups of hex digits.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(':');
  // Two colons may end it: then the last groups are zero.
  const [high, low] = groups.slice(-2).map(group => Number.parseInt(group || '0', 16));
  return [high! >> 8, high! & 255, low! >> 8, low! & 255].join('.');
}
