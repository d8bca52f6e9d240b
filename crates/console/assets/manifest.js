// The manifest: as applied, as written, and what is between.

import { h, link, replace } from './dom.js';
import { get, post } from './net.js';
import { address, page } from './router.js';
import { doing } from './say.js';

const TABS = [['applied', 'As applied'], ['written', 'As written'], ['difference', 'Difference']];

page('manifest', (root, at) => {
  const tabs = h('div', { class: 'tabs' });
  const body = h('div', {});
  const head = h('p', {});
  const apply = h('button', { onclick: () => doing(apply, (report) => (report.applied ? 'applied' : 'not applied: see what is wrong with `colony check`'), () => post('/api/apply').then((report) => { load(); return report; })) }, 'Apply what is written');
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Manifest'), head, h('span', { class: 'grow' }), apply), tabs, body);
  let [told, tab] = [null, at.query.tab ?? 'applied'];
  const draw = () => {
    replace(tabs, TABS.map(([name, title]) => link(address('manifest', [], { tab: name }), { 'aria-current': name === tab ? 'page' : null }, title)));
    if (!told) return;
    replace(head, told.file);
    replace(body, tab === 'difference' ? difference(told) : told[tab]?.map(({ name, text }) => [told[tab].length > 1 ? h('h2', {}, name) : null, h('pre', { class: 'block' }, text)]));
  };
  const load = () => get('/api/manifest').then((next) => { told = next; draw(); }, (error) => replace(body, h('p', { class: 'bad' }, error.message)));
  draw();
  load();
  return (to) => { tab = to.query.tab ?? 'applied'; draw(); };
});

function difference({ changes, diagnostics }) {
  const wrong = (diagnostics ?? []).filter((one) => one.severity === 'error');
  if (wrong.length) return [h('p', { class: 'bad' }, 'What is written cannot be applied:'), h('ul', {}, wrong.map((one) => h('li', {}, `${one.code ?? ''} ${one.message ?? ''}`)))];
  if (!changes?.length) return h('p', { class: 'empty' }, 'What is written is what is applied.');
  return h('table', {}, h('tbody', {}, changes.map((change) => h('tr', {}, h('td', { class: change.kind }, change.kind), h('td', { class: 'mono' }, change.what), h('td', {}, change.detail)))));
}
