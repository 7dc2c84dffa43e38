// needs.ts: tests that need a part of the machine which may not be there.
//
// test/setup.sh finds or installs the parts and test/run.ts hands on what it said. Without the part a test is skipped,
// and so named in the verdict.

import test from 'ava';

/** Path of a Chromium; undefined where there is none. */
export const chromium = process.env.HORAE_TEST_CHROMIUM;

/** `testWith(chromium)('the console shows a job', ...)`: `test`, or `test.skip` where the part is absent. */
export function testWith(part: string | undefined): typeof test | typeof test.skip {
  return part === undefined || part === '' ? test.skip : test;
}

/** As `testWith`, one after the other: for what starts many programs. */
export function serialWith(part: string | undefined): typeof test.serial | typeof test.skip {
  return part === undefined || part === '' ? test.skip : test.serial;
}

/** For tests that mount a small file system, to fill it. */
export const may_mount = process.env.HORAE_TEST_MOUNT;

/** For tests that start tasks of other users, which root alone may. */
export const as_root = process.env.HORAE_TEST_ROOT;

/** For tests that see the kernel hold a limit: control groups, which containers and people who are not root have none of. */
export const may_group = process.env.HORAE_TEST_CGROUPS;

/** For tests that watch which calls a process makes. */
export const strace = process.env.HORAE_TEST_STRACE;

/** Path of an sshd, where there are ssh and curl too. */
export const sshd = process.env.HORAE_TEST_SSHD;

/** Set where archives of every kind can be made. */
export const archivers = process.env.HORAE_TEST_ARCHIVERS;
