// setting.ts: the kinds of setting there are.
//
// A kind knows how to read its text, what to expect in its place and how to show its default. Each is a function that
// makes one entry of the list in settings.ts, and the type of what it reads is the type of the setting.

/** One entry. `read` gives undefined for texts that are not `expected`; `value` stands for the value in `--help`. */
export type Setting<T> = {
  readonly group: string;
  readonly help: string;
  readonly value: string;
  readonly expected: string;
  readonly range?: string;
  readonly default: T;
  readonly default_text: string;
  readonly many: boolean;
  readonly switch: boolean;
  /** Its value opens something: it is never shown. */
  readonly secret?: boolean;
  readonly read: (texts: readonly string[]) => T | undefined;
};
/** What every entry says. `group` is the heading under which `--help` shows it. */
export type Entry = { readonly group: string; readonly help: string; readonly secret?: true };
export type Bounds = { readonly unit: string; readonly default: number; readonly min: number; readonly max: number };

export type Address = { readonly host: string; readonly port: number };
/** Totals given for the embedded agent; what is absent is measured. */
export type AgentResources = {
  readonly cpus?: number;
  readonly mem_mb?: number;
  readonly disk_mb?: number;
  readonly ports?: readonly { readonly begin: number; readonly end: number }[];
};
/** What reading a list of settings gives: one field per entry, typed by it. */
export type SettingsOf<L> = { readonly [K in keyof L]: L[K] extends Setting<infer T> ? T : never };

function one<T>(
  entry: Entry,
  kind: Omit<Setting<T>, keyof Entry | 'many' | 'switch' | 'read'>,
  read: (text: string) => T | undefined,
): Setting<T> {
  return {
    group: entry.group,
    help: entry.help,
    ...(entry.secret === undefined ? {} : { secret: true }),
    many: false,
    switch: false,
    read: texts => read(texts[0] ?? ''),
    ...kind,
  };
}

function numeric(entry: Entry & Bounds, adjective: string, pattern: RegExp): Setting<number> {
  const range = `${entry.min} to ${entry.max} ${entry.unit}`;
  const kind = {
    value: entry.unit.toUpperCase(),
    expected: `${adjective} of ${entry.unit} from ${entry.min} to ${entry.max}`,
    range,
  };
  return one<number>(entry, { ...kind, default: entry.default, default_text: String(entry.default) }, text => {
    const value = Number(text);
    return pattern.test(text) && value >= entry.min && value <= entry.max ? value : undefined;
  });
}

export function whole(entry: Entry & Bounds): Setting<number> {
  return numeric(entry, 'a whole number', /^-?\d{1,15}$/);
}

export function number(entry: Entry & Bounds): Setting<number> {
  return numeric(entry, 'a number', /^-?\d{1,15}(\.\d{1,9})?$/);
}

export function yes(entry: Entry & { readonly default?: boolean }): Setting<boolean> {
  const { default: unset = false } = entry;
  const kind = {
    value: 'BOOLEAN',
    expected: 'true or false',
    default: unset,
    default_text: String(unset),
    switch: true,
  };
  const words = new Map([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ]);
  return { ...one<boolean>(entry, kind, text => words.get(text)), switch: true };
}

export function choice<const T extends string>(
  entry: Entry & { readonly of: readonly T[]; readonly default: NoInfer<T> },
): Setting<T> {
  const kind = { value: 'WORD', expected: `one of ${entry.of.join(', ')}`, range: entry.of.join(', ') };
  return one<T>(entry, { ...kind, default: entry.default, default_text: entry.default }, text =>
    entry.of.find(word => word === text),
  );
}

export function file(entry: Entry): Setting<string | undefined> {
  const kind = { value: 'FILE', expected: 'the path of a file', default: undefined, default_text: 'none' };
  return one<string | undefined>(entry, kind, text => (text === '' ? undefined : text));
}

export function path(entry: Entry & { readonly default: string }): Setting<string> {
  const kind = {
    value: 'DIRECTORY',
    expected: 'the path of a directory',
    default: entry.default,
    default_text: entry.default,
  };
  return one<string>(entry, kind, text => (text === '' ? undefined : text));
}

type Words = Entry & { readonly value: string; readonly expected: string; readonly matches: RegExp };

