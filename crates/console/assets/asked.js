// What is asked of traces, as it stands in the address and as the API is asked: the parameters have the same names in both. No element
// of the page is known here.

import { duration as millis, moment } from './time.js';

const WORDS = ['service', 'name', 'error', 'slower', 'faster', 'text', 'caller', 'callee', 'from', 'to'];
const TIMES = ['from', 'to'];
// How the page looks at it: not the API's matter.
const LOOKS = ['utc'];

// From what stands behind the `?`, but for times that are none. `attribute` may stand there several times, and `since=1h` is `from=-1h`.
export function read(search) {
  const given = new URLSearchParams(search);
  const asked = { attribute: given.getAll('attribute').filter(Boolean) };
  for (const word of [...WORDS, ...LOOKS]) if (given.get(word)) asked[word] = given.get(word);
  if (given.get('since')) asked.from ??= `-${given.get('since')}`;
  for (const word of TIMES) if (asked[word] && moment(asked[word], Date.now()) === null) delete asked[word];
  return asked;
}

function pairs(asked, words) {
  const set = words.filter((word) => asked[word]).map((word) => [word, asked[word]]);
  return [...set, ...(asked.attribute ?? []).map((one) => ['attribute', one])];
}

const behind = (all) => (all.length ? `?${new URLSearchParams(all)}` : '');

// The address of a list.
export const address = (asked) => `/traces${behind(pairs(asked, [...WORDS, ...LOOKS]))}`;

// What the API is asked, in a stretch of time of its own.
export function query(asked, { from, to, ...more }) {
  const words = WORDS.filter((word) => !TIMES.includes(word));
  const time = Object.entries({ from, to, ...more }).filter(([, value]) => value !== undefined && value !== null);
  return behind([...pairs(asked, words), ...time.map(([key, value]) => [key, String(value)])]);
}

// A duration as the API reads it, of one as people write it; a number alone is milliseconds. Null: it is none.
export function duration(text) {
  const given = /^\s*[\d.]+\s*$/.test(text) ? `${text.trim()}ms` : text;
  const ms = millis(given);
  if (ms === null) return null;
  // The API reads one number with one unit.
  return /^\s*[\d.]+\s*[a-zµ]+\s*$/.test(given) ? given.replace(/\s+/g, '') : written(ms * 1e6);
}

// Nanoseconds as a duration that the API reads, as short as it can be told.
export function written(ns) {
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['us', 1e3]]) {
    if (ns >= size) return `${Number((ns / size).toPrecision(6))}${unit}`;
  }
  return `${Math.round(ns)}ns`;
}

// Whether anything but the time is asked for.
export const isNarrowed = (asked) =>
  asked.attribute.length > 0 || WORDS.some((word) => asked[word] && !TIMES.includes(word));

// A page of what is new, put to what was known: the newest first, each once. `fresh` is all that there is since `from`, or of that the
// newest where `isWhole` is false: where these do not reach back to what was known there is a gap, and what was known is left (`isAnew`).
// `gone` are those that were not decided on and are not kept.
export function merged(known, fresh, from, isWhole) {
  const since = isWhole ? from * 1000 : fresh.at(-1).start_us + 1;
  if (!isWhole && !(known.length && known[0].start_us >= since)) return { traces: fresh, gone: [], isAnew: true };
  const ids = new Set(fresh.map((one) => one.trace_id));
  const rest = known.filter((one) => !ids.has(one.trace_id));
  const gone = rest.filter((one) => !one.kept && one.start_us >= since).map((one) => one.trace_id);
  const traces = [...fresh, ...rest].sort((a, b) => b.start_us - a.start_us || (a.trace_id < b.trace_id ? 1 : -1));
  return { traces, gone, isAnew: false };
}
