import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from stabilimeter.present.report_parts import Line, SeedChart
from stabilimeter.present.seed_chart import BOTTOM, HEIGHT, LEFT, MAX_POINTS, RIGHT, TOP, WIDTH, draw
from stabilimeter.stats.alignment import Aligned
from stabilimeter.stats.band import band_across_seeds


def line(values, *, failed=False, lost_at=None, name="seed 0", start=0):
    values = np.asarray(values, dtype=float)
    return Line(name, np.arange(start, start + values.size), values, failed, lost_at)


def band(*rows):
    values = np.asarray(rows, dtype=float)
    return band_across_seeds(Aligned(np.arange(values.shape[1]), values, exact=True))


def picture(lines=(), own=None, title="loss"):
    return ET.fromstring(draw(SeedChart(title, own, tuple(lines))))


def points(element):
    return [tuple(float(part) for part in pair.split(",")) for pair in element.get("points").split()]


def of(svg, kind):
    return [element for element in svg if kind in (element.get("class") or "").split()]


def test_the_first_and_last_step_and_the_extremes_lie_where_the_axes_say():
    (drawn,) = of(picture([line([0.0, 10.0, 5.0])]), "seed")
    (x0, y0), (x1, y1), (x2, y2) = points(drawn)
    assert (x0, x1, x2) == (LEFT, pytest.approx((LEFT + WIDTH - RIGHT) / 2), WIDTH - RIGHT)
    height = HEIGHT - TOP - BOTTOM
    assert y0 == pytest.approx(HEIGHT - BOTTOM - height * 0.5 / 11, abs=0.06)  # 5 % of room above and below
    assert y1 == pytest.approx(HEIGHT - BOTTOM - height * 10.5 / 11, abs=0.06)
    assert y2 == pytest.approx((y0 + y1) / 2, abs=0.06)


def test_a_positive_signal_over_orders_of_magnitude_is_drawn_on_a_log_axis():
    (drawn,) = of(picture([line([1.0, 10.0, 1000.0])]), "seed")
    y = [pair[1] for pair in points(drawn)]
    assert (y[0] - y[1]) == pytest.approx((y[0] - y[2]) / 3, abs=0.2)
    (linear,) = of(picture([line([-1.0, 10.0, 1000.0])]), "seed")
    y = [pair[1] for pair in points(linear)]
    assert (y[0] - y[1]) == pytest.approx((y[0] - y[2]) * 11 / 1001, abs=0.2)


def test_tick_labels_name_the_values_at_their_heights():
    svg = picture([line([0.0, 10.0])])
    labels = [tick for tick in of(svg, "tick") if float(tick.get("x")) < LEFT]
    ticks = [(float(label.text), float(label.get("y")) - 4) for label in labels]
    assert [value for value, _ in ticks] == [0, 5, 10]
    low, high = (pair[1] for pair in points(of(svg, "seed")[0]))
    assert [y for _, y in ticks] == pytest.approx([low, (low + high) / 2, high], abs=0.1)


def test_a_band_is_its_range_and_its_mean():
    svg = picture(own=band([0.0, 4.0, 2.0], [2.0, 8.0, 2.0]))
    ((mean,), (area,)) = of(svg, "mean"), of(svg, "range")
    corners, middle = points(area), points(mean)
    assert len(corners) == 6
    for (x, y), (_, upper), (_, lower) in zip(middle, corners[:3], reversed(corners[3:]), strict=True):
        assert y == pytest.approx((upper + lower) / 2, abs=0.1)
        assert LEFT <= x <= WIDTH - RIGHT
    assert of(svg, "seed") == of(svg, "failed") == []


def test_one_spike_in_a_long_series_and_in_a_long_band_is_seen():
    values = np.ones(100_000)
    values[54_321] = 50.0
    (drawn,) = of(picture([line(values)]), "seed")
    assert len(points(drawn)) <= MAX_POINTS + 2
    assert min(y for _, y in points(drawn)) == pytest.approx(TOP + (HEIGHT - TOP - BOTTOM) * 0.05 / 1.1, abs=0.1)
    own = band(values, np.ones(100_000))
    (area,) = of(picture(own=own), "range")
    assert min(y for _, y in points(area)) < TOP + 10


def test_what_is_not_finite_is_a_gap_and_huge_values_do_not_matter():
    svg = picture([line([1.0, 2.0, np.nan, np.inf, 3.0, 4.0, np.nan, 5.0])])
    assert [len(points(one)) for one in svg if one.tag == "polyline"] == [2, 2]
    assert [one.tag for one in svg].count("circle") == 1
    for text in (draw(SeedChart("x", None, (line([1.0, 1e308, -1e308, 2.0]),))), draw(SeedChart("x", None, ()))):
        assert not re.search(r"\b(nan|inf)\b", text)
    assert "no finite value" in draw(SeedChart("x", None, (line([np.nan, np.inf]),)))


def test_a_failed_seed_has_its_colour_and_a_mark_where_it_was_lost():
    svg = picture([line([3.0, 2.0, 1.0, 0.5]), line([3.0, 2.0, 8.0, np.nan], failed=True, lost_at=2, name="seed 3")])
    ((healthy,), (failed,)) = of(svg, "seed"), of(svg, "failed")
    assert len(points(failed)) == 3
    (mark,) = of(svg, "lost")
    x, y = (float(number) + 4 for number in re.match(r"M([\d.]+) ([\d.]+)l", mark.get("d")).groups())
    assert (x, y) == (pytest.approx(points(failed)[2][0], abs=0.1), pytest.approx(points(failed)[2][1], abs=0.1))
    assert mark[0].text == "seed 3 lost at step 2"
    assert list(svg).index(healthy) < list(svg).index(failed)


def test_a_signal_that_ended_before_the_seed_was_lost_has_no_mark():
    assert of(picture([line([1.0, 2.0], failed=True, lost_at=100)]), "lost") == []


def test_a_constant_and_a_single_point_are_drawn():
    assert len(of(picture([line([2.0, 2.0])]), "seed")) == 1
    assert picture([line([2.0])]).find("circle") is not None


def test_names_are_harmless():
    hostile = '"><script>alert(1)</script>'
    svg = picture([line([1.0, 2.0], name=hostile, failed=True, lost_at=1)], title=hostile)
    assert "script" not in {element.tag for element in svg.iter()}
    assert svg.get("aria-label") == f"{hostile} over steps"
