// Two groups side by side, with the answer in one sentence.

import {h, select} from './dom.js';
import {drawCurves} from './seeds.js';

function drawn(table) {
  return h(
    'section', {},
    table.title ? h('h2', {}, table.title) : '',
    h('div', {class: 'scroll'}, h('table', {},
      table.heads.length ? h('thead', {}, h('tr', {}, table.heads.map((head) => h(
        'th', {scope: 'col', class: head.numeric ? 'numeric' : ''}, head.name)))) : '',
      h('tbody', {}, table.rows.map((cells) => h('tr', {}, cells.map((cell, index) => h(
        'td', {class: `${table.numeric[index] ? 'numeric' : ''} ${cell.tone}`}, cell.text))))))),
    table.caption ? h('p', {class: 'faint'}, table.caption) : '',
  );
}

export async function show(host, shown) {
  const {about, state, get, again} = shown;
  const choices = about.groups.map((group) => ({value: group.label, text: group.short}));
  const known = (label, other) => (choices.some((choice) => choice.value === label) ? label : other);
  const baseline = known(state.baseline, choices[0].value);
  const candidate = known(state.candidate, choices.at(-1).value);
  const answer = await get('compare', {baseline, candidate});
  host.append(
    h('div', {class: 'controls'},
      select('Baseline', choices, baseline, (value) => again({baseline: value}), {id: 'baseline'}),
      select('Candidate', choices, candidate, (value) => again({candidate: value}), {id: 'candidate'})),
    answer.refused ? h('p', {class: 'message', role: 'alert'}, `Not compared: ${answer.refused}`)
      : h('h1', {class: `headline verdict ${answer.verdict}`}, answer.sentence),
  );
  shown.place();
  if (!answer.refused) host.append(...answer.tables.map(drawn));
  const picture = h('section', {});
  host.append(picture);
  const primary = answer.primary ?? about.tags[0];
  await drawCurves(picture, shown, {tag: primary, groups: [...new Set([baseline, candidate])], band: 'interval', singles: true,
    log: 'auto', height: 260, zoom: null});
}
