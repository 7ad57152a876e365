"""The report of small sweeps as the writer of the records leaves them, and of logs nobody instrumented."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from stabilimeter.analysis.first_movers import failed_seeds
from stabilimeter.analysis.side import sides_of
from stabilimeter.analysis.summarize import summarize
from stabilimeter.present.against_baseline import against_baseline
from stabilimeter.present.report import SECTIONS, report
from stabilimeter.present.report_html import html
from stabilimeter.present.report_markdown import report_markdown
from stabilimeter.present.report_parts import Material
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.sweep import read_sweep
from stabilimeter.records.writer import RunWriter

N = 600
HOSTILE = "<script>alert(1)<"
EVENT = '"><img src="http://evil.example/x" onerror=alert(1)>'
VOID = {"meta", "line", "circle", "path", "polyline", "polygon"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, tables, texts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.tables, self.texts, self.section = [], {}, [], ""
        self.title, self.open, self.style = "", [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        self.open.append(tag)
        if tag == "section":
            self.section, self.title = attributes["id"], ""
        elif tag == "h3":
            self.title = ""
        elif tag == "table":
            self.rows = self.tables.setdefault((self.section, self.title), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside == "style":
            self.style += data
            return
        self.texts.append(data)
        if inside == "h3":
            self.title += data
        elif inside in ("td", "th"):
            self.rows[-1][-1] += data

    def all(self, tag, kind=""):
        return [own for name, own in self.elements if name == tag and kind in (own.get("class") or "")]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def write_run(folder, group, seed, *, lost_at=None, status=None, config=None, tag="extra", shift=0.0):
    """One run; a lost one has a gradient norm that grows 20 steps before its loss, which ends as NaN."""
    rng = np.random.default_rng(seed + 17 * (lost_at is not None))
    steps = np.arange(N)
    loss = 0.5 + shift + 2 * np.exp(-steps / 80) + rng.normal(scale=0.02, size=N)
    norm = np.exp(rng.normal(scale=0.1, size=N))
    if lost_at is not None:
        norm[lost_at - 20 :] *= 40
        loss[lost_at:] += np.linspace(0.5, 6, N - lost_at)
        loss[-60:] = np.nan
    settings = {"seed": seed, "model": {"lr": group.rpartition("=")[2]}, **(config or {})}
    manifest = Manifest(
        seed=seed,
        group=group,
        monitor="val/loss",
        mode="min",
        planned_steps=N,
        config=settings,
        device="cpu",
        git_commit="0123456789abcdef",
        git_dirty=True,
        packages={"torch": "2.0"},
    )
    writer = RunWriter(folder / group / f"seed={seed}", manifest)
    writer.write_block(["train/loss", "grad/norm", tag], steps, np.column_stack([loss, norm, loss]), 1e9 + steps / 100)
    for step in range(0, N, 20):
        writer.write_scalars(step, {"val/loss": float(loss[step]) + 0.05})
    if status is not RunStatus.RUNNING:
        writer.close(status or (RunStatus.COMPLETED if lost_at is None else RunStatus.DIVERGED), last_step=N - 1)


def material_of(folder, baseline=None):
    def both(path):
        sweep = read_sweep(path)
        return sweep, summarize(sweep, rng=np.random.default_rng(0))

    sweep, summary = both(folder)
    compared = () if baseline is None else against_baseline(sides_of("baseline", *both(baseline)), sweep, summary)
    return Material(folder.name, sweep, summary, compared)


def page_of(material):
    return Page(html(report(material, made="today")))


def markdown_of(material):
    return report_markdown(report(material, made="today"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "sweep"
    for seed in range(5):
        write_run(folder, "lr=0.1", seed)
        write_run(folder, "lr=1.0", seed, lost_at=400 if seed == 3 else None)
    return folder


@pytest.fixture(scope="module")
def material(sweep):
    return material_of(sweep)


@pytest.fixture(scope="module")
def page(material):
    return page_of(material)


def test_the_answer_comes_first_in_plain_words(material, page):
    (failed,) = failed_seeds(material.sweep, material.summary)
    lead = failed.lost_at - failed.movers[0].step
    assert (failed.movers[0].key, abs(failed.lost_at - 400) <= 5, abs(lead - 20) <= 5) == ("grad/norm", True, True)
    first = f"lr=1.0: 4 of 5 seeds trained; seed 3 diverged at step {failed.lost_at}, "
    first += f"its gradient norm rose {lead} steps before."
    assert page.text.index(first) < page.text.index("lr=0.1: all 5 seeds trained") < page.text.index("Overview")


def test_every_section_asks_a_question_and_answers_it(page):
    assert [own["id"] for own in page.all("section")] == [
        "overview", "seeds", "incidents", "checkpoints", "configuration-and-environment", "methods",
    ]  # fmt: skip
    assert len(SECTIONS) == 7  # and a comparison, where there is a baseline
    assert len(page.all("p", "question")) == len(page.all("p", "said")) == 6
    assert [own["href"] for own in page.all("a")] == [f"#{own['id']}" for own in page.all("section")]


def test_figures_are_those_of_the_summary(material, page):
    plain = {group["label"]: group for group in material.summary.to_dict()["groups"]}
    scores = {row[0]: row for row in page.tables["overview", ""][1:]}
    lost = {row[0]: row for row in page.tables["overview", "Where the points went, of 100"][1:]}
    assert set(scores) == set(plain) == {"lr=0.1", "lr=1.0"}
    names = ("failures", "spikes", "noise", "regression", "seed_spread")
    for label, group in plain.items():
        stability, metric = group["stability"], group["metrics"]["val/loss"]
        assert scores[label][1] == f"{stability['score']:.1f}"
        assert scores[label][2] == f"[{stability['low']:.0f}, {stability['high']:.0f}]"
        assert scores[label][4] == f"{5 - group['n_failed']} of 5"
        assert float(scores[label][5].split()[0]) == pytest.approx(metric["mean"], rel=0.01)
        assert lost[label][1:] == [f"{stability['points_lost'][name]:.1f}" for name in names]
    every = {(row[0], row[1]): row for row in page.tables["seeds", "Every seed"][1:]}
    best = {(row[0], row[1]): row for row in page.tables["checkpoints", "Best and last evaluation of each seed"][1:]}
    assert len(every) == len(best) == 10
    for label, group in plain.items():
        for run in group["runs"]:
            metric, key = run["metrics"]["val/loss"], (label, f"seed {run['seed']}")
            assert every[key][2:4] == ["failed" if run["failed"] else "trained", str(run["last_step"])]
            assert float(every[key][4]) == pytest.approx(metric["final"], rel=1e-3, nan_ok=True)
            assert every[key][5] == ("-" if run["failed"] else f"{run['scores']['quality']:.3f}")
            assert float(best[key][3]) == pytest.approx(metric["best"], rel=1e-3)
            assert best[key][4] == str(metric["best_step"])
            assert best[key][6].split()[0] == str(metric["n_points"])


def test_bars_show_the_score_and_where_the_rest_went(material, page):
    parts = [(own["class"], float(own["style"].removeprefix("width:").removesuffix("%"))) for own in page.all("b")]
    starts = [index for index, (kind, _) in enumerate(parts) if kind == "kept"]
    bars = [parts[start:end] for start, end in zip(starts, [*starts[1:], len(parts)], strict=True)]
    assert [bar[0][1] for bar in bars] == [
        pytest.approx(group.stability.score, abs=0.01) for _, group in material.named
    ]
    for bar in bars:
        assert sum(width for _, width in bar) == pytest.approx(100, abs=0.05)


def test_pictures_show_ranges_and_single_seeds_where_one_failed(page):
    assert len(page.all("svg", "chart")) == 6  # loss, primary metric and gradient norm of two groups
    assert len(page.all("polyline", "mean")) == len(page.all("polygon", "range")) == 3
    assert len(page.all("polyline", "seed")) == 3 * 4
    assert len(page.all("polyline", "failed")) == len(page.all("path", "lost")) == 3


def test_what_moved_first_is_told_with_its_lead(material, page):
    (failed,) = failed_seeds(material.sweep, material.summary)
    first = page.tables["incidents", "What moved first in each failed seed"][1]
    lead = failed.lost_at - failed.movers[0].step
    assert first[:4] == ["lr=1.0", "seed 3", f"step {failed.movers[0].step}", f"{lead} steps later"]
    assert first[4].startswith("gradient norm rose to ")


def assert_self_contained(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "src"
            assert name != "href" or re.fullmatch(r"#[a-z-]+", value)
    assert not re.search(r"url\(|@import|//", page.style)
    policies = [own["content"] for own in page.all("meta") if own.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_page_needs_nothing_else(page):
    assert_self_contained(page)
    assert "@media print" in page.style


def test_hostile_names_stay_text(tmp_path):
    folder = tmp_path / HOSTILE
    for seed in range(3):
        write_run(folder, HOSTILE, seed, tag=EVENT, config={EVENT: EVENT}, lost_at=400 if seed == 2 else None)
        write_run(folder, "**b** [a](x)`|", seed)
    (tmp_path / "foreign" / HOSTILE).mkdir(parents=True)
    lines = [f'step,"{EVENT.replace(chr(34), chr(34) * 2)}",val_loss', *(f"{s},{1 / (s + 1)},1" for s in range(50))]
    for seed in range(2):
        (tmp_path / "foreign" / HOSTILE / f"{HOSTILE}{seed}.csv").write_text("\n".join(lines) + "\n")
    for path in (folder, tmp_path / "foreign"):
        made = material_of(path)
        page = page_of(made)
        assert_self_contained(page)
        assert HOSTILE in page.text
        text = markdown_of(made)
        assert HOSTILE not in text
        assert "<" not in text.replace("\\<", "")
    assert EVENT in page_of(material_of(folder)).text
    assert "\\*\\*b\\*\\* \\[a\\](x)\\`\\|" in markdown_of(material_of(folder))


def test_control_characters_do_not_reach_the_page(tmp_path):
    for seed in range(2):
        write_run(tmp_path / "sweep", "lr=\x1b[2J\u202e", seed)
        write_run(tmp_path / "sweep", "lr=0.1", seed)
    made = material_of(tmp_path / "sweep")
    for text in (html(report(made, made="today")), markdown_of(made)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "lr=?" in text


def test_markdown_has_the_same_text_and_tables(material, page):
    text = markdown_of(material)
    assert text.startswith("# Is sweep stable?\n\n- lr=1.0: 4 of 5 seeds trained; seed 3 diverged at step")
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if "|" in line]
    for _, group in material.named:
        assert any(row[1:2] == [f"{group.stability.score:.1f}"] for row in rows)
    n_rows = sum(len(table) for table in page.tables.values())
    assert len([row for row in rows if not set("".join(row)) <= set("|-: ")]) >= n_rows
    assert next(line for line in text.splitlines() if line.startswith("## ")) == "## Overview"
    assert "<" not in text


def test_settings_that_differ_are_told_apart_and_secrets_stay_secret(tmp_path):
    for group in ("lr=0.1", "lr=1.0"):
        config = {
            "model": {"lr": float(group[3:]), "max_tokens": 7},
            "logger": {"api_key": "hunter2"},
            "data_dir": "/x",
        }
        for seed in range(2):
            write_run(tmp_path / "sweep", group, seed, config={**config, "seeds": {"init": seed}})
    page = page_of(material_of(tmp_path / "sweep"))
    where = "configuration-and-environment"
    differing = page.tables[where, "Settings that tell the groups apart"]
    assert differing[0] == ["group", "model.lr"]
    assert sorted(differing[1:]) == [["lr=0.1", "0.1"], ["lr=1.0", "1.0"]]
    assert page.tables[where, "Settings of all groups"] == [
        ["setting", "value"], ["logger.api_key", "(hidden)"], ["model.max_tokens", "7"],
    ]  # fmt: skip
    environment = dict(page.tables[where, "Environment"])
    assert environment["git commit"] == "0123456789ab, changes not committed"
    assert (environment["device"], environment["planned steps"], environment["torch"]) == ("cpu", "600", "2.0")
    assert "hunter2" not in page.text


def test_one_seed(tmp_path):
    write_run(tmp_path / "sweep", "lr=0.1", 0)
    page = page_of(material_of(tmp_path / "sweep"))
    assert "The only seed trained" in page.text
    assert "Can this recipe be relied on?" in page.text
    assert len(page.all("polyline", "seed")) == 3
    assert page.tables["seeds", "Every seed"][0][0] == "seed"  # no column for the only group


def test_all_seeds_failed(tmp_path):
    for seed in range(2):
        write_run(tmp_path / "sweep", "lr=9", seed, lost_at=300)
    page = page_of(material_of(tmp_path / "sweep"))
    assert "None of 2 seeds trained" in page.text
    assert "stability 0.0" in page.text.lower()
    assert page.all("polyline", "seed") == page.all("polyline", "mean") == []


def test_seeds_that_still_run(tmp_path):
    write_run(tmp_path / "sweep", "lr=0.1", 0, status=RunStatus.RUNNING)
    page = page_of(material_of(tmp_path / "sweep"))
    assert "No seed has finished yet; 1 still running, so this may change." in page.text
    assert "There is no stability score" in page.text
    assert page.all("b") == []


def test_logs_of_another_tool(tmp_path):
    folder = tmp_path / "logs" / "base"
    folder.mkdir(parents=True)
    for seed in range(3):
        rows = [f"{step},{1 / (step + 1) + 0.01 * seed}" for step in range(100)]
        (folder / f"run_{seed}.csv").write_text("\n".join(["step,loss", *rows]) + "\n")
    page = page_of(material_of(tmp_path / "logs"))
    assert "they say nothing of configuration or environment" in page.text
    assert "checkpoints" not in [own["id"] for own in page.all("section")]  # nothing was evaluated
    assert len(page.all("svg", "chart")) == 1


def test_a_baseline_gets_the_answer_of_compare(tmp_path, sweep):
    for seed in range(5):
        write_run(tmp_path / "better", "lr=0.2", seed, shift=-0.2)
        write_run(tmp_path / "base", "lr=0.1", seed)
    made = material_of(tmp_path / "better", baseline=tmp_path / "base")
    page = page_of(made)
    (own,) = made.compared
    assert own.comparison.verdict.value == "better"
    assert "Is it better than the baseline?" in page.text
    assert "Better: val/loss is" in page.text
    rows = {row[0]: row for row in page.tables["comparison", ""][1:]}
    assert float(rows["val/loss"][3]) == pytest.approx(own.comparison.metrics["val/loss"].difference, rel=0.1)
    assert rows["failed seeds"][1:3] == ["0 of 5", "0 of 5"]
    assert "Better: val/loss is" in markdown_of(made)


def test_a_group_that_cannot_be_compared_says_why_beside_those_that_can(tmp_path, sweep):
    for seed in range(5):
        write_run(tmp_path / "new", "lr=0.1", seed, shift=-0.2)
    write_run(tmp_path / "new", "lr=1.0", 0)
    page = page_of(material_of(tmp_path / "new", baseline=sweep))
    assert "2 groups, each against its baseline:" in page.text
    assert re.search(r"lr=0\.1: \w+: val/loss", page.text)
    assert "lr=1.0: not compared: candidate has 1 finished seed" in page.text
