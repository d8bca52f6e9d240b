// What is the case, by key, fed by the one stream of events. Who wants to know of changes is called once a frame, whatever came.

const documents = new Map();
const watchers = new Set();
const history = new Map();
const HISTORY = 90;
let due = false;

export const connection = { state: 'connecting', since: Date.now() };

export const get = (key) => documents.get(key);

// All documents whose keys begin so, with the rest of the key.
export function all(prefix) {
  const found = [];
  for (const [key, value] of documents) {
    if (key.startsWith(prefix)) found.push({ id: key.slice(prefix.length), ...value });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

// Calls `tell` after changes, until `signal` aborts; and once for what is there.
export function watch(tell, signal) {
  watchers.add(tell);
  signal?.addEventListener('abort', () => watchers.delete(tell));
  tell();
}

// The last values of a number of a document, one a second, the oldest first.
export const past = (key, field) => (history.get(key) ?? []).map((point) => point[field] ?? null);

function told() {
  if (due) return;
  due = true;
  // A page that is not shown is told less often.
  const later = document.hidden ? (tell) => setTimeout(tell, 1000) : requestAnimationFrame;
  later(() => {
    due = false;
    for (const tell of watchers) tell();
  });
}

function be(state) {
  if (connection.state === state) return;
  Object.assign(connection, { state, since: Date.now() });
  told();
}

function remember() {
  for (const [key, value] of documents) {
    if (!key.startsWith('call/') && !key.startsWith('edge/')) continue;
    const points = history.get(key) ?? [];
    points.push({ rate: value.rate, errors: value.errors, p99_us: value.p99_us });
    if (points.length > HISTORY) points.shift();
    history.set(key, points);
  }
  for (const key of history.keys()) if (!documents.has(key)) history.delete(key);
}

export function begin() {
  const source = new EventSource('/api/events');
  source.addEventListener('open', () => be('live'));
  source.addEventListener('view', (event) => {
    documents.clear();
    for (const [key, value] of Object.entries(JSON.parse(event.data))) documents.set(key, value);
    be('live');
    told();
  });
  source.addEventListener('changes', (event) => {
    for (const [key, value] of Object.entries(JSON.parse(event.data))) {
      if (value === null) documents.delete(key);
      else documents.set(key, value);
    }
    told();
  });
  source.addEventListener('error', () => {
    be('lost');
    // After an answer that is no stream the browser does not try again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(begin, 2000);
  });
  if (!begin.remembers) begin.remembers = setInterval(remember, 1000);
}
