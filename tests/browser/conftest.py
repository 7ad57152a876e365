"""TensorBoard with the Stability tab, seen through headless Chromium. Without a browser these tests fail."""

import contextlib
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from tests.plugin.conftest import write_sweep

from stabilimeter.analysis.summarize import summarize
from stabilimeter.present.publish import summary_json
from stabilimeter.present.wording import number, points
from stabilimeter.records.sweep import read_sweep

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_sweep(folder)
    return folder


def summary_of(folder):
    """What ``summary.json`` says about a folder."""
    return json.loads(summary_json(summarize(read_sweep(folder), rng=np.random.default_rng(0))))


@pytest.fixture(scope="session")
def summary(logs):
    return summary_of(logs)


@contextlib.contextmanager
def tensorboard(folder):
    """The address of a TensorBoard that shows a folder."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0", "--load_fast", "false"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = next(
                re.search(r"http://localhost:\d+/", line) for line in server.stderr if "http://localhost" in line
            )
            yield found.group()
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def address(logs):
    with tensorboard(logs) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    assert path is not None, f"no browser: the path has none of {', '.join(BROWSERS)}"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


class Page:
    """The tab in a page of its own, and what the browser had to complain about."""

    def __init__(self, browser, address, dark=False):
        self.errors = []
        self.hosts = set()
        self.page = browser.new_page(viewport={"width": 1280, "height": 800})
        self.page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2].split(":")[0]))
        self.page.goto(f"{address}?darkMode={str(dark).lower()}#stability")
        self.frame = self.page.frame_locator("iframe").first
        self.frame.locator("main[data-scored=true]").wait_for(timeout=120_000)

    def open(self, view):
        self.frame.locator(f"#tab-{view}").click()
        self.frame.locator(f"main[data-view={view}]").wait_for(timeout=20_000)

    def find(self, selector):
        return self.frame.locator(selector)

    def text(self, selector):
        return self.frame.locator(selector).first.inner_text()

    def choose(self, selector, value):
        self.frame.locator(selector).select_option(value)
        self.page.wait_for_timeout(300)

    def painted(self, selector, color, rows=1.0):
        """How many pixels of the upper part of a canvas have nearly this colour."""
        script = """(canvas, [color, rows]) => {
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, Math.round(rows * canvas.height));
            let found = 0;
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] > 200 && [0, 1, 2].every((c) => Math.abs(data[at + c] - color[c]) < 12)) found += 1;
            }
            return found;
        }"""
        return self.frame.locator(selector).first.evaluate(script, [color, rows])

    def assert_overview_equals(self, groups):
        """The figures of the overview are those of these groups of a summary."""
        for group in groups:
            row = self.find(f"tr[data-group='{group['label']}']")
            assert row.locator(".score").inner_text().rstrip("*") == points(group["stability"]["score"], 1)
            low, high = group["stability"]["low"], group["stability"]["high"]
            expected = "-" if low is None else f"[{low:.0f}, {high:.0f}]"
            assert row.locator(".interval").inner_text() == expected
            n_ok = group["n_runs"] - group["n_failed"]
            assert row.locator(".seeds-text").inner_text() == f"{n_ok} of {group['n_runs']}"
            survivors = group["metrics_ok"].get(group["primary_metric"])
            assert row.locator(".spread").inner_text() == number(survivors and survivors["sd"], 2)
            assert row.locator(".count").inner_text() == str(sum(len(run["incidents"]) for run in group["runs"]))
            lost = group["stability"]["points_lost"]
            widths = row.locator(".stack span").evaluate_all(
                "spans => spans.map((span) => parseFloat(span.style.width))"
            )
            assert widths == pytest.approx([value for value in lost.values() if value > 0], abs=0.001)
            assert row.locator(".square.failed").count() == min(16, group["n_failed"])


@pytest.fixture(scope="module")
def tab(browser, address):
    page = Page(browser, address)
    yield page
    page.page.close()


@pytest.fixture(scope="module")
def dark_tab(browser, address):
    page = Page(browser, address, dark=True)
    yield page
    page.page.close()
