import math

import numpy as np
import pytest

from stabilimeter.stats.spike_rate import olmo2_spikes, olmo_core_spikes, spike_rate


def test_poisson_interval_against_published_values():
    """Garwood's exact 95 % limits for a count of 0, 1, 5, 10 and 100, as tabled."""
    for count, low, high in ((0, 0.0, 3.6889), (1, 0.0253, 5.5716), (5, 1.6235, 11.6683), (10, 4.7954, 18.3904)):
        rate = spike_rate(count, 1000)
        assert (rate.low * 1000, rate.high * 1000) == pytest.approx((low, high), abs=1e-4)
    assert spike_rate(100, 1).low == pytest.approx(81.364, abs=1e-3)


def test_interval_covers():
    rng = np.random.default_rng(0)
    truth, steps = 0.002, 2000
    rates = [spike_rate(int(k), steps) for k in rng.poisson(truth * steps, 2000)]
    covered = np.mean([r.low <= truth <= r.high for r in rates])
    assert 0.95 <= covered <= 0.99


def test_one_event_in_one_step_is_a_rate_of_one_with_a_wide_interval():
    rate = spike_rate(1, 1)
    assert rate.rate == 1.0
    assert rate.low < 0.03
    assert rate.high > 5.0


def test_short_logs_are_neither_punished_nor_praised():
    assert spike_rate(0, 30).shrunken == pytest.approx(0.1 / 1030)
    assert spike_rate(1, 30).shrunken == pytest.approx(1.1 / 1030)
    assert spike_rate(10, 10_000).shrunken == pytest.approx(10.1 / 11_000)
    assert spike_rate(1000, 10**6).shrunken == pytest.approx(1e-3, rel=2e-3)


def test_no_steps_and_shared_events():
    nothing = spike_rate(0, 0)
    assert math.isnan(nothing.rate)
    assert (nothing.low, nothing.high) == (0.0, math.inf)
    third = spike_rate(1 / 3, 1000)
    assert third.rate == pytest.approx(1 / 3000)
    assert third.low < third.rate < third.high


def test_bad_input():
    with pytest.raises(ValueError, match="must not be negative, got -1 and 10"):
        spike_rate(-1, 10)
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        spike_rate(1, 10, level=95)


def planted(edits) -> np.ndarray:
    """The series on which the rules were replayed from their own source code to get the numbers below."""
    rng = np.random.default_rng(42)
    series = 2.0 * np.exp(-np.arange(3000) / 600) + 1.0 + 0.05 * rng.standard_normal(3000)
    for at, change in edits.items():
        series[at] += change
    return series


@pytest.mark.parametrize(
    ("edits", "olmo_core", "olmo2"),
    [
        ({}, [], []),
        ({1500: 0.6, 1501: 0.5, 2500: 2.0}, [1500, 1501, 2500], [2500]),
        ({1500: math.nan, 1600: 2.0}, [], []),
        ({1500: 50.0, 1560: 2.0}, [1500], [1500]),
        ({2200: -1.0}, [], [2200]),
    ],
)
def test_published_rules_say_what_their_authors_code_says(edits, olmo_core, olmo2):
    series = planted(edits)
    assert np.flatnonzero(olmo_core_spikes(series)).tolist() == olmo_core
    assert np.flatnonzero(olmo2_spikes(series)).tolist() == olmo2


def test_published_rules_on_series_shorter_than_their_window():
    assert not olmo_core_spikes(np.r_[np.ones(50), 100.0]).any()
    assert not olmo2_spikes(np.zeros(0)).any()