/** Text of a shape, which need not be given, or has a default. */
export function text(entry: Words & { readonly default: string }): Setting<string>;
export function text(entry: Words): Setting<string | undefined>;
export function text(entry: Words & { readonly default?: string }): Setting<string | undefined> {
  const { value, expected, matches, default: unset } = entry;
  const kind = { value, expected, default: unset, default_text: unset ?? 'none' };
  return one<string | undefined>(entry, kind, given => (matches.test(given) ? given : undefined));
}

export function list(entry: Words): Setting<readonly string[]> {
  const read = (texts: readonly string[]) =>
    texts.length > 0 && texts.every(text => entry.matches.test(text)) ? texts : undefined;
  return { ...entry, default: [], default_text: 'none', many: true, switch: false, read };
}

export function zone(entry: Entry & { readonly default: string }): Setting<string> {
  const kind = {
    value: 'ZONE',
    expected: 'an IANA time zone such as Europe/Vienna',
    default: entry.default,
    default_text: entry.default,
  };
  return one<string>(entry, kind, text => {
    try {
      new Intl.DateTimeFormat('en', { timeZone: text });
      return text;
    } catch {
      return undefined; // The one way to ask Intl whether it knows a zone.
    }
  });
}

export function address(entry: Entry & { readonly default: Address }): Setting<Address> {
  const kind = { value: 'HOST:PORT', expected: 'host:port such as 127.0.0.1:8080, with a port from 0 to 65535' };
  const default_text = `${entry.default.host}:${entry.default.port}`;
  return one<Address>(entry, { ...kind, default: entry.default, default_text }, readAddress);
}

/** Of somebody else, who need not be there. */
export function peer(entry: Entry): Setting<Address | undefined> {
  const kind = {
    value: 'HOST:PORT',
    expected: 'host:port such as stats.example.com:2003, with a port from 1 to 65535',
  };
  return one<Address | undefined>(entry, { ...kind, default: undefined, default_text: 'none' }, text => {
    const read = readAddress(text);
    return read?.port === 0 ? undefined : read;
  });
}

function readAddress(text: string): Address | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** Mesos's own notation: `cpus:4;mem:4096;disk:10000;ports:[31000-32000]`, memory and disk in MB. */
export function resources(entry: Entry): Setting<AgentResources> {
  const kind = {
    value: 'RESOURCES',
    expected: 'resources such as cpus:4;mem:4096;disk:10000;ports:[31000-32000] (MB)',
  };
  return one<AgentResources>(entry, { ...kind, default: {}, default_text: 'measured' }, text => {
    const read: { cpus?: number; mem_mb?: number; disk_mb?: number; ports?: { begin: number; end: number }[] } = {};
    for (const part of text.split(';').map(piece => piece.trim())) {
      const [, name, amount] = /^(cpus|mem|disk):(\d{1,12}(?:\.\d{1,3})?)$/.exec(part) ?? [];
      const [, inside] = /^ports:\[(.*)\]$/.exec(part) ?? [];
      const field = name === undefined ? 'ports' : name === 'cpus' ? 'cpus' : name === 'mem' ? 'mem_mb' : 'disk_mb';
      if (read[field] !== undefined) return undefined;
      if (field !== 'ports') {
        if (Number(amount) === 0 && field !== 'disk_mb') return undefined;
        read[field] = Number(amount);
        continue;
      }
      const ranges = (inside ?? '').split(',').map(range => /^\s*(\d{1,5})-(\d{1,5})\s*$/.exec(range));
      const ports = ranges.map(range => ({ begin: Number(range?.[1] ?? -1), end: Number(range?.[2] ?? -1) }));
      if (ports.some(({ begin, end }) => begin < 1 || begin > end || end > 65_535)) return undefined;
      if (
        ports.some((range, index) =>
          ports.some((other, at) => at < index && range.begin <= other.end && other.begin <= range.end),
        )
      )
        return undefined;
      read.ports = ports;
    }
    return read;
  });
}

/** Where a Docker engine listens. */
export const docker_form = /^(?:unix:\/\/)?\/.+$|^tcp:\/\/[^:/\s]+:\d{1,5}\/?$/;
