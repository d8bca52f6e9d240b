// The API: documents, and why there are none.

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
