// What is the case, by key, fed by the one stream of events. Who wants to know of changes is called once a frame, whatever came.

import { follow } from './net.js';

const documents = new Map();
const watchers = new Set();
const history = new Map();
const HISTORY = 90;
let due = false;

// `state` is as it is just now, of which an interruption that nobody needs to know of is a part; `isLost` is what is to be told. `until` is when
// what is known was last brought up to date, null while it is and where it never was.
export const connection = { state: 'connecting', isLost: false, until: null };
// An interruption shorter than this is nobody's matter.
const LOST_MS = 2000;

export const get = (key) => documents.get(key);

// What has been asked for since the last change.
const lists = new Map();

// All documents whose keys begin so, with the rest of the key.
export function all(prefix) {
  const known = lists.get(prefix);
  if (known) return known;
  const found = [];
  for (const [key, value] of documents) {
    if (key.startsWith(prefix)) found.push({ id: key.slice(prefix.length), ...value });
  }
  found.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  lists.set(prefix, found);
  return found;
}

// Whether a queue is one that the node itself fills, with the runs of an application's jobs.
export const isOfJobs = (queue) => queue.startsWith('jobs/');

// Calls `tell` after changes, until `signal` aborts; and once for what is there.
export function watch(tell, signal) {
  watchers.add(tell);
  signal?.addEventListener('abort', () => watchers.delete(tell));
  tell();
}

// The last values of a number of a document, one a second, the oldest first.
export const past = (key, field) => (history.get(key) ?? []).map((point) => point[field] ?? null);

function told() {
  lists.clear();
  if (due) return;
  due = true;
  // Of a page that is not shown there are no frames.
  requestAnimationFrame(() => {
    due = false;
    for (const tell of watchers) tell();
  });
}

let losing = null;

function be(state) {
  if (state === 'live') connection.until = null;
  if (connection.state === state) return;
  if (state === 'lost' && connection.state === 'live') connection.until ??= Date.now();
  connection.state = state;
  clearTimeout(losing);
  if (state === 'lost') losing = setTimeout(() => { connection.isLost = true; told(); }, LOST_MS);
  else connection.isLost = false;
  told();
}

let remembered = Date.now();

function remember() {
  // What was while nobody looked is not known.
  if (document.hidden) return;
  const missed = Math.min(HISTORY, Math.max(0, Math.round((Date.now() - remembered) / 1000) - 1));
  remembered = Date.now();
  for (const [key, value] of documents) {
    if (!['call/', 'edge/', 'traffic/'].some((kind) => key.startsWith(kind))) continue;
    const points = [...(history.get(key) ?? []), ...Array(missed).fill({}), { rate: value.rate, errors: value.errors, p99_us: value.p99_us }];
    history.set(key, points.slice(-HISTORY));
  }
  for (const key of history.keys()) if (!documents.has(key)) history.delete(key);
}

export function begin() {
  follow({}, {
    view(all) {
      documents.clear();
      for (const [key, value] of Object.entries(all)) documents.set(key, value);
      told();
    },
    changes(some) {
      for (const [key, value] of Object.entries(some)) {
        if (value === null) documents.delete(key);
        else documents.set(key, value);
      }
      told();
    },
  }, { told: be });
  setInterval(remember, 1000);
  // Who does not look hears of nothing.
  document.addEventListener('visibilitychange', () => { if (document.hidden && connection.state === 'live') connection.until ??= Date.now(); });
}
