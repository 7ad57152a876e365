"""A report as one HTML file that needs nothing else: no request leaves the machine, no script runs."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from stabilimeter.present.report_parts import Block, Prose, Report, ScoreBar, ScoreBars, Section, SeedCharts
from stabilimeter.present.score_tables import COMPONENTS
from stabilimeter.present.seed_chart import draw
from stabilimeter.present.table import Cell, Table, Tone

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Whatever slipped through the escaping could still neither run nor load anything."""


def html(report: Report) -> str:
    """The report as the text of an HTML file; every text in it is escaped."""
    style = files("stabilimeter.present").joinpath("report.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{_anchor(section)}">{escape(section.title)}</a>' for section in report.sections)
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(report.title)}</title>\n<style>\n{style}</style></head>\n<body>",
        f"<header><h1>{escape(report.title)}</h1>\n<ul class=answer>",
        *(f'<li class="{said.tone.value}">{escape(said.text)}</li>\n' for said in report.answer),
        f"</ul><nav>{links}</nav></header>\n<main>",
        *(_section(section) for section in report.sections),
        f"</main>\n<footer>{escape(report.footer)}</footer></body></html>\n",
    ]
    return "".join(parts)


def _anchor(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _section(section: Section) -> str:
    blocks = "\n".join(_block(block) for block in section.blocks)
    said = f"<p class=question>{escape(section.question)}</p><p class=said>{escape(section.answer)}</p>"
    return f'<section id="{_anchor(section)}"><h2>{escape(section.title)}</h2>\n{said}\n{blocks}</section>\n'


def _block(block: Block) -> str:
    if isinstance(block, Prose):
        return f'<p class="{block.tone.value}">{escape(block.text)}</p>'
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, ScoreBars):
        return "".join(_bars(block))
    return "".join(_charts(block))


def _table(table: Table) -> str:
    kinds = ["numeric" if column.numeric else "" for column in table.columns]
    heads = "".join(
        f'<th class="{kind}">{escape(column.name)}</th>' for kind, column in zip(kinds, table.columns, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(cell, kind) for cell, kind in zip(cells, kinds, strict=True))}</tr>\n"
        for cells in table.rows
    )
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    head = f"<thead><tr>{heads}</tr></thead>" if table.heads_needed else ""
    caption = f"<p class=faint>{escape(table.caption)}</p>" if table.caption else ""
    return f"<div class=block>{title}<div class=scroll><table>{head}<tbody>{rows}</tbody></table></div>{caption}</div>"


def _cell(cell: Cell, kind: str) -> str:
    classes = " ".join(filter(None, (kind, "" if cell.tone is Tone.PLAIN else cell.tone.value)))
    return f'<td class="{classes}">{escape(cell.text)}</td>'


def _bars(block: ScoreBars) -> Iterator[str]:
    yield "<div class=bars role=img aria-label='stability of each group, and where its points went'>"
    for bar in block.bars:
        parts = "" if bar.score is None else "".join(_bar_parts(bar, bar.score))
        yield f"<div class=name>{escape(bar.label)}</div><div class=bar>{parts}</div>"
        yield f"<div class=score>{escape(bar.text)}</div>"
    yield "</div><p class='faint legend'>Of 100 points: <i class='key kept'></i>stability, lost to"
    yield "".join(f" <i class='key lost{at}'></i>{escape(words)}" for at, words in enumerate(COMPONENTS.values()))
    yield "</p>"


def _bar_parts(bar: ScoreBar, score: float) -> Iterator[str]:
    yield f'<b class=kept style="width:{score:.2f}%" title="stability {score:.1f}"></b>'
    for at, (words, value) in enumerate(bar.lost):
        if value > 0:
            yield f'<b class=lost{at} style="width:{value:.2f}%" title="{escape(words)} {value:.1f}"></b>'


def _charts(block: SeedCharts) -> Iterator[str]:
    yield f"<div class=block><h3>{escape(block.title)}</h3><div class=charts>"
    for chart in block.charts:
        yield f"<figure><figcaption>{escape(chart.title)}</figcaption>{draw(chart)}</figure>"
    lines = [line for chart in block.charts for line in chart.lines]
    several = any(chart.band is not None for chart in block.charts)
    keys = ["<i class='key own'></i>mean of the seeds and their range"] if several else []
    if not all(line.is_failed for line in lines):
        keys.append("<i class='key own'></i>each seed that did not fail")
    if any(line.is_failed for line in lines):
        keys.append("<i class='key lost0'></i>failed seeds, &#10005; where each was lost")
    yield f"</div><p class='faint legend'>{' '.join(keys)}</p></div>"
