// State: what stores, streams, jobs, locks and configuration there are; the items of a store, and one with what has become of it.

import { ask } from './ask.js';
import { h, heads, link, renew, replace } from './dom.js';
import * as show from './format.js';
import { comparison, glimpse, value } from './json.js';
import { listing } from './listing.js';
import { get, part, put, query, remove } from './net.js';
import { missing } from './nowhere.js';
import { address, page, turn } from './router.js';
import { storeRow } from './streams.js';
import { dated } from './time.js';

page('state', (root, at, signal) => (at.rest[0] ? store(root, at.rest[0], at, signal) : every(root, signal)));

const some = (told) => (told.more ? `${show.count(told.items)} or more` : show.count(told.items));
const places = { disk: 'on disk', memory: 'in memory', outside: 'outside' };
const apps = ({ apps: all }) => (all.length > 3 ? h('span', { title: all.join(', ') }, `${all.length} applications`) : all.join(', '));

function kept(changes) {
  if (!changes) return 'no';
  const age = changes.age_ms ? `for ${show.span(changes.age_ms)}` : changes.count ? `the last ${show.count(changes.count)}` : 'yes';
  return changes.values ? `${age}, with values` : age;
}

const SCOPES_TOLD = 6;
// Where there is one, the number beside it is said already.
function scopes({ scopes: all, more_scopes: more }) {
  if (all.length === 1) return all[0].scope || 'none';
  const rest = all.length - SCOPES_TOLD;
  const told = all.slice(0, SCOPES_TOLD).map((scope) => `${scope.scope || 'none'} ${some(scope)}`).join(', ');
  return rest > 0 ? `${told}, and ${more ? 'more than ' : ''}${show.count(rest)} more` : told;
}

// A section that is there if it has rows, or says why there is none.
function section(root, title, none, names, ask) {
  const body = h('tbody', {});
  const note = h('p', { class: 'empty' }, 'Looking …');
  const wide = h('div', { class: 'wide', hidden: true }, h('table', {}, heads(...names), body));
  const whole = h('section', { 'aria-label': title }, h('h2', {}, title), note, wide);
  root.append(whole);
  ask().then(({ found, more }) => {
    wide.hidden = !found.length;
    note.hidden = found.length > 0 && !more;
    whole.hidden = !found.length && none === null;
    replace(note, found.length ? 'There are more than are shown.' : none);
    replace(body, found);
  }, (error) => replace(note, error.message));
}

function every(root) {
  root.append(h('div', { class: 'head' }, h('h1', {}, 'State')));
  section(root, 'Stores', 'No application has kept state yet.', ['Store', ' Items', 'Scopes', 'Changes kept', 'Where', 'Applications'], async () => {
    const told = await get('/api/state');
    const row = (one) => h('tr', {}, h('td', {}, one.place === 'outside' ? one.store : link(address('state', [one.store], { place: one.place === 'memory' ? 'memory' : '' }), {}, one.store)),
      h('td', { class: 'n' }, one.place === 'outside' ? show.NONE : some(one)), h('td', {}, scopes(one)),
      h('td', {}, one.place === 'outside' ? show.NONE : kept(one.changes)), h('td', {}, places[one.place]), h('td', {}, apps(one)));
    return { found: told.stores.map(row), more: told.more };
  });
  section(root, 'Streams', 'No store of event streams is defined.', ['Store', ' Events', 'Projections, and how far they are behind', 'Keeps'], async () => {
    const told = await get('/api/streams');
    return { found: told.stores.map(storeRow), more: told.more };
  });
  section(root, 'Jobs', null, ['Job', 'Application', 'Schedule', 'Next', 'Last', ' Runs'], async () => {
    const told = await get('/api/jobs');
    const row = (one) => h('tr', {}, h('td', { class: 'mono' }, one.name), h('td', {}, one.app), h('td', { class: 'mono' }, one.schedule ?? 'once'),
      h('td', { class: one.paused ? 'warn' : null }, one.paused ? 'paused' : one.next_unix_ms ? dated(one.next_unix_ms) : show.NONE), h('td', {}, show.ago(one.last_unix_ms)),
      h('td', { class: 'n' }, one.runs_max ? `${show.count(one.runs)} of ${show.count(one.runs_max)}` : show.count(one.runs)));
    return { found: told.jobs.map(row), more: told.more };
  });
  section(root, 'Locks that are held', null, ['Lock', 'Store', 'Scope', 'Owner', ' Token', 'Until'], async () => {
    const told = await get('/api/locks');
    const row = (one) => h('tr', {}, h('td', { class: 'mono' }, one.name), h('td', {}, one.store), h('td', {}, one.scope), h('td', { class: 'mono' }, one.owner), h('td', { class: 'n' }, one.token), h('td', {}, dated(one.until_unix_ms)));
    return { found: told.locks.map(row), more: told.more };
  });
  section(root, 'Configuration', null, ['Key', 'Store', 'Value', 'Version', ' Revision'], async () => {
    const told = await get('/api/configuration');
    const row = (one) => h('tr', {}, h('td', { class: 'mono' }, one.key), h('td', {}, one.store), h('td', {}, value(one.value)), h('td', {}, one.version), h('td', { class: 'n' }, one.revision));
    return { found: told.items.map(row), more: told.more };
  });
}

