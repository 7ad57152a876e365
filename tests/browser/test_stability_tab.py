"""Every view of the tab, rendered from a real sweep, says what ``summary.json`` says."""

import pytest
from tests.plugin.conftest import HOSTILE

from stabilimeter.present.wording import number

pytestmark = pytest.mark.browser

VIEWS = ("overview", "seeds", "incidents", "layers", "checkpoints", "compare")
VERMILLION = (213, 94, 0)


@pytest.fixture
def groups(summary):
    return {group["label"]: group for group in summary["groups"]}


def test_overview_answers_which_group_which_seed_when_and_what_first(tab):
    tab.open("overview")
    headline = tab.text("h1.headline")
    assert "Failed: 1 of 3 seeds of lr=1.0." in headline
    assert "No seed failed: lr=0.1." in headline
    row = tab.find("table.failed tbody tr")
    assert row.count() == 1
    assert "lr=1.0 seed 2" in row.inner_text()
    assert tab.text("table.failed .movers li.first").startswith("grad/norm from step 380")
    lost = tab.text("table.failed .when")
    assert 397 <= int(lost.removeprefix("step ")) <= 403


def test_numbers_of_the_overview_equal_the_summary(tab, groups):
    tab.open("overview")
    tab.assert_overview_equals(groups.values())


def test_overview_draws_the_failed_seed(tab):
    tab.open("overview")
    assert tab.painted(".picture canvas", VERMILLION) > 100


def test_groups_are_sorted_by_a_click_on_a_head(tab):
    tab.open("overview")
    order = [row.get_attribute("data-group") for row in tab.find("table.groups tbody tr").all()]
    assert order == ["lr=0.1", "lr=1.0"]
    tab.find("#sort-1").click()
    tab.page.wait_for_timeout(300)
    assert tab.find("table.groups tbody tr").first.get_attribute("data-group") == "lr=1.0"
    assert tab.find("th[aria-sort=ascending]").count() == 1


def test_a_group_opens_its_seeds(tab):
    tab.open("overview")
    tab.find("tr[data-group='lr=1.0'] th button").click()
    tab.find("main[data-view=seeds]").wait_for()
    assert tab.find("fieldset input:checked").count() == 1
    assert "lr=1.0 (3 seeds)" in tab.text(".legend")


def test_seeds_draw_any_signal_and_tell_n_under_the_cursor(tab):
    tab.open("seeds")
    tab.choose("#signal", "grad/norm")
    assert tab.text(".legend strong") == "grad/norm"
    assert tab.painted(".view canvas", VERMILLION) > 100
    box = tab.find(".u-over").first.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 5)
    tab.page.wait_for_timeout(200)
    assert "n = 3" in tab.text(".readout")


def test_seeds_have_bands_lines_and_smoothing_to_choose_from(tab):
    tab.open("seeds")
    tab.choose("#signal", "train/loss")
    for band in ("interval", "sd", "quartiles", "none", "range"):
        tab.choose("#band", band)
        assert tab.find(".u-over").count() == 1
    tab.choose("#line", "median")
    tab.choose("#smooth", "0.1")
    tab.find("text=Smoothed: a value counts half").wait_for()
    box = tab.find(".u-over").first.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 5)
    tab.page.wait_for_timeout(200)
    assert "median" in tab.text(".readout")
    assert tab.find("#over").count() == 0  # these runs do not say how long their steps took
    tab.choose("#line", "mean")
    tab.choose("#smooth", "")


def test_a_drag_zooms_and_a_button_goes_back(tab):
    tab.open("seeds")
    box = tab.find(".u-over").first.bounding_box()
    y = box["y"] + box["height"] / 2
    tab.page.mouse.move(box["x"] + 0.25 * box["width"], y)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 0.5 * box["width"], y, steps=5)
    tab.page.mouse.up()
    tab.find("#whole").wait_for()
    box = tab.find(".u-over").first.bounding_box()
    tab.page.mouse.move(box["x"] + 0.5 * box["width"], y)
    tab.page.wait_for_timeout(200)
    step = int(tab.text(".readout").split(":")[0].removeprefix("step "))
    assert 200 <= step <= 250  # the middle of 150 to 300
    tab.find("#whole").click()
    tab.find("#whole").wait_for(state="detached")


