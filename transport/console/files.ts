// files.ts: the files that make up the console's page: a fixed list, read from the package.
//
// A request names one of these paths or it gets nothing: no path is ever put together from what a request says, so there is
// nothing to escape from. Files are read once and kept, and their tags are what they hash to.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type ConsoleFile = { readonly body: Buffer; readonly type: string; readonly etag: string };

const page = join(dirname(fileURLToPath(import.meta.url)), 'page');
/** The build that never makes code from text: the page's policy forbids that. */
const msgpackr = join(dirname(createRequire(import.meta.url).resolve('msgpackr')), 'index-no-eval.min.js');

const types = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const;

const scripts = [
  'api.js',
  'calendars.js',
  'container.js',
  'dialog.js',
  'dom.js',
  'feed.js',
  'file.js',
  'files.js',
  'icons.js',
  'instance.js',
  'job.js',
  'kin.js',
  'letters.js',
  'list.js',
  'log.js',
  'main.js',
  'output.js',
  'runs.js',
  'sandboxes.js',
  'steer.js',
  'update.js',
  'submit.js',
  'time.js',
  'toast.js',
  'took.js',
  'usage.js',
  'words.js',
];
const styles = ['base.css', 'list.css', 'job.css', 'instance.css', 'steer.css', 'kin.css', 'files.css', 'letters.css'];

/** Every path there is, and the file behind it. */
const files: ReadonlyMap<string, string> = new Map([
  ['/', join(page, 'index.html')],
  ['/console/msgpackr.js', msgpackr],
  ...['icon.svg', ...scripts, ...styles].map(name => [`/console/${name}`, join(page, name)] as const),
]);
/** Paths that the console has, for whoever lists routes. */
export const console_paths: readonly string[] = [...files.keys()];

const read = new Map<string, ConsoleFile>();

/** The file at a path of a URL, without its query; undefined for any other path. */
export function consoleFile(path: string): ConsoleFile | undefined {
  const file = files.get(path);
  if (file === undefined) return undefined;
  let known = read.get(path);
  if (known === undefined) {
    const body = readFileSync(file);
    const ending = file.slice(file.lastIndexOf('.') + 1) as keyof typeof types;
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    known = { body, type: types[ending], etag };
    read.set(path, known);
  }
  return known;
}
