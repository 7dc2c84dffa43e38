// process-accounts.ts: whose each process of the machine is, and what containers have used, where the kernel keeps no groups.
//
// A process belongs to the container whose first process it descends from, or whose session or group it is in. One that has
// got away from all of these still carries the mark with which it was born, which is looked at once in its life. What it
// has used stays on its container's account when it is gone; what lived and died between two looks is not seen.

export type ProcessRow = {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Ticks since boot: with the pid, one process for ever. */
  readonly start: string;
  readonly cpu_ticks: number;
  readonly rss_pages: number;
};

/** One line of /proc/PID/stat; undefined for a zombie and for what is no such line. */
export function parseStat(text: string): ProcessRow | undefined {
  // pid (comm) state ppid pgrp session ...: comm may hold spaces and parentheses, so count from the last parenthesis.
  const cut = text.lastIndexOf(')');
  const fields = text.slice(cut + 2).split(' ');
  const [state, parent, group, session] = fields;
  if (cut < 0 || fields.length < 22 || state === 'Z' || state === 'X') return undefined;
  return {
    pid: Number.parseInt(text, 10),
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    start: fields[19]!,
    cpu_ticks: Number(fields[11]) + Number(fields[12]),
    rss_pages: Number(fields[21]),
  };
}

export type Account = { cpu_ticks: number; rss_pages: number; pids: number[] };

export class ProcessAccounts {
  /** By pid and start: whose it is by its mark, '' for nobody's. */
  #marks = new Map<string, string>();
  /** By pid and start: what it had used when it was looked at last. */
  #seen = new Map<string, number>();
  #totals = new Map<string, number>();

  /**
   * `roots`: the first process of each container, by pid. `markOf` says to which container a process was born.
   * Gives each container that has anybody.
   */
  look(
    rows: readonly ProcessRow[],
    roots: ReadonlyMap<number, string>,
    markOf: (pid: number) => string | undefined,
  ): ReadonlyMap<string, Account> {
    const by_pid = new Map(rows.map(row => [row.pid, row]));
    const owners = new Map<number, string>();
    const marks = new Map<string, string>();
    const seen = new Map<string, number>();
    const accounts = new Map<string, Account>();
    const ownerOf = (row: ProcessRow): string => {
      const known = owners.get(row.pid);
      if (known !== undefined) return known;
      // Should the table, which was not read in one moment, hold a circle, it ends here.
      owners.set(row.pid, '');
      const parent = by_pid.get(row.parent);
      const owner =
        roots.get(row.pid) ??
        roots.get(row.session) ??
        roots.get(row.group) ??
        ((parent === undefined ? '' : ownerOf(parent)) || marked(row));
      owners.set(row.pid, owner);
      return owner;
    };
    const marked = (row: ProcessRow): string => {
      const key = `${row.pid} ${row.start}`;
      const mark = this.#marks.get(key) ?? markOf(row.pid) ?? '';
      marks.set(key, mark);
      return mark;
    };
    for (const row of rows) {
      const owner = ownerOf(row);
      if (owner === '') continue;
      let account = accounts.get(owner);
      if (account === undefined) {
        account = { cpu_ticks: 0, rss_pages: 0, pids: [] };
        accounts.set(owner, account);
      }
      const key = `${row.pid} ${row.start}`;
      seen.set(key, row.cpu_ticks);
      const fresh = row.cpu_ticks - (this.#seen.get(key) ?? 0);
      this.#totals.set(owner, (this.#totals.get(owner) ?? 0) + Math.max(0, fresh));
      account.rss_pages += row.rss_pages;
      account.pids.push(row.pid);
    }
    this.#marks = marks;
    this.#seen = seen;
    for (const [owner, account] of accounts) account.cpu_ticks = this.#totals.get(owner)!;
    return accounts;
  }

  forget(owner: string): void {
    this.#totals.delete(owner);
  }
}
