// Objectives: what is promised, what is left of the error budget, how fast it is spent, and the alerts with what changed when they began.

import { nearest } from './curves.js';
import { h, Keyed, link, mark, renew, replace, say } from './dom.js';
import { count } from './format.js';
import { get } from './net.js';
import { plot, Sight } from './plot.js';
import { address, page } from './router.js';
import { told } from './scale.js';
import * as store from './store.js';
import { duration, MINUTE, stamp } from './time.js';

const EVERY = 5000;
const BUDGET_HEIGHT = 128;
// How long before an alert requests may tell why.
const BEFORE = 5 * MINUTE;

const MANIFEST = 'slo:\n  checkout: { availability: 99.9%, latency: 300ms at p99, window: 30d }\n  payments: { availability: 99.5% }';

// A share of requests as one writes it down: no more digits than it has.
const percent = (share) => `${Number((share * 100).toFixed(4))} %`;
const left = (share) => told('share', share >= 0.9995 && share < 1 ? Math.floor(share * 1000) / 1000 : share);
const rate = (burn) => (burn >= 100 ? Math.round(burn).toLocaleString('en') : burn >= 10 ? burn.toFixed(1) : burn.toFixed(2));

function long(ms) {
  const [size, word] = [[24 * 60 * MINUTE, 'days'], [60 * MINUTE, 'hours'], [MINUTE, 'minutes']].find(([one]) => ms >= one && ms % one === 0) ?? [1000, 'seconds'];
  return `${ms / size} ${ms === size ? word.slice(0, -1) : word}`;
}

const state = ({ budget_left, alert }) => (budget_left <= 0 || alert === 'page' ? 'bad' : alert ? 'warn' : 'good');
const word = ({ budget_left, alert }) => [budget_left <= 0 ? 'budget spent' : null, alert ? `${alert}: it burns` : null].filter(Boolean).join(', ') || 'kept';
const promise = ({ objective, target, within_ms, window_ms }) =>
  `${percent(target)} ${objective === 'latency' ? `within ${told('seconds', within_ms / 1000)}` : 'answered'}, over ${long(window_ms)}`;

// The requests that spend the budget.
function requests({ service, objective, within_ms }, range) {
  const what = objective === 'latency' ? { slower: `${within_ms}ms` } : { error: 'true' };
  return address('traces', [], { attribute: `peer.service=${service}`, ...what, ...range });
}

page('slos', (root, at, signal) => {
  const wrong = h('p', { class: 'bad', hidden: true });
  const firing = h('div', {});
  const objectives = h('div', { class: 'objectives' });
  const past = h('div', {});
  const none = h('div', { hidden: true }, h('p', {}, 'Nothing is promised yet. An objective says which share of the requests to a service or an external has to be good; ',
    'these lines in the manifest are all that it takes:'), h('pre', { class: 'block' }, MANIFEST), h('p', { class: 'after' }, 'It is counted from when the manifest is applied. ', link('/manifest', {}, 'The manifest')));
  const head = h('p', {});
  root.append(h('div', { class: 'head' }, h('h1', {}, at.rest[0] ?? 'SLOs'), head), wrong, none, firing, objectives, past);
  let [service, timer] = [at.rest[0] ?? null, null];
  const title = root.querySelector('h1');
  const shown = new Keyed(objectives, objective, (element, one) => element.show(one));
  signal.addEventListener('abort', () => { clearTimeout(timer); for (const element of objectives.children) element.end(); });
  const draw = async () => {
    clearTimeout(timer);
    try {
      const { slos, alerts, past: over = [] } = await get('/api/slos');
      if (signal.aborted) return;
      wrong.hidden = true;
      const all = slos.filter((one) => !service || one.service === service);
      const burning = slos.filter((one) => state(one) !== 'good').length;
      none.hidden = slos.length > 0;
      say(title, service ?? 'SLOs');
      replace(head, service ? link('/slos', {}, 'all objectives') : slos.length ? `${slos.length === 1 ? '1 objective' : `${slos.length} objectives`}, ${burning ? `${burning} in trouble` : 'all kept'}` : null);
      const matter = alerts.filter((one) => isAbout(one, service));
      const sent = matter.filter((one) => !one.inhibited).length;
      const ended = over.filter((one) => isAbout(one, service) && !one.inhibited);
      renew(firing, matter, () => (matter.length ? [h('h2', {}, sent === 1 ? 'An alert fires' : `${sent} alerts fire`), matter.map((one) => alert(one, slos))] : null));
      renew(past, ended, () => (ended.length ? [h('h2', {}, 'Alerts that are over'), ended.map((one) => alert(one, slos))] : null));
      const before = [...objectives.children];
      shown.show(all, (one) => `${one.service} ${one.objective}`);
      for (const element of before) if (!element.isConnected) element.end();
      if (service && !all.length) say(head, store.get(`node/${service}`) ? 'promises nothing' : 'There is no service and no external of that name.');
    } catch (error) {
      wrong.hidden = false;
      say(wrong, error.message);
    }
    if (!signal.aborted) timer = setTimeout(next, EVERY);
  };
  const next = () => { if (document.hidden) document.addEventListener('visibilitychange', next, { once: true, signal }); else draw(); };
  draw();
  return (to) => { service = to.rest[0] ?? null; draw(); };
});

const isAbout = ({ key }, service) => !service || [`slo ${service} `, `service ${service} `].some((start) => key.startsWith(start));

