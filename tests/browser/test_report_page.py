"""The report as a browser shows it: its numbers, nothing run, nothing asked for, and what a printer gets."""

import re

import numpy as np
import pytest
from tests.browser.conftest import summary_of
from tests.plugin.conftest import HOSTILE, write_run, write_sweep

from stabilimeter.analysis.summarize import summarize
from stabilimeter.present.report import report
from stabilimeter.present.report_html import html
from stabilimeter.present.report_parts import Material
from stabilimeter.present.wording import mean_and_interval, number, points
from stabilimeter.records.sweep import read_sweep

pytestmark = pytest.mark.browser

EVIL_FOLDER = "<img src=x onerror=document.title=1><script>document.title=2<" + "\N{DIVISION SLASH}script>"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    write_sweep(folder)
    write_run(folder, EVIL_FOLDER, 0)
    write_run(folder, EVIL_FOLDER, 1, lost_at=300)
    return folder


@pytest.fixture(scope="module")
def shown(sweep, browser, tmp_path_factory):
    """The page, what it complained about, what it asked for."""
    read = read_sweep(sweep)
    summary = summarize(read, rng=np.random.default_rng(0))
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(html(report(Material(HOSTILE, read, summary), made="today")), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.errors, page.asked = [], []
    page.on("console", lambda told: page.errors.append(told.text))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(file.as_uri())
    yield page, file
    page.close()


def metric_of(sweep, label):
    summary = summarize(read_sweep(sweep), rng=np.random.default_rng(0))
    return next(group.metrics["val/loss"] for group in summary.groups if group.label == label)


def rows(page, section):
    """Cells of every table row of a section."""
    script = "rows => rows.map((row) => [...row.children].map((cell) => cell.innerText))"
    return page.locator(f"#{section} tr").evaluate_all(script)


def test_the_numbers_are_those_of_the_summary(shown, sweep):
    page, _ = shown
    table = rows(page, "overview")
    told = {row[0]: row for row in table[1 : 1 + 3]}
    groups = summary_of(sweep)["groups"]
    assert len(groups) == 3
    assert set(told) == {group["label"] for group in groups}
    for group in groups:
        row = told[group["label"]]
        stability = group["stability"]
        assert row[1].rstrip("*") == points(stability["score"], 1)
        low, high = stability["low"], stability["high"]
        assert row[2] == ("-" if low is None else f"[{low:.0f}, {high:.0f}]")
        assert row[4] == f"{group['n_runs'] - group['n_failed']} of {group['n_runs']}"
        metric = metric_of(sweep, group["label"])
        assert row[5].partition(" (n=")[0] == mean_and_interval(metric)
    finals = [row[-2] for row in rows(page, "seeds") if len(row) == 6 and row[2] in ("trained", "failed")]
    assert sorted(finals) == sorted(
        number(float(run["metrics"]["val/loss"]["final"])) for group in groups for run in group["runs"]
    )


def test_the_answer_comes_first_and_names_seed_step_and_what_moved(shown):
    page, _ = shown
    answers = page.locator("ul.answer li").all_inner_texts()
    assert any(
        re.match(r"lr=1.0: 2 of 3 seeds trained; seed 2 .* gradient norm rose \d+ steps before", one) for one in answers
    )
    assert page.locator("ul.answer").bounding_box()["y"] < 200


def test_bars_and_curves_are_drawn(shown, sweep):
    page, _ = shown
    groups = summary_of(sweep)["groups"]
    widths = page.locator(".bar .kept").evaluate_all("bars => bars.map((bar) => parseFloat(bar.style.width))")
    assert sorted(widths) == pytest.approx(sorted(group["stability"]["score"] for group in groups), abs=0.01)
    n_failed = sum(group["n_failed"] for group in groups)
    assert n_failed == 2
    assert page.locator("svg.chart").count() == 9  # loss, metric and gradient norm of three groups
    assert page.locator("path.lost").count() >= n_failed
    visible = "lines => lines.every((line) => line.getBBox().width > 50)"
    assert page.locator("svg.chart polyline.seed").evaluate_all(visible)


def test_no_name_becomes_markup_no_script_runs_and_nothing_is_asked_for(shown):
    page, file = shown
    assert page.title() == f"Is {HOSTILE} stable?"
    assert page.locator("img, script, iframe, object, link").count() == 0
    assert page.evaluate("document.querySelectorAll('*').length") > 300
    handlers = "all => all.flatMap((one) => [...one.attributes]).filter((one) => one.name.startsWith('on')).length"
    assert page.locator("*").evaluate_all(handlers) == 0
    assert EVIL_FOLDER[:30] in page.locator("body").inner_text()
    assert page.errors == []
    assert page.asked == [file.as_uri()]


def test_what_slips_through_could_not_run(shown, browser, tmp_path):
    """The twin: markup put into the page on purpose is stopped by its policy."""
    _, file = shown
    broken = tmp_path / "broken.html"
    attack = "<script>document.title='run'</script><img src=http://evil.example/x onerror=document.title='run'>"
    broken.write_text(file.read_text().replace("<main>", f"<main>{attack}"))
    page = browser.new_page()
    answered, blocked = [], []
    page.on("response", lambda response: answered.append(response.url))
    page.on("requestfailed", lambda request: blocked.append((request.url, request.failure)))
    page.goto(broken.as_uri())
    page.wait_for_timeout(300)
    assert page.title() == f"Is {HOSTILE} stable?"
    assert answered == [broken.as_uri()]
    assert blocked == [("http://evil.example/x", "csp")]
    page.close()


def test_it_fits_the_screen_and_prints_on_few_pages(shown):
    page, _ = shown
    assert page.locator("html").evaluate("element => element.scrollWidth <= element.clientWidth")
    printed = page.pdf(prefer_css_page_size=True, print_background=False)
    assert printed.startswith(b"%PDF")
    n_pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 3 <= n_pages <= 12
