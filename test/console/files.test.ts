// files.test.ts: the page's files: all that it needs, and nothing else.

import test from 'ava';
import { console_paths, consoleFile } from '../../transport/console/files.ts';

test('every file that the page names is served with its type', t => {
  const named = new Set<string>();
  for (const path of console_paths) {
    const file = consoleFile(path);
    t.truthy(file, path);
    if (path === '/' || path.endsWith('.js')) {
      const text = file!.body.toString();
      for (const [, name] of text.matchAll(/(?:href|src)="(\/console\/[^"]+)"/g)) named.add(name!);
      for (const [, name] of text.matchAll(/from '\.\/([\w.]+)'/g)) named.add(`/console/${name}`);
    }
  }
  t.true(named.size > 10);
  for (const path of named) t.truthy(consoleFile(path), path);
  t.regex(consoleFile('/')!.type, /^text\/html/);
  t.regex(consoleFile('/console/main.js')!.type, /^text\/javascript/);
  t.regex(consoleFile('/console/msgpackr.js')!.type, /^text\/javascript/);
  t.regex(consoleFile('/console/base.css')!.type, /^text\/css/);
  t.is(consoleFile('/console/icon.svg')!.type, 'image/svg+xml');
});

test('nothing else can be reached', t => {
  for (const path of [
    '',
    '/console',
    '/console/',
    '/console/index.html',
    '/console/../files.ts',
    '/console/..%2ffiles.ts',
    '/console/files.ts',
    '//console/main.js',
    '/console/main.js?x',
    '/console/constructor',
    '/package.json',
    '__proto__',
  ])
    t.is(consoleFile(path), undefined, path);
});

test('a tag stays while the file does, and the page makes no code from text', t => {
  const first = consoleFile('/console/main.js')!;
  t.regex(first.etag, /^"[\w-]{22}"$/);
  t.is(consoleFile('/console/main.js')!.etag, first.etag);
  t.not(consoleFile('/console/list.js')!.etag, first.etag);
  for (const path of console_paths)
    t.notRegex(
      consoleFile(path)!.body.toString(),
      /\beval\(|new Function|innerHTML|insertAdjacentHTML|document\.write/,
      path,
    );
});
