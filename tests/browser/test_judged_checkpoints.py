"""Checkpoints that were judged, in the tab."""

import pytest
from tests.browser.conftest import Page, tensorboard
from tests.plugin.judged_run import VALUES, write_judged

pytestmark = pytest.mark.browser

GREEN, VERMILLION = (0, 158, 115), (213, 94, 0)


def test_verdicts_flips_slices_and_the_one_to_ship(tmp_path, browser):
    write_judged(tmp_path)
    with tensorboard(tmp_path) as address:
        page = Page(browser, address)
        page.open("checkpoints")
        page.find(".judged canvas").first.wait_for()
        facts = page.text("dl.course")
        headline = "val/acc: 1 of 3 judged evaluations worse than the best before, beyond noise"
        assert page.text("h1.headline") == headline
        assert "checkpoints/good.ckpt (step 40)" in facts
        assert "checkpoints/last.ckpt (head.weight is nan)" in facts
        assert page.painted(".judged canvas", GREEN) > 20
        assert page.painted(".judged canvas", VERMILLION) > 20
        assert page.find(".judged canvas").count() == 2
        night = page.find("table.slices tbody tr").first.locator("th, td").all_inner_texts()
        assert night[:5] == ["<b>night", "50", "0.4000", "30", "1"]
        box = page.find(".judged .u-over").first.bounding_box()
        page.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20)
        page.page.wait_for_timeout(300)
        told = page.text(".judged .readout")
        assert told.startswith(f"step 60: val/acc {VALUES[3]:g}")
        assert "of 100 examples 33 got lost and 3 were won" in told
        assert page.errors == []
        page.page.close()
