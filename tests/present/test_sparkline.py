import numpy as np
import pytest

from stabilimeter.present.sparkline import BLOCKS, GAP, can_draw, sparkline


def test_each_eighth_of_the_range_has_a_block_of_its_own():
    # Of the range 0 to 8 the values fall into these eighths: [0,1) [1,2) ... [7,8].
    values = np.array([0.0, 0.99, 1.0, 3.5, 4.0, 6.99, 7.0, 8.0])
    assert sparkline(values, 8) == "▁▁▂▄▅▇██"


def test_invariant_to_shift_and_positive_scale_and_mirrored_by_a_negative_one():
    values = np.random.default_rng(0).normal(size=50)
    line = sparkline(values, 20)
    assert sparkline(1e6 * values + 3, 20) == line
    mirrored = sparkline(-values, 20)
    assert [BLOCKS.index(a) + BLOCKS.index(b) for a, b in zip(line, mirrored, strict=True)] == [7] * 20


def test_a_cell_is_the_mean_of_what_it_stands_for():
    values = np.array([0.0, 2.0, 1.0, 1.0, 8.0, 0.0])  # means 1, 1, 4
    assert sparkline(values, 3) == "▁▁█"


def test_what_is_not_finite_is_a_gap_and_hides_nothing_beside_it():
    values = np.array([0.0, np.nan, np.inf, 8.0, 4.0, -np.inf])
    assert sparkline(values, 6) == f"▁{GAP}{GAP}█▅{GAP}"
    assert sparkline(values, 2) == "▁█"  # means of what is finite: 0, and of 8 and 4
    assert sparkline(np.full(5, np.nan), 4) == GAP * 4


def test_a_curve_shorter_than_the_line_becomes_stairs():
    assert sparkline(np.array([0.0, 8.0, 4.0]), 6) == "▁▁██▅▅"


def test_constant_single_and_empty():
    assert sparkline(np.full(7, -3.0), 3) == "▄▄▄"
    assert sparkline(np.array([2.0]), 3) == "▄▄▄"
    assert sparkline(np.array([]), 3) == ""


def test_cells_that_do_not_count_for_the_scale_are_cut_off_at_its_ends():
    values = np.array([1000.0, 8.0, 4.0, 0.0])
    assert sparkline(values, 4) == "█▁▁▁"
    assert sparkline(values, 4, scale_from=1) == "██▅▁"
    assert sparkline(np.array([3.0, np.nan, np.nan]), 3, scale_from=1) == f"▄{GAP}{GAP}"


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_do_not_overflow():
    assert sparkline(np.array([-1.7e308, 0.0, 1.7e308]), 3) == "▁▅█"
    assert sparkline(np.full(4, 1.7e308), 2) == "▄▄"


def test_an_unknown_encoding_gets_no_blocks():
    assert can_draw("utf-16")
    assert not can_draw("no-such-encoding")
