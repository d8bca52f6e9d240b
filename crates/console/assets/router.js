// Every state is an address: a path for the page and what it is about, a query for how it is looked at.

const pages = new Map();
// Which pages there are, what fetches the module of one, and what is shown if it cannot be had.
let given = { names: [], fetched: async () => {}, unloaded: () => {} };
let current = null;
// The page whose module is awaited, to be shown then if one has not gone elsewhere meanwhile.
let awaited = null;

// A page is a function of (root, place, signal): it fills the root, and lets go of what it holds when the signal aborts. Where it
// returns a function, that is called where only the query has changed, rather than building it anew.
export const page = (name, build) => pages.set(name, build);

// What is no text stays as it is.
function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

export function place() {
  const [name = '', ...rest] = location.pathname.split('/').filter(Boolean).map(decoded);
  return { name: name || 'map', rest, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

// All values of a parameter that may stand there several times.
export const several = (name) => new URLSearchParams(location.search).getAll(name);

// Of a list each stands for itself, under the same name.
export function address(name, rest = [], query = {}) {
  const all = Object.entries(query).flatMap(([key, value]) => (Array.isArray(value) ? value.map((one) => [key, one]) : [[key, value]]));
  const set = all.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const path = `/${[name, ...rest].map(encodeURIComponent).join('/')}`;
  return set.length ? `${path}?${new URLSearchParams(set)}` : path;
}

export function go(to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  show();
}

// The same page, looked at otherwise.
export function turn(changes, options) {
  const { name, rest, query } = place();
  const kept = Object.fromEntries(Object.keys(query).map((key) => [key, several(key)]));
  go(address(name, rest, { ...kept, ...changes }), options);
}

export function show() {
  const at = place();
  const name = given.names.includes(at.name) ? at.name : 'nowhere';
  const build = pages.get(name);
  if (build) return built(build, at);
  if (awaited === name) return;
  awaited = name;
  const shown = () => { if (awaited === name) built(pages.get(name) ?? given.unloaded, place()); };
  given.fetched(name).then(shown, shown);
}

function built(build, at) {
  awaited = null;
  if (current?.build === build && current.path === location.pathname && current.update) return current.update(at);
  current?.ended.abort();
  const root = document.getElementById('page');
  root.replaceChildren();
  root.scrollTop = 0;
  const ended = new AbortController();
  current = { build, ended, path: location.pathname };
  current.update = build(root, at, ended.signal);
  document.dispatchEvent(new CustomEvent('colony:page', { detail: at }));
}

// Builds what is shown once more.
export function anew() {
  if (current) current.build = null;
  show();
}

export function begin(told) {
  given = told;
  addEventListener('popstate', show);
  document.addEventListener('click', (event) => {
    const from = event.target.closest?.('a[href]');
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!from || !plain || event.defaultPrevented || from.target) return;
    const to = new URL(from.href);
    if (to.origin !== location.origin || from.getAttribute('href').startsWith('#') || to.pathname.startsWith('/api/')) return;
    event.preventDefault();
    go(to.pathname + to.search);
    document.dispatchEvent(new CustomEvent('colony:page', { detail: place() }));
  });
  show();
}
