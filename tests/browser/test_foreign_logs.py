"""Logs that nobody instrumented, as other tools leave them, in the tab."""

import numpy as np
import pytest
from tests.browser.conftest import Page, summary_of, tensorboard
from torch.utils.tensorboard import SummaryWriter

pytestmark = pytest.mark.browser

BLUE, VERMILLION = (0, 114, 178), (213, 94, 0)
N = 300


def write_run(folder, seed, *, n=N, nan_from=None, spike_at=None):
    rng = np.random.default_rng([seed, n])
    steps = np.arange(n)
    loss = 0.5 + 2 * np.exp(-steps / (n / 8)) + rng.normal(scale=0.02, size=n)
    if nan_from is not None:
        loss[nan_from:] = np.nan
    if spike_at is not None:
        loss[spike_at] = 40.0
    with SummaryWriter(folder) as writer:
        for step in steps:
            writer.add_scalar("loss", loss[step], step)
            if step % 10 == 0:
                writer.add_scalar("val_loss", loss[step] + 0.1, step)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Two groups of three seeds, of which one ends in NaN."""
    folder = tmp_path_factory.mktemp("foreign")
    for group, broken in (("calm", None), ("wild", 2)):
        for seed in range(3):
            write_run(folder / group / f"seed_{seed}", seed, nan_from=200 if seed == broken else None)
    return folder


@pytest.fixture(scope="module")
def tab(several, browser):
    with tensorboard(several) as address:
        page = Page(browser, address)
        yield page
        page.page.close()


def test_the_numbers_are_those_of_the_summary(tab, several):
    tab.open("overview")
    groups = summary_of(several)["groups"]
    assert [group["n_failed"] for group in groups] == [0, 1]
    tab.assert_overview_equals(groups)
    assert "Failed: 1 of 3 seeds of wild." in tab.text("h1.headline")
    assert tab.text("table.failed .when") == "step 200"


@pytest.mark.parametrize("view", ["overview", "seeds", "incidents", "checkpoints", "compare"])
def test_every_view_has_a_picture_of_the_failed_seed(tab, view):
    tab.open(view)
    tab.find("canvas").first.wait_for()
    assert tab.painted("canvas", VERMILLION) > 50


def test_nan_is_a_gap_with_a_mark(tab):
    tab.open("incidents")
    tab.find(".lost-mark").click()
    tab.find(".lane.chosen[data-path='wild/seed_2']").wait_for()
    assert tab.find(".lost-mark").count() == 1
    assert "became NaN" in tab.text("ol.order")


def test_there_are_no_layers_to_show(tab):
    assert tab.find("#tab-layers").count() == 0


def test_nothing_to_complain_about_and_nobody_else_asked(tab):
    assert tab.errors == []
    assert tab.hosts == {"localhost"}


def test_one_seed_with_one_spike_in_many_steps(tmp_path, browser):
    write_run(tmp_path / "only", 0, n=20_000, spike_at=13_333)
    with tensorboard(tmp_path) as address:
        page = Page(browser, address)
        for view in ("overview", "seeds", "incidents", "checkpoints"):
            page.open(view)
        page.open("seeds")
        page.choose("#signal", "loss")
        page.choose("#scale", "linear")
        # The curve itself lies below 2.6 of 40: what is blue in the upper half of the picture is the spike.
        assert page.painted(".view canvas", BLUE, rows=0.5) > 50
        assert page.find("#tab-compare").count() == 0
        assert page.errors == []
        page.page.close()


def test_a_hundred_seeds(tmp_path, browser):
    for seed in range(100):
        write_run(tmp_path / "many" / f"seed_{seed}", seed, n=60, nan_from=30 if seed == 42 else None)
    with tensorboard(tmp_path) as address:
        page = Page(browser, address)
        page.assert_overview_equals(summary_of(tmp_path)["groups"])
        for view in ("seeds", "incidents", "checkpoints"):
            page.open(view)
        page.open("seeds")
        box = page.find(".u-over").first.bounding_box()
        page.page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 5)
        page.page.wait_for_timeout(200)
        assert "n = 99" in page.text(".readout")
        page.find("#another").wait_for()
        assert page.find("html").evaluate("element => element.scrollWidth <= element.clientWidth")
        assert page.errors == []
        page.page.close()
