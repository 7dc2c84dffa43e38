// browser.ts: one Chromium for the tests of a file, the real program before it, and a page in it that may not complain.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type Child, startChild } from '../support/child.ts';
import { chromium as chromium_path } from '../support/needs.ts';
import type { Owner } from '../support/temp.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: chromium_path, args: flags });

/** The program as anybody starts it, and where its console is. */
export async function startProgram(
  t: Owner,
  data: string,
  more: readonly string[] = [],
  http = '127.0.0.1:0',
): Promise<{ program: Child; url: string }> {
  const program = startChild(t, {
    command: process.execPath,
    argv: [join(root, 'main.ts'), 'dev', '--http', http, '--data-dir', data, '--log-level', 'warn', ...more],
    cwd: root,
  });
  const [, url] = await program.line(/Console: (http:\/\/\S+)/, 60_000);
  return { program, url: url! };
}

/** A page of its own, closed with the test. What it complained of, scripts refused by the policy among it, is in `complaints`. */
export async function openPage(t: Owner, browser: Browser, url: string): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  t.teardown(() => context.close());
  context.setDefaultTimeout(45_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', error => complaints.push(String(error)));
  page.on('console', message => {
    // That a scheduler which was stopped cannot be reached, or breaks off, is no fault of the page; neither is a refusal that
    // it shows.
    const expected = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|status of 4\d\d/.test(message.text());
    if (message.type() === 'error' && !expected) complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints };
}
