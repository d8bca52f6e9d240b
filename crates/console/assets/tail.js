// Records of logs in the order in which they were written, as they are read: what came, what is earlier, and what an address asks for. No
// element of the page is known here.

import { moment } from './time.js';

// Levels as they stand beside a line: what matters stands out.
const LEVELS = { trace: 'trace', debug: 'debug', info: 'info', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
export const levelWord = (level) => LEVELS[level] ?? '';

// What narrows them, by the names of the API.
const WORDS = ['service', 'instance', 'level', 'text', 'event', 'trace', 'span'];

// What an address asks for; `since=1h` is `from=-1h`. A time that is none is left out, and where nothing is said a trace has its own.
export function read(search) {
  const given = new URLSearchParams(search);
  const asked = { attribute: given.getAll('attribute').filter(Boolean) };
  for (const word of [...WORDS, 'from', 'to', 'utc', 'line']) if (given.get(word)) asked[word] = given.get(word);
  if (given.get('since')) asked.from ??= `-${given.get('since')}`;
  for (const word of ['from', 'to']) if (asked[word] && moment(asked[word], 0) === null) delete asked[word];
  return asked;
}

// What the API is asked.
export function query(asked, more = {}) {
  const pairs = [...WORDS.filter((word) => asked[word]).map((word) => [word, asked[word]]), ...(asked.attribute ?? []).map((one) => ['attribute', one]),
    ...Object.entries(more).filter(([, value]) => value !== undefined && value !== null && value !== '')];
  return pairs.length ? `?${new URLSearchParams(pairs)}` : '';
}

export const isNarrowed = (asked) => asked.attribute.length > 0 || WORDS.some((word) => asked[word]);

// Which of two was written first.
export const order = (a, b) => a.at_us - b.at_us || a.seq - b.seq;

// A record by what stands in an address, and back.
export const keyOf = ({ at_us: at, seq }) => `${at}-${seq}`;
export function ofKey(text) {
  const found = /^(\d{1,16})-(\d{1,16})$/.exec(text ?? '');
  return found && { at_us: Number(found[1]), seq: Number(found[2]) };
}

// The place that the API calls `before`, of which all that is earlier than a record is the page; itself is too, for a place is told in nanoseconds.
export const placeBefore = ({ at_us: at, seq }) => `${at}999-${seq.toString(16)}`;

// How many of them were written before one: its place if it is among them.
export function placeOf(records, one) {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (order(records[middle], one) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Two lists in one, each record once; both are in order.
export function merged(known, came) {
  if (!came.length) return known;
  if (!known.length || order(known.at(-1), came[0]) < 0) return [...known, ...came];
  const all = [];
  let [a, b] = [0, 0];
  while (a < known.length || b < came.length) {
    const by = a === known.length ? 1 : b === came.length ? -1 : order(known[a], came[b]);
    all.push(by <= 0 ? known[a] : came[b]);
    if (by <= 0) a += 1;
    if (by >= 0) b += 1;
  }
  return all;
}
