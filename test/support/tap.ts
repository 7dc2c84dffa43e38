// tap.ts: what AVA's TAP says, line by line.
//
// Pure: a line in, what it means out. A test is told as soon as its line is there; what explains it (a difference, a
// log) follows as details, so a failure can be read while the others still run.

export type TapEvent =
  | { readonly type: 'test'; readonly title: string; readonly verdict: 'passed' | 'failed' | 'skipped' }
  /** A line that explains the test before it. */
  | { readonly type: 'detail'; readonly text: string }
  /** AVA's own count at its end: failed tests, tests that never ended, and crashes. Absent when AVA itself died. */
  | { readonly type: 'summary'; readonly failed: number };

/** Reads one stream of TAP, a line at a time. */
export function tapReader(): (line: string) => TapEvent | undefined {
  let over = false;
  let todo = 0;
  return line => {
    if (/^1\.\.\d+$/.test(line)) over = true;
    if (over) {
      const [, failed] = /^# fail (\d+)$/.exec(line) ?? [];
      return failed === undefined ? undefined : { type: 'summary', failed: Number(failed) - todo };
    }
    const [, not, rest] = /^(not )?ok \d+(?: - (.*))?$/.exec(line) ?? [];
    if (/^(not )?ok \d+/.test(line)) {
      const [, title, directive] = /^(.*) # (SKIP|TODO)\b.*$/.exec(rest ?? '') ?? [];
      if (directive === 'TODO') todo++; // The summary counts these among the failed.
      if (directive !== undefined) return { type: 'test', title: title!, verdict: 'skipped' };
      return { type: 'test', title: rest ?? '(no title)', verdict: not === undefined ? 'passed' : 'failed' };
    }
    if (/^ {2}(---|\.\.\.)$/.test(line)) return undefined; // The fence around a failure's details.
    if (line.startsWith('#')) return { type: 'detail', text: line.slice(1).trimStart() };
    return line.startsWith('  ') ? { type: 'detail', text: line.slice(4) } : undefined;
  };
}
