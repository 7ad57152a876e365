// Evaluations of the primary metric: the best of each seed, where it ended, and how far it fell back between.

import {h, select} from './dom.js';
import {lineChart} from './chart.js';
import {STATES, colors, faded} from './palette.js';
import {drawCourse} from './course.js';
import {colorOf} from './seeds.js';

export async function show(host, shown) {
  const {about, state, get, again} = shown;
  const choices = about.groups.filter((group) => group.primary_better);
  const label = choices.some((group) => group.label === state.evaluated) ? state.evaluated
    : (choices.find((group) => group.n_failed) ?? choices[0]).label;
  const answer = await get('checkpoints', {group: label, run: state.course});
  const color = colorOf(about, label, [label]);
  const drawn = answer.rows.filter((row) => row.curve);
  host.append(
    h('div', {class: 'controls'}, select('Group', choices.map((group) => ({value: group.label, text: group.short})), label,
      (evaluated) => again({evaluated}), {id: 'evaluated'})),
    h('h1', {class: 'headline'}, answer.course
      ? `${answer.course.monitor}: ${answer.course.n_worse} of ${answer.course.n_judged} judged evaluations worse than the best before, beyond noise`
      : `${answer.tag}, ${answer.mode}`),
  );
  const picture = h('section', {class: 'picture'}, answer.course ? h('h2', {}, `${answer.tag} of every seed`) : '');
  const judged = h('section', {});
  host.append(judged, picture, h(
    'div', {class: 'scroll'}, h('table', {class: 'evaluations'},
      h('thead', {}, h('tr', {}, ['Seed', 'Best', 'at step', 'Final', 'Fell back (D)', 'Evaluations', 'How it ended']
        .map((name) => h('th', {scope: 'col'}, name)))),
      h('tbody', {}, answer.rows.map((row) => h(
        'tr', {class: row.state},
        h('th', {scope: 'row', title: row.path}, `${STATES[row.state].glyph} ${row.name}`),
        h('td', {class: 'best'}, row.best), h('td', {}, row.best_step ?? '-'), h('td', {class: 'final'}, row.final),
        h('td', {}, row.regression), h('td', {}, `${row.n_points}${row.n_nonfinite ? ` (${row.n_nonfinite} not finite)` : ''}`),
        h('td', {}, row.why)))))),
  h('p', {class: 'faint'}, '★ marks the best evaluation of a seed, ✕ the last one of a failed seed. Fell back: the worst 5 % of '
    + 'evaluations against the best so far, less what noise explains, in units of what the seeds gained from start to end (D).'));
  shown.place();
  lineChart(picture, {
    lines: drawn.map((row) => ({
      label: row.name, ...row.curve, color: row.state === 'failed' ? colors().failed : faded(color, 0.8), width: 1.5,
    })),
    marks: drawn.flatMap((row) => [
      row.best_step !== null && {step: row.best_step, value: row.best_value, glyph: '★', color: row.state === 'failed' ? colors().failed : color},
      row.state === 'failed' && row.curve.steps.length && {
        step: row.curve.steps.at(-1), value: row.curve.values.at(-1), glyph: '✕', color: colors().failed, size: 15},
    ].filter(Boolean)),
    height: answer.course ? 220 : 320, label: `${answer.tag} at each evaluation`,
  });
  if (answer.course) drawCourse(judged, shown, answer);
}
