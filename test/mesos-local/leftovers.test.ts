// leftovers.test.ts: what tasks leave behind goes, however they left it: for an agent that is not root as for one that is.

import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { bootId, identityOf } from '../../mesos/local/processes.ts';
import { getSecrets } from '../../mesos/local/secrets.ts';

const folder = (t: ExecutionContext) => {
  const path = mkdtempSync(join(tmpdir(), 'horae-left-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  chmodSync(path, 0o777);
  return path;
};

/** Runs `body` as nobody, who is stopped by what root would not notice; it finds its module as `module`. */
async function asNobody(module: string, body: string): Promise<string> {
  const text = `
    import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
    const module = await import(${JSON.stringify(join(import.meta.dirname, '../../mesos/local', module))});
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
    const shut = path => { mkdirSync(path + '/read-only/deep', { recursive: true });
      writeFileSync(path + '/read-only/deep/file', 'x');
      chmodSync(path + '/read-only/deep', 0); chmodSync(path + '/read-only', 0o555); };
    ${body}`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', text]);
  return stdout;
}

test('secrets go with their task also where it has shut their folder', async t => {
  const sandbox = folder(t);
  await asNobody(
    'secrets.ts',
    `mkdirSync('${sandbox}/.secrets'); shut('${sandbox}/.secrets'); chmodSync('${sandbox}/.secrets', 0);
     module.forgetSecrets('${sandbox}');`,
  );
  t.deepEqual(readdirSync(sandbox), []);
});

test('a sandbox with read-only folders is swept like another', async t => {
  const work_dir = folder(t);
  // Of somebody else, and so it stays; it keeps nobody else.
  const is_root = process.getuid?.() === 0;
  if (is_root) mkdirSync(join(work_dir, 'sandboxes', 'a', 'stuck', 'deep', 'er'), { recursive: true });
  if (is_root) chmodSync(join(work_dir, 'sandboxes', 'a'), 0o777);
  const told = await asNobody(
    'sandbox-sweep.ts',
    `const folder = '${work_dir}/sandboxes/a';
     for (const name of ['old', 'older']) {
       mkdirSync(folder + '/' + name, { recursive: true });
       if (name === 'older') shut(folder + '/' + name);
       utimesSync(folder + '/' + name, 1, 1);
     }
     const stuck = [];
     const rules = { sandboxes_max: 0, age_ms_max: 1e15, free_part_min: 0 };
     const swept = await module.sweepSandboxes('${work_dir}', 'a', rules, Date.now(), () => false, name => stuck.push(name));
     console.log(JSON.stringify({ swept: swept.map(({ tasks }) => tasks[0]).sort(), stuck }));`,
  );
  t.deepEqual(JSON.parse(told), { swept: ['old', 'older'], stuck: is_root ? ['stuck'] : [] });
  t.deepEqual(readdirSync(join(work_dir, 'sandboxes', 'a')), is_root ? ['stuck'] : []);
});

test('a secret that comes when its task has ended is given to nobody', async t => {
  const path = folder(t);
  writeFileSync(join(path, 'key'), 'k');
  const stop = new AbortController();
  const wishes = { variables: [{ name: 'KEY', of: 'key' }], files: [{ name: 'key', of: 'key' }] };
  const got = getSecrets(wishes, { type: 'folder', path }, stop.signal);
  stop.abort();
  await t.throwsAsync(got);
});

test('a container that runs on without its engine, as somebody whom the agent may not end, is told as lost', async t => {
  const work_dir = folder(t);
  // Somebody else's, who lives as long as the machine does.
  const first = identityOf(1, bootId());
  mkdirSync(join(work_dir, 'containers'));
  writeFileSync(join(work_dir, 'containers', 'task'), JSON.stringify({ started: { at_ms: 0, process: first } }));
  const told = await asNobody(
    'docker/containers.ts',
    `const docker = { ...module.docker_defaults, address: { socketPath: '${work_dir}/no.sock' } };
     const log = { info() {}, warn() {}, error() {} };
     const containers = module.hostContainers({ work_dir: '${work_dir}', agent_id: 'a', docker, log });
     console.log(JSON.stringify(await containers.settle('task', '${bootId()}')));`,
  );
  const { type, message } = JSON.parse(told);
  t.is(type, 'lost');
  t.regex(message, /^its attendant is gone, and no Docker engine answers at /);
});
