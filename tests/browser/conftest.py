"""TensorBoard with the Stability tab, seen through headless Chromium. Without a browser these tests fail."""

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


@pytest.fixture(scope="session")
def summary(logs):
    return json.loads(summary_json(summarize(read_sweep(logs), rng=np.random.default_rng(0))))


@pytest.fixture(scope="session")
def address(logs):
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--port", "0", "--load_fast", "false"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = next(
                re.search(r"http://localhost:\d+/", line) for line in server.stderr if "http://localhost" in line
            )
            yield found.group()
        finally:
            server.terminate()


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
        self.frame.locator("h1.headline").wait_for(timeout=60_000)

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

    def painted(self, selector, color):
        """How many pixels of a canvas have nearly this colour."""
        script = """(canvas, color) => {
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            let found = 0;
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] > 200 && [0, 1, 2].every((c) => Math.abs(data[at + c] - color[c]) < 12)) found += 1;
            }
            return found;
        }"""
        return self.frame.locator(selector).first.evaluate(script, color)


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
