// api.js: what the page asks of the scheduler over REST. Every answer is a value; a refusal is one too.

export const jobPath = key => `/api/v1/jobs/${key.split('/').map(encodeURIComponent).join('/')}`;
export const jobHash = key => `#/jobs/${key.split('/').map(encodeURIComponent).join('/')}`;
export const runPath = (key, run) => `${jobPath(key)}/runs/${encodeURIComponent(run)}`;

/** `{ ok: true, status, body, etag }` or `{ ok: false, status, message, problems }`. */
async function ask(method, path, { body, type, headers = {} } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': type }), ...headers },
      body,
    });
  } catch {
    return { ok: false, status: 0, message: 'The scheduler cannot be reached.', problems: [] };
  }
  const text = await response.text();
  const json =
    /\bjson\b/.test(response.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : undefined;
  if (response.ok) return { ok: true, status: response.status, body: json, etag: response.headers.get('etag') };
  return {
    ok: false,
    status: response.status,
    message: json?.detail ?? json?.title ?? `The scheduler answered ${response.status}.`,
    problems: json?.problems ?? [],
  };
}

const document_type = text => (text.trimStart().startsWith('{') ? 'application/json' : 'application/yaml');

export const readJob = key => ask('GET', jobPath(key));
export const createJob = text => ask('POST', '/api/v1/jobs', { body: text, type: document_type(text) });
export const replaceJob = (key, text, etag) =>
  ask('PUT', jobPath(key), { body: text, type: document_type(text), headers: { 'if-match': etag } });
/** `children`: what becomes of jobs that follow it. */
export const deleteJob = (key, etag, children) =>
  ask('DELETE', `${jobPath(key)}${children === undefined ? '' : `?children=${children}`}`, {
    headers: { 'if-match': etag },
  });
export const clearTokens = key => ask('DELETE', `${jobPath(key)}/tokens`);
export const startRun = key => ask('POST', `${jobPath(key)}/runs`);
export const killRun = (key, run) => ask('DELETE', runPath(key, run));
export const killAll = key => ask('POST', `${jobPath(key)}/kill`);
export const setEnabled = (key, enabled) => ask('POST', `${jobPath(key)}/${enabled ? 'enable' : 'disable'}`);

export const pauseJob = (key, note) =>
  ask('POST', `${jobPath(key)}/pause`, { body: JSON.stringify({ note }), type: 'application/json' });
export const resumeJob = key => ask('POST', `${jobPath(key)}/resume`);
/** `wanted`: `{ from, to, schedule?, overlap?, limit? }`, instants in ISO 8601. */
export const backfillJob = (key, wanted) =>
  ask('POST', `${jobPath(key)}/backfill`, { body: JSON.stringify(wanted), type: 'application/json' });

export const readInstance = (key, run, index) => ask('GET', `${runPath(key, run)}/instances/${index}`);
export const readUsage = (key, run, index) => ask('GET', `${runPath(key, run)}/instances/${index}/usage`);
/** `wish`: `{ minutes }`, or nothing: until it is woken. */
export const snoozeInstance = (key, index, wish) =>
  ask('POST', `${jobPath(key)}/instances/${index}/snooze`, { body: JSON.stringify(wish), type: 'application/json' });
export const wakeInstance = (key, index) => ask('POST', `${jobPath(key)}/instances/${index}/wake`);

/** `what`: pause, resume, rollback or abort. */
export const steerUpdate = (key, id, what) => ask('POST', `${jobPath(key)}/updates/${encodeURIComponent(id)}/${what}`);

export const readSwept = () => ask('GET', '/api/v1/sandboxes/swept');
const letterPath = id => `/api/v1/notifications/${encodeURIComponent(id)}`;
/** `state`: pending, dead or delivered. */
export const readLetters = state => ask('GET', `/api/v1/notifications?state=${state}`);
export const retryLetter = id => ask('POST', `${letterPath(id)}/retry`);
export const deleteLetter = id => ask('DELETE', letterPath(id));
const calendarPath = name => `/api/v1/calendars/${encodeURIComponent(name)}`;
export const readCalendars = () => ask('GET', '/api/v1/calendars');
export const readCalendar = name => ask('GET', calendarPath(name));
export const putCalendar = (name, text, etag) =>
  ask('PUT', calendarPath(name), {
    body: text,
    type: /^BEGIN:VCALENDAR/i.test(text.trimStart()) ? 'text/calendar' : document_type(text),
    headers: etag === undefined ? {} : { 'if-match': etag },
  });
export const deleteCalendar = name => ask('DELETE', calendarPath(name));

/** A page of what has been. `path` is the first, or what the page before calls `next`. */
export const readPage = path => ask('GET', path);

export const logPath = (key, run, index, stream) => `${runPath(key, run)}/logs/${index}/${stream}`;
export const readLog = path => ask('GET', path);

export const filesPath = (key, run, index) => `${runPath(key, run)}/instances/${index}/files`;
/** Up to `rows` entries of a folder, page by page: `{ ok: true, entries, is_all }`. */
export async function readFolder(files, { path, attempt, rows }) {
  const entries = [];
  let next;
  while (entries.length < rows) {
    const query = new URLSearchParams({ path, limit: String(rows - entries.length) });
    if (attempt !== undefined) query.set('attempt', attempt);
    if (next !== undefined) query.set('after', next);
    const answer = await ask('GET', `${files}?${query}`);
    if (!answer.ok) return answer;
    entries.push(...answer.body.entries);
    next = answer.body.next;
    if (next === undefined) break;
  }
  return { ok: true, entries, is_all: next === undefined };
}

/** At most `count` bytes of a file, and how many it has: `{ ok: true, bytes, size }`. */
export async function readBytes(url, from, count) {
  try {
    const response = await fetch(url, { headers: { range: `bytes=${from}-${from + count - 1}` } });
    const [, size] = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? [];
    if (response.status === 416) return { ok: true, bytes: new Uint8Array(0), size: Number(size) };
    if (response.ok) return { ok: true, bytes: new Uint8Array(await response.arrayBuffer()), size: Number(size) };
    return await refusalOf(response);
  } catch {
    return { ok: false, status: 0, message: 'The scheduler cannot be reached.' };
  }
}

export async function refusalOf(response) {
  const told = await response.json().catch(() => undefined);
  const message = told?.detail ?? told?.title ?? `The scheduler answered ${response.status}.`;
  return { ok: false, status: response.status, message };
}
