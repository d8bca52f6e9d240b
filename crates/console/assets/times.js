// Times of the clock and of a ruler: in the zone of who looks, or in UTC, and it is always said which. No element of the page is known
// here.

const two = (number) => String(number).padStart(2, '0');
const MINUTE_MS = 60000;

// How far a zone is before UTC at a time, in milliseconds.
const offset = (ms, utc) => (utc ? 0 : -new Date(ms).getTimezoneOffset() * MINUTE_MS);

const parts = (ms, utc) => {
  const [day, time] = new Date(ms + offset(ms, utc)).toISOString().split('T');
  return { day, time: time.slice(0, 12) };
};

// `14:03:07.120`
export const clock = (ms, utc) => parts(ms, utc).time;
// `2026-11-22 14:03:07.120`
export const moment = (ms, utc) => { const { day, time } = parts(ms, utc); return `${day} ${time}`; };

// The zone's name, as `UTC` or `UTC+02:00`.
export function zone(ms, utc) {
  const minutes = offset(ms, utc) / MINUTE_MS;
  if (minutes === 0) return 'UTC';
  const away = Math.abs(minutes);
  return `UTC${minutes < 0 ? '−' : '+'}${two(Math.floor(away / 60))}:${two(away % 60)}`;
}

// For a field of a form, and back; null where it is no time.
export const field = (ms, utc) => { const { day, time } = parts(ms, utc); return `${day}T${time.slice(0, 8)}`; };
export function ofField(text, utc) {
  const ms = Date.parse(utc ? `${text}Z` : text);
  return Number.isNaN(ms) ? null : ms;
}

const STEPS_MS = [10, 20, 50, 100, 200, 500, ...[1, 2, 5, 10, 15, 30].map((n) => n * 1000), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE_MS),
  ...[1, 2, 3, 6, 12, 24, 48, 168].map((n) => n * 60 * MINUTE_MS)];

// The least step that people count in of which no more than `most` fit.
export const step = (ms, most) => STEPS_MS.find((one) => ms / one <= most) ?? Math.ceil(ms / most / STEPS_MS.at(-1)) * STEPS_MS.at(-1);

// Where a ruler of times is marked, and what stands there: the day where another one begins.
export function marks(from, to, most, utc) {
  const by = step(to - from, most);
  const shift = offset(from, utc);
  const found = [];
  for (let at = Math.ceil((from + shift) / by) * by - shift; at <= to; at += by) {
    const { day, time } = parts(at, utc);
    const text = time === '00:00:00.000' ? day.slice(5) : time.slice(0, by < 1000 ? 12 : by < MINUTE_MS ? 8 : 5);
    found.push({ at, text });
  }
  return found;
}

// Nanoseconds as people say them.
export function took(ns) {
  const sign = ns < 0 ? '−' : '';
  const size = Math.abs(ns);
  if (size < 1e3) return `${sign}${Math.round(size)} ns`;
  if (size < 1e6) return `${sign}${Math.round(size / 1e3)} µs`;
  if (size < 1e7) return `${sign}${(size / 1e6).toFixed(1)} ms`;
  if (size < 1e9) return `${sign}${Math.round(size / 1e6)} ms`;
  if (size < 120e9) return `${sign}${(size / 1e9).toFixed(2)} s`;
  return `${sign}${Math.floor(size / 60e9)} min ${Math.round((size % 60e9) / 1e9)} s`;
}

// Where a ruler of durations is marked: round numbers, `most` at most.
export function ruler(fromNs, toNs, most) {
  const length = Math.max(1, toNs - fromNs);
  const power = 10 ** Math.floor(Math.log10(length / most));
  const by = [1, 2, 5, 10].map((n) => n * power).find((one) => length / one <= most) ?? 10 * power;
  const found = [];
  for (let at = Math.ceil(fromNs / by) * by; at <= toNs; at += by) found.push({ at, text: at === 0 ? '0' : round(at) });
  return found;
}

function round(ns) {
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]]) if (Math.abs(ns) >= size) return `${Number((ns / size).toPrecision(6))} ${unit}`;
  return `${Number(ns.toPrecision(6))} ns`;
}
