// The API: documents, and why there are none; and what changes, as it does.

export class Refused extends Error {
  constructor(problem, status) {
    super([problem?.detail ?? `the node answered ${status}`, problem?.remedy].filter(Boolean).join('; '));
    this.status = status;
  }
}

async function ask(method, path, body) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused({ detail: 'the node does not answer' }, 0);
  }
  const document = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(document, answer.status);
  return document;
}

export const get = (path) => ask('GET', path);
export const post = (path, body) => ask('POST', path, body);
export const put = (path, body) => ask('PUT', path, body);
export const remove = (path) => ask('DELETE', path);

// A name as a part of a path.
export const part = (name) => encodeURIComponent(name);

// `?a=1&b=2`, without what is not set.
export function query(parameters) {
  const set = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return set.length ? `?${new URLSearchParams(set)}` : '';
}

// How long until it is tried again where the answer was no stream of events; otherwise browsers do that by themselves.
const AGAIN_MS = 2000;

// Follows events while somebody looks: browsers have few connections to a host, which all tabs share, so that a page that is hidden lets go
// of its own, and goes on where it was when it is shown again. `told(state)` hears of `live` and `lost`.
export function follow(parameters, listeners, { told = () => {}, signal } = {}) {
  let [source, known, wait] = [null, null, null];
  const close = () => {
    clearTimeout(wait);
    source?.close();
    source = null;
  };
  const open = () => {
    if (source || document.hidden || signal?.aborted) return;
    clearTimeout(wait);
    source = new EventSource(`/api/events${query({ ...parameters, after: known })}`);
    source.addEventListener('open', () => told('live'));
    source.addEventListener('error', ({ target }) => {
      told('lost');
      if (target.readyState !== EventSource.CLOSED || target !== source) return;
      source = null;
      wait = setTimeout(open, AGAIN_MS);
    });
    for (const [name, take] of Object.entries(listeners)) {
      source.addEventListener(name, ({ data, lastEventId }) => {
        known = lastEventId;
        take(JSON.parse(data));
      });
    }
  };
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()), { signal });
  signal?.addEventListener('abort', close);
  open();
}
