// registry.ts: which registry an image comes from, and who we are there, as files of `docker login` say.
//
// The engine has no credentials of its own: whoever asks for a pull shows them. `docker run` would look into its user's
// config.json, and people of Mesos fetch one into the sandbox, so both places are looked at, the task's own first.

export type Login =
  | { readonly username: string; readonly password: string; readonly serveraddress: string }
  | { readonly identitytoken: string; readonly serveraddress: string };

const hub = 'docker.io';
/** As config.json calls it, for reasons of history. */
const hub_key = 'https://index.docker.io/v1/';

/** The host that an image's name begins with, or Docker's own. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const is_host = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return is_host ? first : hub;
}

/** What a file of `docker login` (config.json, or the older .dockercfg) has for an image; a text when it cannot be used. */
export function loginFor(image: string, file: string): Login | string | undefined {
  const registry = registryOf(image);
  let config: unknown;
  try {
    config = JSON.parse(file);
  } catch {
    return 'it is not JSON';
  }
  if (!isObject(config)) return 'it is not an object';
  const { credHelpers, credsStore } = config;
  const auths = isObject(config.auths) ? config.auths : config;
  const names = registry === hub ? [hub_key, hub, 'index.docker.io'] : [registry];
  const found = names.flatMap(name => [name, `https://${name}`, `http://${name}`]).map(name => auths[name]);
  const entry = found.find(isObject);
  if (entry !== undefined) {
    const serveraddress = registry === hub ? hub_key : registry;
    if (typeof entry.identitytoken === 'string' && entry.identitytoken !== '')
      return { identitytoken: entry.identitytoken, serveraddress };
    if (typeof entry.auth === 'string' && entry.auth !== '') {
      const pair = Buffer.from(entry.auth, 'base64').toString();
      const cut = pair.indexOf(':');
      if (cut < 0) return `its entry for ${registry} is no name and password in base64`;
      return { username: pair.slice(0, cut), password: pair.slice(cut + 1), serveraddress };
    }
  }
  if ((isObject(credHelpers) && credHelpers[registry] !== undefined) || typeof credsStore === 'string')
    return `it leaves the password of ${registry} to a helper program, which is not asked: expected it in the file`;
  return undefined;
}

/** For the header in which the engine wants it: the alphabet of URLs, and filled up to whole fours, or it is overlooked. */
export const loginHeader = (login: Login): string =>
  Buffer.from(JSON.stringify(login)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