function alert({ key, severity, summary, since_ms, until_ms, changes, inhibited }, slos) {
  // Where somebody is paged, the ticket of the same objective says nothing more.
  if (inhibited) return h('div', { class: 'alert' }, h('p', { class: 'dim' }, `The ${severity} of the same objective is due, too, since ${stamp(since_ms)}; it is not sent while the page fires.`));
  const [, service, what] = key.match(/^slo (\S+) (availability|latency) /) ?? [];
  const promised = slos.find((one) => one.service === service && one.objective === what);
  const when = until_ms ? `${stamp(since_ms)} – ${stamp(until_ms)}` : `since ${stamp(since_ms)}`;
  const around = { from: since_ms - BEFORE, to: until_ms ? until_ms + MINUTE : null };
  return h('div', { class: 'alert' }, h('div', {}, h('p', { class: 'summary' }, h('span', { class: 'state', 'data-state': until_ms ? null : severity === 'page' ? 'bad' : 'warn' }, severity), ' ', summary),
    h('p', { class: 'dim' }, when, ' · ', link(address('graphs', [], { service, ...around }), {}, 'metrics of that time'),
      promised ? [' · ', link(requests(promised, around), {}, what === 'latency' ? 'slow requests' : 'failed requests')] : null)),
  h('div', {}, changes.length ? [h('p', { class: 'dim' }, 'What changed from 15 minutes before'), h('ol', { class: 'changes' }, changes.map((change) =>
    h('li', {}, h('time', {}, stamp(change.at_ms)), h('span', { class: 'kind', 'data-kind': change.kind }, change.kind), h('span', {}, change.text))))]
    : h('p', { class: 'dim' }, 'Nothing was changed from 15 minutes before.')));
}

// One objective: what is left, how fast it goes, and how it went.
function objective(one) {
  const standing = h('span', { class: 'state' });
  const bar = h('div', { class: 'budget', role: 'meter', 'aria-valuemin': 0, 'aria-valuemax': 1 }, h('i', {}));
  const much = h('span', { class: 'much' });
  const [counted, links] = [h('p', { class: 'dim' }), h('p', {})];
  const rules = h('tbody', {});
  const pointed = h('p', { class: 'dim' });
  let spent = [];
  const sight = new Sight({ onpoint: (at) => {
    const found = at === null ? null : nearest(spent, at);
    say(pointed, found ? `${stamp(found[0])}: ${told('share', found[1])} left` : 'Budget left since there were requests');
  } });
  sight.onpoint(null);
  const lines = plot(sight, { label: `Budget of ${one.service}`, height: BUDGET_HEIGHT, floor: -1 });
  const element = h('section', {}, h('div', { class: 'head' }, h('h2', {}, link(address('slos', [one.service]), {}, one.service), ` ${one.objective}`), h('span', { class: 'dim' }, promise(one)), h('span', { class: 'grow' }), standing),
    h('div', { class: 'standing' }, h('div', {}, h('div', { class: 'left' }, much, bar), counted, links),
      h('div', { class: 'wide' }, h('table', { class: 'rules' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Alert'), h('th', { scope: 'col', class: 'n' }, 'From'), h('th', { scope: 'col', class: 'n', colspan: 2 }, 'Burn rate now'))), rules)),
      h('div', {}, pointed, lines)));
  element.end = lines.end;
  element.show = (now) => {
    say(standing, word(now));
    mark(standing, 'data-state', state(now));
    const share = Math.max(0, Math.min(1, now.budget_left));
    mark(bar, 'aria-valuenow', share.toFixed(4));
    bar.firstChild.style.width = `${share * 100}%`;
    mark(bar, 'data-state', state(now));
    mark(bar, 'aria-label', `${left(now.budget_left)} of the budget left`);
    say(much, now.budget_left < 0 ? `spent ${rate(1 - now.budget_left)} times` : `${left(now.budget_left)} left`);
    mark(much, 'data-state', state(now));
    const allowed = now.requests * (1 - now.target);
    say(counted, now.requests ? `${count(now.bad)} of ${count(now.requests)} were ${now.objective === 'latency' ? 'too slow' : 'bad'}; ${allowed < 10 ? Number(allowed.toFixed(1)) : count(Math.floor(allowed))} may be` : 'There were no requests yet.');
    // What is kept of traces is a day's.
    const from = Math.max(now.spent[0]?.[0] ?? 0, Date.now() - Math.min(now.window_ms, duration('1d')));
    renew(links, [from - (from % MINUTE)], () => [link(requests(now, { from: from - (from % MINUTE) }), {}, now.objective === 'latency' ? 'Those that were too slow' : 'Those that failed'), ' · ',
      link(address('graphs', [], { service: now.service }), {}, 'Metrics')]);
    replace(rules, now.rules.map((rule) => h('tr', { class: rule.due ? 'due' : null }, h('td', {}, rule.severity), h('td', { class: 'n' }, `${rule.burn} ×`),
      [[rule.long, rule.long_burn], [rule.short, rule.short_burn]].map(([window, burn]) => h('td', { class: burn >= rule.burn ? 'n bad' : 'n' }, `${rate(burn)} × `, h('span', { class: 'dim window' }, `in ${window}`))))));
    spent = now.spent;
    const [first, end] = [now.spent[0]?.[0] ?? Date.now() - now.window_ms, now.spent.at(-1)?.[0] ?? Date.now()];
    sight.range = { from: first, to: Math.max(end, first + MINUTE), step: Math.max(MINUTE, (end - first) / 60) };
    lines.show(now.spent.length ? [{ id: 'left', name: 'budget left', labels: {}, points: now.spent, hue: 0, dash: 0 }] : [], 'share', 'There were no requests yet.');
  };
  return element;
}
