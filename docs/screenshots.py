"""The pictures of the README and of docs/: real sweeps in TensorBoard. Needs the extra `test` and a Chromium browser.

python recipes/seed_sweep.py --multirun
python recipes/seed_sweep.py --multirun experiment=char_gpt model.lr=0.003,1.0 'seed=range(0,3)'
python recipes/seed_sweep.py --multirun +checkpoints=judged model.lr=0.3 'seed=range(0,2)' trainer.max_epochs=30 \
  hydra.sweep.dir=multirun/judged
python docs/screenshots.py multirun/digits_cnn custom_scalars docs/images/bands.png
python docs/screenshots.py multirun/char_gpt stability docs/images/stability_tab.png
for view in seeds incidents layers compare; do
  python docs/screenshots.py multirun/char_gpt stability/$view docs/images/stability_$view.png
done
python docs/screenshots.py multirun/judged stability/checkpoints docs/images/stability_checkpoints.png
"""

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DRAWN_MS = 10_000
"""Time for a dashboard of TensorBoard to load and draw."""
SCORED_MS = 300_000
"""Time for the Stability tab to judge all runs."""


@contextlib.contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows ``logdir``."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"TensorBoard did not start: {' '.join(command)}") from None
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait()


def show(page: Page, view: str) -> None:
    """Open a view of the Stability tab, and wait until it is drawn."""
    tab = page.frame_locator("iframe").first
    tab.locator("main[data-scored=true]").wait_for(timeout=SCORED_MS)
    tab.locator(f"#tab-{view}").click()
    tab.locator(f"main[data-view={view}]").wait_for()
    tab.locator("canvas").first.wait_for()
    page.wait_for_timeout(1_000)


def main() -> None:
    """Takes one picture of one dashboard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument(
        "dashboard", help="for example stability, stability/seeds, custom_scalars, timeseries, text, hparams"
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800), metavar=("WIDTH", "HEIGHT"))
    args = parser.parse_args()
    args.picture.parent.mkdir(parents=True, exist_ok=True)
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    width, height = args.size
    with tensorboard(args.sweep) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        dashboard, _, view = args.dashboard.partition("/")
        page.goto(f"{address}/?darkMode=false#{dashboard}")
        if dashboard == "stability":
            show(page, view or "overview")
        else:
            page.wait_for_timeout(DRAWN_MS)
        page.screenshot(path=args.picture)
        browser.close()


if __name__ == "__main__":
    main()
