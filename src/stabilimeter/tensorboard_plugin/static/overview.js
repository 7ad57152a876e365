// What happened in one sentence, a row per group, a row per failed seed, and the curve that shows it.

import {button, h, svg} from './dom.js';
import {COMPONENTS, STATES} from './palette.js';
import {drawCurves, firstLook} from './seeds.js';

const MAX_SQUARES = 16;
const MAX_FAILED = 8;
const MAX_MOVERS = 4;

function scoreBar(group) {
  if (group.score === null) return null;
  const has = group.low !== null && group.high !== null;
  return svg(
    'svg', {class: 'score-bar', viewBox: '0 0 104 16', width: 130, height: 20, 'aria-hidden': 'true'},
    svg('rect', {x: 2, y: 4, width: 100, height: 8, class: 'track'}),
    svg('rect', {x: 2, y: 4, width: group.score, height: 8, class: 'fill'}),
    has && svg('path', {
      d: `M${2 + group.low} 3v10M${2 + group.high} 3v10M${2 + group.low} 8H${2 + group.high}`, class: 'whisker',
    }),
  );
}

function squares(group) {
  const failed = group.seeds.filter((seed) => seed.state === 'failed');
  const others = group.seeds.filter((seed) => seed.state !== 'failed');
  const shown = group.seeds.length <= MAX_SQUARES ? group.seeds : [...failed, ...others].slice(0, MAX_SQUARES);
  return h(
    'span', {class: 'squares', 'aria-hidden': 'true'},
    shown.map((seed) => h('span', {class: `square ${seed.state}`, title: `${seed.name}: ${seed.why}`},
      STATES[seed.state].glyph)),
    shown.length < group.seeds.length && h('span', {class: 'faint'}, ' …'),
  );
}

function lostBar(group) {
  const total = group.points_lost.reduce((sum, part) => sum + part.value, 0);
  const worst = group.points_lost.reduce((most, part) => (part.value > most.value ? part : most));
  const words = group.points_lost.map((part) => `${part.name} ${part.text}`).join(', ');
  return h(
    'div', {class: 'lost', title: words},
    h('div', {class: 'stack', role: 'img', 'aria-label': `points lost: ${words}`},
      group.points_lost.map((part, index) => part.value > 0
        && h('span', {style: {width: `${part.value}%`, background: COMPONENTS[index]}}))),
    h('span', {class: 'faint'}, total > 0 ? `most to ${worst.name}: ${worst.text}` : ''),
  );
}

const COLUMNS = [
  {name: 'Group', key: (group) => group.short, text: true},
  {name: 'Stability, 0 to 100', key: (group) => group.score},
  {name: 'Seeds ok', key: (group) => -group.n_failed},
  {name: 'primary', key: (group) => group.primary_value},
  {name: 'Spread (SD)', key: (group) => group.spread},
  {name: 'Incidents', key: (group) => group.n_incidents},
  {name: 'Points lost', key: (group) => (group.score === null ? null : 100 - group.score)},
];

function sorted(groups, sort) {
  if (!sort) return groups;
  const {key, text} = COLUMNS[sort.column];
  const known = groups.filter((group) => key(group) !== null);
  known.sort((one, other) => sort.sign * (text ? String(key(one)).localeCompare(key(other)) : key(one) - key(other)));
  return [...known, ...groups.filter((group) => key(group) === null)];
}