function store(root, name, at, signal) {
  let { query: how } = at;
  const path = `/api/state/${part(name)}`;
  const prefix = h('input', { type: 'search', 'aria-label': 'Keys that begin with', placeholder: 'Keys that begin with …', value: how.prefix ?? '' });
  const begins = h('input', { type: 'search', 'aria-label': 'Scopes that begin with', placeholder: 'Scopes that begin with …', hidden: true, value: how.scope_prefix ?? '' });
  const scope = h('select', { 'aria-label': 'Scope', hidden: true, onchange: () => turn({ scope: scope.value, key: '', in: '', from: '', to: '' }) });
  const detail = h('aside', { 'aria-label': 'Item', 'aria-live': 'polite' });
  const whole = h('div', { class: 'both browse' });
  let wait;
  for (const [field, name] of [[prefix, 'prefix'], [begins, 'scope_prefix']]) {
    field.addEventListener('input', () => {
      clearTimeout(wait);
      wait = setTimeout(() => turn({ [name]: field.value, ...(field === begins ? { scope: '' } : {}) }, { replace: true }), 150);
    });
  }
  const isOn = (item) => item.key === how.key && item.scope === (how.in ?? item.scope);
  const list = listing({
    label: `Items of ${name}`,
    heads: ['Key', 'Value', 'Size'].map((head, i) => h('span', { class: ['key', 'glimpse', 'size'][i] }, head)),
    key: (item) => JSON.stringify([item.scope, item.key]),
    cells: (item) => [h('span', { class: 'key' }, item.key), h('span', { class: 'glimpse' }, glimpse(item.value)), h('span', { class: 'size' }, show.bytes(item.bytes))],
    to: (item) => address('state', [name], { ...how, key: item.key, in: item.scope, from: '', to: '' }),
    isOn,
    empty: 'There are no such items.',
    more: async (after) => {
      const told = await get(`${path}${query({ place: how.place, scope: how.scope, scope_prefix: how.scope_prefix, prefix: how.prefix, after, limit: 200 })}`);
      begins.hidden = !told.more_scopes && !how.scope_prefix;
      const offered = how.scope && !told.scopes.includes(how.scope) ? [how.scope, ...told.scopes] : told.scopes;
      scope.hidden = offered.length < 2 && begins.hidden;
      renew(scope, [offered, told.more_scopes], () => [h('option', { value: '' }, how.scope_prefix ? 'All of these scopes' : 'All scopes'), offered.map((one) => h('option', { value: one }, one || 'none')),
        told.more_scopes ? h('option', { disabled: true }, `More than ${show.count(told.scopes.length)}: say how they begin`) : null]);
      scope.value = how.scope ?? '';
      return told;
    },
  }, signal);
  root.append(h('div', { class: 'head' }, h('h1', {}, link('/state', {}, 'State'), ` / ${name}`)), h('div', { class: 'row browse-by' }, prefix, begins, scope), replace(whole, list, detail));
  let known;
  const look = async () => {
    whole.toggleAttribute('data-on', how.key !== undefined);
    const key = JSON.stringify([how.key, how.in, how.place]);
    if (known !== key) replace(detail);
    known = key;
    if (how.key === undefined) return;
    try {
      const found = await get(`${path}/${part(how.key)}${query({ place: how.place, scope: how.in })}`);
      if (known === key && !signal.aborted) item(detail, path, found, how, { again: look, anew: list.anew });
    } catch (error) {
      if (known === key) replace(detail, h('h2', { class: 'mono' }, how.key), h('p', { class: 'bad' }, error.message));
    }
  };
  look();
  get('/api/state').then((all) => { if (!all.more && !signal.aborted && !all.stores.some((one) => one.store === name)) missing(root, 'store', name, '/state', 'All stores'); }, () => {});
  return (to) => {
    const before = how;
    how = to.query;
    if (['prefix', 'scope', 'scope_prefix', 'place'].some((field) => (before[field] ?? '') !== (how[field] ?? ''))) list.anew();
    if (document.activeElement !== prefix) prefix.value = how.prefix ?? '';
    if (document.activeElement !== begins) begins.value = how.scope_prefix ?? '';
    list.redraw();
    look();
  };
}

