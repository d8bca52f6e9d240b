// What is asked of traces, as it stands in the address and as the API is asked: the parameters have the same names in both. No element
// of the page is known here.

const WORDS = ['service', 'name', 'error', 'slower', 'faster', 'text', 'caller', 'callee', 'from', 'to', 'since'];
// How the page looks at it: not the API's matter.
const LOOKS = ['utc'];
export const HOUR_MS = 3600000;
// How far back it goes unless it is said.
export const SINCE = '15m';

// The latest that a clock can tell (ECMA-262, section 21.4.1.1).
const MOST_MS = 8.64e15;
const isTime = (text) => /^\d+(\.\d+)?$/.test(text) && Number(text) <= MOST_MS;

// From what stands behind the `?`, but for times that are none. `attribute` may stand there several times.
export function read(search) {
  const given = new URLSearchParams(search);
  const asked = { attribute: given.getAll('attribute').filter(Boolean) };
  for (const word of [...WORDS, ...LOOKS]) if (given.get(word)) asked[word] = given.get(word);
  for (const word of ['from', 'to']) if (asked[word] && !isTime(asked[word])) delete asked[word];
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
  const words = WORDS.filter((word) => !['from', 'to', 'since'].includes(word));
  const time = Object.entries({ from, to, ...more }).filter(([, value]) => value !== undefined && value !== null);
  return behind([...pairs(asked, words), ...time.map(([key, value]) => [key, String(value)])]);
}

// From when to when, in milliseconds since 1970; without an end it is now, and goes on. Without anything it is the last quarter of an hour.
export function range(asked, now) {
  const to = asked.to ? Number(asked.to) : now;
  const back = (nanos(asked.since) ?? nanos(SINCE)) / 1e6;
  const from = asked.from ? Number(asked.from) : to - back;
  return { from: Math.max(0, Math.floor(from)), to: Math.ceil(to), open: !asked.to };
}

const UNITS = { ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9, m: 60e9, min: 60e9, h: 3600e9, d: 86400e9 };

// A duration as people write it, in nanoseconds; a number alone is milliseconds. Null: it is none.
export function nanos(text) {
  const found = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ]*)\s*$/.exec(text ?? '');
  const unit = found && (found[2] === '' ? UNITS.ms : UNITS[found[2]]);
  return unit ? Number(found[1]) * unit : null;
}

// The same as the API reads it; null where it is none.
export const duration = (text) => {
  const known = nanos(text);
  if (known === null) return null;
  return /[a-zµ]/.test(text) ? text.replace(/\s+/g, '') : `${text.trim()}ms`;
};

// Nanoseconds as a duration that the API reads, as short as it can be told.
export function written(ns) {
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['us', 1e3]]) {
    if (ns >= size) return `${Number((ns / size).toPrecision(6))}${unit}`;
  }
  return `${Math.round(ns)}ns`;
}

// Whether anything but the time is asked for.
export const isNarrowed = (asked) =>
  asked.attribute.length > 0 || WORDS.some((word) => asked[word] && !['from', 'to', 'since'].includes(word));

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