def test_hostile_names_are_text(tab):
    tab.open("seeds")
    tab.choose("#signal", HOSTILE)
    assert tab.text(".legend strong") == HOSTILE
    assert tab.find("img").count() == 0
    tab.choose("#signal", "train/loss")


def test_incidents_have_a_lane_per_seed_and_open_with_evidence(tab, summary):
    tab.open("incidents")
    runs = [run for group in summary["groups"] for run in group["runs"]]
    assert tab.find(".lane[data-path]").count() == len(runs)
    marked = tab.find(".mark:not(.lost-mark)").evaluate_all("marks => marks.map((mark) => Number(mark.dataset.n))")
    assert sum(marked) == sum(len(run["incidents"]) for run in runs)
    assert tab.find(".lost-mark").count() == 1
    tab.find(".lane[data-path='lr=0.1/seed=1'] .mark").first.click()
    tab.find(".lane.chosen[data-path='lr=0.1/seed=1']").wait_for()
    assert "step 300: train/loss spiked to" in tab.text("#detail-title")
    assert "middle.weight 3.250" in tab.text("dl.facts")
    assert tab.find(".small canvas").count() == 5


def test_a_lost_seed_shows_what_came_before(tab):
    tab.open("incidents")
    tab.find(".lost-mark").click()
    tab.find(".lane.chosen[data-path='lr=1.0/seed=2']").wait_for()
    before = tab.find("ol.order li.before").first.inner_text()
    assert "grad/norm" in before
    assert before.startswith("\N{MINUS SIGN}")


def test_layers_show_which_moved_first_and_follow_the_keyboard(tab):
    tab.open("layers")
    assert "First to leave the range of the healthy seeds: middle.weight, step 360." in tab.text("h1.headline")
    tab.find("#heat-map").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        tab.page.keyboard.press(key)
    told = tab.find(".readout").last.inner_text()
    assert told.startswith("step 20: middle.weight")
    assert "healthy seeds" in told


def test_checkpoints_equal_the_summary(tab, groups):
    tab.open("checkpoints")
    rows = tab.find("table.evaluations tbody tr").all()
    runs = groups["lr=1.0"]["runs"]
    assert len(rows) == len(runs)
    for row, run in zip(rows, runs, strict=True):
        assert row.locator(".best").inner_text() == number(run["metrics"]["val/loss"]["best"])


def test_compare_answers_in_one_sentence(tab):
    tab.open("compare")
    assert tab.text("h1.verdict").startswith("Worse: 1 of 3 seeds of the candidate failed")
    tab.choose("#baseline", "lr=1.0")
    tab.choose("#candidate", "lr=0.1")
    assert tab.text("h1.verdict").startswith("Inconclusive: ")


def test_tabs_work_from_the_keyboard(tab):
    tab.open("overview")
    tab.find("#tab-overview").focus()
    tab.page.keyboard.press("ArrowRight")
    tab.find("main[data-view=seeds]").wait_for()
    assert tab.find("#tab-seeds").get_attribute("aria-selected") == "true"
    assert tab.find("#tab-seeds").evaluate("button => button === document.activeElement")
    assert tab.find("input:not([id]), select:not([id])").count() == 0


def test_dark_mode_follows_tensorboard(dark_tab):
    background = "element => getComputedStyle(element).backgroundColor"
    assert dark_tab.find("body").evaluate(background) == "rgb(48, 48, 48)"
    for view in VIEWS:
        dark_tab.open(view)


@pytest.mark.parametrize("view", VIEWS)
def test_views_fit_a_small_screen(view, tab):
    tab.open(view)
    assert tab.find("html").evaluate("element => element.scrollWidth <= element.clientWidth")


def test_nothing_to_complain_about_and_nobody_else_asked(tab, dark_tab):
    for page in (tab, dark_tab):
        for view in VIEWS:
            page.open(view)
        assert page.errors == []
        assert page.hosts == {"localhost"}
