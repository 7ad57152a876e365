"""How long the Stability tab takes to show something, in a TensorBoard that has just been started.

    python benchmarks/first_paint.py                          100 runs x 10,000 steps made here, five cold starts
    python benchmarks/first_paint.py --logdir multirun        your own folder
    python benchmarks/first_paint.py --at-most 2              exit status 1 if the median first paint takes longer

Each round starts a server and a browser and asks for the page with the tab open. TensorBoard first loads its own page;
seconds count from the moment at which that asks for the tab: until the groups and runs are listed ("first paint"),
until curves are drawn, and until all scores stand there. Beside it the same with one tiny run, which is what the page,
the imports and the browser cost. Needs the extra `test` and a Chromium.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from stabilimeter.records.manifest import Manifest, RunStatus, SignalSpec
from stabilimeter.records.writer import RunWriter

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
GROUPS = 10
SIGNALS = ("train/loss", "grad/norm", "update/ratio", "optim/lr")
OPENED = "TensorBoard's own page"
MOMENTS = {
    "first paint": "table.groups",
    "curves": ".picture canvas",
    "all scores": "main[data-scored=true]",
}
"""What must be on the page, by its name."""


def main() -> int:
    """Make or take a folder, start server and browser, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logdir", type=Path, help="a folder with logs, instead of one made here")
    parser.add_argument("--runs", type=int, default=100, help="runs of the folder made here (default: 100)")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of each of its runs (default: 10000)")
    parser.add_argument("--rounds", type=int, default=5, help="cold starts (default: 5)")
    parser.add_argument("--at-most", type=float, help="largest acceptable median of the first paint, in seconds")
    arguments = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = arguments.logdir or Path(scratch) / "made"
        if arguments.logdir is None:
            write_sweep(folder, arguments.runs, arguments.steps)
        tiny = Path(scratch) / "tiny"
        tiny.mkdir()
        (tiny / "metrics.csv").write_text("step,loss\n0,2.0\n1,1.0\n")
        times: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            for name, logs in (("one tiny run: ", tiny), ("", folder)):
                browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
                for moment, seconds in cold_start(browser, logs).items():
                    times.setdefault(name + moment, []).append(seconds)
                browser.close()
    print(f"{'seconds':38} {'median':>7} {'from':>7} {'to':>7}")
    for name, found in times.items():
        print(f"{name:38} {np.median(found):7.2f} {min(found):7.2f} {max(found):7.2f}")
    if arguments.at_most is not None and np.median(times["first paint"]) > arguments.at_most:
        print(f"first paint takes longer than {arguments.at_most:g} s", file=sys.stderr)
        return 1
    return 0


def write_sweep(folder: Path, n_runs: int, n_steps: int) -> None:
    """Runs in groups of ten seeds; one seed of the last group diverges."""
    rng = np.random.default_rng(0)
    steps = np.arange(n_steps)
    specs = tuple(SignalSpec(key, "", "", "mean", positive=False, names=()) for key in SIGNALS)
    for number in range(n_runs):
        group, seed = f"lr={(number * GROUPS // n_runs + 1) / 10:g}", number % max(1, n_runs // GROUPS)
        loss = 0.5 + 2 * np.exp(-steps / (n_steps / 8)) + rng.normal(scale=0.02, size=n_steps)
        if number == n_runs - 1:
            loss[-n_steps // 4 :] += np.linspace(0.5, 9.0, len(loss[-n_steps // 4 :]))
        others = np.exp(rng.normal(scale=0.1, size=(n_steps, 2)))
        manifest = Manifest(
            seed=seed, group=group, monitor="val/loss", mode="min", planned_steps=n_steps, signals=specs
        )
        writer = RunWriter(folder / group / f"seed={seed}", manifest)
        for start in range(0, n_steps, 50):
            part = slice(start, start + 50)
            values = np.column_stack([loss[part], others[part], np.full(len(steps[part]), 0.1)])
            writer.write_block(list(SIGNALS), steps[part], values, 1e9 + steps[part] / 100)
        for step in range(0, n_steps, max(1, n_steps // 100)):
            writer.write_scalars(step, {"val/loss": float(loss[step]) + 0.05})
        writer.close(RunStatus.COMPLETED, last_step=n_steps - 1)


def cold_start(browser: Browser, folder: Path) -> dict[str, float]:
    """Seconds until the tab was asked for, and from there until each moment, in a server that has just come up."""
    with tensorboard(folder) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        asked: list[float] = []
        page.on(
            "request", lambda request: asked.append(time.monotonic()) if "stability/index.js" in request.url else None
        )
        began = time.monotonic()
        page.goto(f"{address}?darkMode=false#stability", wait_until="commit")
        frame = page.frame_locator("iframe").first
        seen = {}
        for moment, selector in MOMENTS.items():
            frame.locator(selector).first.wait_for(state="attached", timeout=300_000)
            seen[moment] = time.monotonic()
        return {OPENED: asked[0] - began, **{moment: at - asked[0] for moment, at in seen.items()}}


@contextlib.contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """The address of a new server that shows ``folder``."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = (re.search(r"http://localhost:\d+/", line) for line in server.stderr or ())
            yield next(match for match in found if match).group()
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
