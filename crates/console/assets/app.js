// The frame round every page: the name of the system, the pages, what has been said, and the keys.

import { h, link, mark, replace, say } from './dom.js';
import { get } from './net.js';
import * as router from './router.js';
import * as store from './store.js';
import { help, search } from './search.js';
import { stacks } from './stack.js';
import { stamp } from './time.js';

// Pages that are not in the list, and the one under which they are.
const UNDER = { streams: 'state' };
const ALERTS_MS = 15000;
// When the other pages are fetched, after the first one is there.
const OTHERS_MS = 1500;

// Name, title, the key after `g`.
export const PAGES = [
  ['map', 'Map', 'm'],
  ['services', 'Services', 's'],
  ['traces', 'Traces', 't'],
  ['logs', 'Logs', 'l'],
  ['graphs', 'Metrics', 'r'],
  ['slos', 'SLOs', 'o'],
  ['messages', 'Messages', 'e'],
  ['state', 'State', 'd'],
  ['policies', 'Policies', 'p'],
  ['break', 'Break something', 'b'],
  ['manifest', 'Manifest', 'f'],
];

function frame() {
  const name = h('a', { class: 'name', href: '/map' }, 'Colony');
  const live = h('span', { class: 'connection' });
  const faults = link('/break', { class: 'bad', hidden: true });
  const alerts = link('/slos', { class: 'bad', hidden: true });
  replace(
    document.getElementById('top'),
    h('img', { src: new URL('mark.svg', import.meta.url).href, alt: '' }),
    name,
    h('span', { class: 'grow' }),
    faults,
    alerts,
    live,
    h('button', { class: 'plain', onclick: search, title: 'Search ( / )' }, 'Search'),
    h('button', { class: 'plain less', onclick: help, title: 'Keys ( ? )' }, 'Keys'),
  );
  get('/api/status').then((status) => {
    say(name, status.name);
    title();
  }, () => {});
  watchAlerts(alerts);
  store.watch(() => {
    const { state, isLost } = store.connection;
    const told = isLost ? 'lost' : state === 'connecting' ? state : 'live';
    mark(live, 'data-state', told);
    say(live, { live: 'live', lost: 'connection lost', connecting: 'connecting' }[told]);
    tellLost();
    const count = store.all('fault/').length;
    faults.hidden = count === 0;
    say(faults, count === 1 ? '1 fault' : `${count} faults`);
  });
}

// What is shown while the node is not heard of is of another time: that is said, and it does not look as if it were of now.
function tellLost() {
  const { isLost, until } = store.connection;
  mark(document.body, 'data-lost', isLost ? '' : null);
  const utc = router.place().query.utc === 'true';
  const since = until === null ? '' : ` What is shown is as it was at ${stamp(until, utc)}${utc ? ' UTC' : ''}.`;
  say(document.getElementById('lost'), isLost ? `The node does not answer.${since}` : '');
}

// A page that one went to while the node did not answer could not be told what it asked for: it is built once more then.
function rebuild() {
  let isOwing = false;
  document.addEventListener('colony:page', () => { isOwing = store.connection.state === 'lost'; });
  store.watch(() => {
    if (!isOwing || store.connection.state !== 'live') return;
    isOwing = false;
    router.anew();
  });
}

// What fires, told on every page.
function watchAlerts(element) {
  const look = () => {
    if (document.hidden) return;
    get('/api/slos').then(({ alerts }) => {
      // Of one thing there may be a page and a ticket.
      const all = [...new Map(alerts.map(({ key, summary }) => [key.replace(/ (page|ticket)$/, ''), summary])).values()];
      element.hidden = all.length === 0;
      say(element, all.length === 1 ? '1 alert' : `${all.length} alerts`);
      mark(element, 'title', all.join('\n'));
    }, () => {});
  };
  setInterval(look, ALERTS_MS);
  document.addEventListener('visibilitychange', look);
  look();
}

// What it is that one looks at comes first, for tabs show no more.
function title() {
  const at = router.place();
  const page = PAGES.find(([name]) => name === (UNDER[at.name] ?? at.name));
  const what = [...at.rest.toReversed(), page?.[1]].filter(Boolean).join(' – ');
  document.title = `${what || 'Colony'} – ${document.querySelector('#top .name').textContent}`;
}

function nav() {
  const links = PAGES.map(([name, title, key]) => link(`/${name}`, { 'data-page': name }, title, h('kbd', {}, `g ${key}`)));
  replace(document.getElementById('nav'), links);
  document.addEventListener('colony:page', ({ detail }) => {
    for (const one of links) mark(one, 'aria-current', one.dataset.page === (UNDER[detail.name] ?? detail.name) ? 'page' : null);
    // On a phone there is not room for all.
    links.find((one) => one.hasAttribute('aria-current'))?.scrollIntoView({ block: 'nearest', inline: 'center' });
    title();
  });
}

function keys() {
  let after = 0;
  document.addEventListener('keydown', (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.target.closest('input, textarea, select, [contenteditable]')) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const page = PAGES.find(([, , key]) => key === event.key);
    if (event.key === '/') search();
    else if (event.key === '?') help();
    else if (event.key === 'g') after = Date.now();
    else if (page && Date.now() - after < 1500) {
      after = 0;
      router.go(`/${page[0]}`);
      document.getElementById('page').focus({ preventScroll: true });
    } else return;
    event.preventDefault();
  });
}

// Pages whose modules could not be fetched. Browsers remember that of a document, so that only another document is of use.
const failed = new Set();

// The module of a page, which makes the page known. It has the page's name.
const tried = (name) => import(`./${name}.js`).catch((error) => {
  failed.add(name);
  throw error;
});

// The same for who goes to the page: one that failed has the document load anew where the node can be asked. The address is the page's already.
async function fetched(name) {
  if (!failed.has(name)) return tried(name);
  if (store.connection.state !== 'live') throw new Error(`${name}.js could not be fetched`);
  location.reload();
  return new Promise(() => {});
}

// Instead of a page that could not be fetched. It is tried again when the connection was lost and is back, and when one comes here again; not
// over and over, for the file may be gone for good.
function unloaded(root, at, signal) {
  root.append(
    h('div', { class: 'head' }, h('h1', {}, 'This page could not be fetched')),
    h('p', {}, 'The node does not answer, or has another version by now.'),
    h('p', {}, h('button', { onclick: () => location.reload() }, 'Try again')),
  );
  let wasLost = false;
  store.watch(() => {
    wasLost ||= store.connection.state === 'lost';
    if (wasLost && store.connection.state === 'live') location.reload();
  }, signal);
}

const NAMES = [...PAGES.map(([name]) => name), ...Object.keys(UNDER)];

// So that what is looked at next is there, also when the node is not. A tab that nobody sees asks for nothing.
function others() {
  const begin = () => requestIdleCallback(() => {
    if (document.hidden) return document.addEventListener('visibilitychange', begin, { once: true });
    for (const name of NAMES) tried(name).catch(() => {});
  });
  setTimeout(begin, OTHERS_MS);
}

stacks(document.getElementById('page'));
frame();
rebuild();
nav();
keys();
store.begin();
router.begin({ names: NAMES, fetched, unloaded });
others();