function groupTable(shown) {
  const {about, state, go, again} = shown;
  const heads = new Set(about.groups.map((group) => group.primary_head));
  const primary = heads.size === 1
    ? [...heads][0] + (about.groups[0].primary_better ? ` (${about.groups[0].primary_better})` : '') : 'Primary metric';
  const wanted = (state.filter ?? '').toLowerCase();
  const groups = sorted(about.groups.filter((group) => group.label.toLowerCase().includes(wanted)), state.sort);
  const head = COLUMNS.map((column, index) => {
    const sort = state.sort?.column === index ? state.sort.sign : 0;
    const name = column.name === 'primary' ? primary || 'Primary metric' : column.name;
    return h('th', {scope: 'col', 'aria-sort': sort ? (sort > 0 ? 'ascending' : 'descending') : 'none'},
      button(name + (sort > 0 ? ' ▲' : sort < 0 ? ' ▼' : ''), () => again(
        {sort: {column: index, sign: sort === 1 ? -1 : 1}}), {class: 'head', id: `sort-${index}`}));
  });
  const rows = groups.map((group) => h(
    'tr', {class: group.n_failed ? 'has-failed' : '', 'data-group': group.label},
    h('th', {scope: 'row'}, button(group.short, () => go('seeds', {groups: [group.label], zoom: null}),
      {class: 'link', title: group.label})),
    h('td', {class: 'nowrap'}, scoreBar(group), h('strong', {class: 'score'}, group.score_text), ' ',
      h('span', {class: 'faint interval', title: group.reason ?? '95 % interval'}, group.interval_text)),
    h('td', {class: group.n_failed ? 'bad' : about.is_scored ? 'good' : 'faint'}, squares(group), ' ',
      h('span', {class: 'seeds-text'}, group.seeds_text)),
    h('td', {class: 'primary', title: group.primary_head}, group.primary_text),
    h('td', {class: 'spread'}, group.spread_text),
    h('td', {class: 'count'}, group.n_incidents
      ? button(String(group.n_incidents), () => go('incidents', {lanes: group.short}), {class: 'link'})
      : group.n_incidents === null ? '-' : '0'),
    h('td', {}, group.score === null ? h('span', {class: 'faint'}, group.reason ?? '-') : lostBar(group)),
  ));
  return h(
    'section', {},
    h('div', {class: 'scroll'},
      h('table', {class: 'groups'}, h('thead', {}, h('tr', {}, head)), h('tbody', {}, rows))),
    about.groups.length > 5 && h('label', {class: 'filter'}, 'Filter groups ', h('input', {
      type: 'search', id: 'filter', value: state.filter ?? '', oninput: (event) => again({filter: event.target.value}),
    })),
    groups.some((group) => group.score_text.endsWith('*'))
      && h('p', {class: 'key faint'}, '* without what could not be measured, which may flatter.'),
    h('p', {class: 'key faint'}, 'Points lost to: ', about.components.map((name, index) => h('span', {},
      h('span', {class: 'swatch', style: {background: COMPONENTS[index]}}), `${name}  `))),
  );
}

function failedTable(shown) {
  const {about, state, go, again} = shown;
  if (!about.failed.length) return null;
  const failed = state.allFailed ? about.failed : about.failed.slice(0, MAX_FAILED);
  const rows = failed.map((seed) => h(
    'tr', {'data-path': seed.path},
    h('th', {scope: 'row'}, seed.lost_at !== null
      ? button(`✕ ${seed.short} ${seed.name}`, () => go('incidents', {run: seed.path, incident: null}),
        {class: 'link bad', title: seed.path})
      : h('span', {class: 'bad'}, `✕ ${seed.short} ${seed.name}`)),
    h('td', {class: 'nowrap when'}, seed.lost_at === null ? '-' : `step ${seed.lost_at}`),
    h('td', {}, seed.movers.length ? h('ol', {class: 'movers', title: seed.against ? `compared with ${seed.against}` : ''},
      seed.movers.slice(0, MAX_MOVERS).map((mover, index) => h(
        'li', {class: index ? '' : 'first', title: mover.size}, h('strong', {}, mover.key),
        ` ${mover.when}`,
        index === 0 && h('span', {class: 'faint'}, ` ${mover.size}`)))) : h('span', {class: 'faint'}, 'not known')),
    h('td', {}, seed.why),
  ));
  const against = [...new Set(about.failed.map((seed) => seed.against).filter(Boolean))];
  return h(
    'section', {},
    h('h2', {}, 'Failed seeds'),
    h('div', {class: 'scroll'}, h('table', {class: 'failed'},
      h('thead', {}, h('tr', {}, ['Seed', 'Lost at', 'What moved first', 'Why it counts as failed']
        .map((name) => h('th', {scope: 'col'}, name)))),
      h('tbody', {}, rows))),
    failed.length < about.failed.length
      && button(`Show all ${about.failed.length}`, () => again({allFailed: true}), {id: 'all-failed'}),
    h('p', {class: 'faint'}, against.length
      ? `Moved first: the order in which signals left the range of the healthy seeds for good (${against.join('; ')}).`
      : 'Moved first: the order of the lasting incidents of the seed; there is no healthy seed to compare with.'),
  );
}

export async function show(host, shown) {
  const {about} = shown;
  host.append(
    h('h1', {class: 'headline'}, about.headline.map((sentence) => h('span', {class: sentence.tone}, `${sentence.text} `))),
    about.common ? h('p', {class: 'faint'}, `All groups: ${about.common}`) : '',
    groupTable(shown),
  );
  const failed = failedTable(shown);
  if (failed) host.append(failed);
  const picture = h('section', {class: 'picture'});
  host.append(picture);
  if (about.notes.length) {
    host.append(h('details', {}, h('summary', {}, `Notes (${about.notes.length})`),
      h('ul', {}, about.notes.map((note) => h('li', {}, h('strong', {}, note.group), ` ${note.text}`)))));
  }
  shown.place();
  const options = {...firstLook(about), band: 'range', line: 'mean', singles: true, log: 'auto', height: 210, zoom: null};
  await drawCurves(picture, shown, options);
}