function item(root, path, found, how, { again, anew }) {
  const place = query({ place: how.place, scope: found.scope });
  const isThere = found.etag !== undefined;
  const pairs = [['Scope', found.scope || 'none'], ['Size', isThere && show.bytes(found.value.bytes)], ['ETag', isThere && h('span', { class: 'mono' }, found.etag)],
    ['Expires', found.expires_unix_ms && dated(found.expires_unix_ms)], ['', found.hidden && h('span', { class: 'dim' }, 'Secrets of the manifest are hidden in it.')]].filter(([, text]) => text);
  const changes = found.history?.changes ?? [];
  const versions = changes.filter((change) => change.value).map((change) => [change.etag, `ETag ${change.etag}, ${dated(change.unix_ms).slice(5, -4)}`, change.value]);
  if (isThere && !versions.some(([etag]) => etag === found.etag)) versions.unshift([found.etag, `ETag ${found.etag}, now`, found.value]);
  const body = h('div', {}, isThere ? h('div', { class: 'block' }, value(found.value)) : h('p', { class: 'dim' }, 'It is gone.'));
  const canEdit = isThere && found.value.text !== undefined && !found.value.cut && !found.hidden;
  const asked = () => ask(`Delete ${found.key}?`, 'The applications that use it find nothing there.', 'Delete', async () => {
    await remove(`${path}/${part(found.key)}${query({ place: how.place, scope: found.scope, etag: found.etag })}`);
    anew();
    again();
    return `${found.key} was deleted`;
  });
  replace(root,
    h('div', { class: 'head' }, h('h2', { class: 'mono' }, found.key), h('span', { class: 'grow' }),
      canEdit ? h('button', { 'data-edit': true, onclick: () => edit(body, found, `${path}/${part(found.key)}${place}`, () => { anew(); again(); }) }, 'Edit') : null,
      isThere ? h('button', { class: 'danger', 'data-delete': true, onclick: asked }, 'Delete') : null,
      h('button', { class: 'plain', onclick: () => turn({ key: null, in: null, from: null, to: null }) }, 'Close')),
    h('dl', { class: 'short' }, pairs.map(([name, text]) => [h('dt', {}, name), h('dd', {}, text)])), body,
    h('h3', {}, 'History'),
    found.history === null ? h('p', { class: 'dim' }, 'The store keeps no changes.') : [
      comparison(versions, [how.from, how.to], ([from, to]) => turn({ from, to }, { replace: true })),
      h('ol', { class: 'history' }, changes.map((change) => h('li', {}, h('time', {}, dated(change.unix_ms)), ' ', change.etag ? `put, ETag ${change.etag}` : h('span', { class: 'warn' }, 'deleted or expired'),
        change.value ? h('details', {}, h('summary', {}, show.bytes(change.value.bytes)), value(change.value)) : null))),
      changes.length ? null : h('p', { class: 'dim' }, 'No change of it is kept.'), found.history.whole ? null : h('p', { class: 'dim' }, 'Earlier changes are not shown.')]);
}

function edit(body, found, path, done) {
  const text = h('textarea', { 'aria-label': `Value of ${found.key}`, spellcheck: 'false' }, found.value.text);
  text.rows = Math.min(24, Math.max(5, found.value.text.split('\n').length + 1));
  const save = h('button', { class: 'main', 'data-save': true, onclick: () => ask(`Put this in place of ${found.key}?`, 'It is put only if the item has not changed since it was shown.', 'Put', async () => {
    const is = await put(path, { etag: found.etag, value: text.value });
    done();
    return `saved, ETag ${is.etag}`;
  }) }, 'Save');
  replace(body, text, h('p', {}), h('div', { class: 'row' }, save, h('button', { onclick: () => replace(body, h('div', { class: 'block' }, value(found.value))) }, 'Cancel')));
  text.focus();
}
