import numpy as np
import pytest

from stabilimeter.callbacks.capture.derived_columns import DerivedColumns
from stabilimeter.callbacks.capture.trailing_windows import over_finite, trailing_windows
from stabilimeter.callbacks.signals import DEFAULT_SIGNALS
from stabilimeter.callbacks.signals.clip_fraction import CLIP_FRACTION, clip_fraction
from stabilimeter.callbacks.signals.loss_noise import LOSS_NOISE, loss_noise
from stabilimeter.callbacks.signals.loss_variance import LOSS_VARIANCE, loss_variance


def test_default_signals_are_listed_once():
    keys = [signal.spec.key for signal in DEFAULT_SIGNALS]
    assert len(keys) == len(set(keys)) == 12


class TestLossVariance:
    def test_equals_numpy_over_the_last_64(self):
        losses = np.random.default_rng(0).normal(5, 2, 200)
        windows = trailing_windows(losses, 200, LOSS_VARIANCE.window)
        expected = [np.nan, *(np.var(losses[max(0, i - 63) : i + 1], ddof=1) for i in range(1, 200))]
        np.testing.assert_allclose(loss_variance(windows), expected, rtol=1e-12)

    def test_a_nan_does_not_blind_the_window(self):
        losses = np.array([1.0, 2.0, np.nan, 3.0, np.inf])
        assert loss_variance(losses[None])[0] == pytest.approx(np.var([1, 2, 3], ddof=1))


class TestLossNoise:
    def test_is_the_standard_deviation_of_gaussian_noise(self):
        rng = np.random.default_rng(0)
        noise = loss_noise(rng.normal(0, 3.0, (2000, 64)))
        assert noise.mean() == pytest.approx(3.0, rel=0.03)

    def test_does_not_see_a_trend(self):
        windows = np.random.default_rng(0).normal(0, 1, (20, 64))
        np.testing.assert_allclose(loss_noise(windows - 5.0 * np.arange(64)), loss_noise(windows), rtol=1e-9)

    def test_hardly_sees_a_spike_that_variance_sees(self):
        windows = np.random.default_rng(0).normal(0, 1, (20, 64))
        spiked = windows.copy()
        spiked[:, 30:32] += 1e4
        assert np.max(np.abs(loss_noise(spiked) / loss_noise(windows) - 1)) < 0.15
        assert np.all(loss_variance(spiked) > 1e5 * loss_variance(windows))

    def test_scales_with_its_unit(self):
        windows = np.random.default_rng(0).normal(0, 1, (5, 64))
        np.testing.assert_allclose(loss_noise(7 * windows + 3), 7 * loss_noise(windows), rtol=1e-9)


def test_clip_fraction_counts_the_steps_that_were_clipped():
    norms = np.array([1.0, 5.0, 2.0, np.inf, np.nan, 4.0])
    clipped = np.array([1.0, 1.0, 1.0, np.nan, np.nan, 1.0])
    assert clip_fraction(norms[None], clipped[None]) == pytest.approx([3 / 4])
    assert np.isnan(clip_fraction(norms[None], np.full((1, 6), np.nan)))


def test_windows_start_before_the_beginning_with_nothing():
    np.testing.assert_array_equal(trailing_windows(np.array([1.0, 2.0]), 2, 3), [[np.nan, np.nan, 1], [np.nan, 1, 2]])


def test_statistics_need_a_minimum_of_finite_values():
    windows = np.array([[np.nan, np.nan, 1.0], [np.nan, 1.0, 2.0], [1.0, 2.0, 6.0]])
    got = over_finite(lambda rows: rows.mean(axis=1), windows, minimum=2)
    np.testing.assert_array_equal(got, [np.nan, 1.5, 3.0])


@pytest.mark.parametrize("cuts", [[1] * 150, [7] * 21 + [3], [150], [64, 86]])
def test_blocks_give_what_one_long_block_gives(cuts):
    rng = np.random.default_rng(1)
    columns = {"train/loss": rng.normal(size=150), "grad/norm": rng.exponential(size=150)}
    columns["grad/norm_clipped"] = np.minimum(columns["grad/norm"], 1.0)
    columns["train/loss"][40] = np.nan
    signals = [LOSS_VARIANCE, LOSS_NOISE, CLIP_FRACTION]
    whole = DerivedColumns(signals).extend(columns)
    derived, at, parts = DerivedColumns(signals), 0, []
    for cut in cuts:
        parts.append(derived.extend({key: values[at : at + cut] for key, values in columns.items()}))
        resumed = DerivedColumns(signals)
        resumed.load_state_dict(derived.state_dict())
        derived, at = resumed, at + cut
    for signal, expected, *got in zip(signals, whole, *parts, strict=True):
        np.testing.assert_allclose(np.concatenate(got), expected, rtol=1e-9, err_msg=signal.spec.key)
        assert np.isfinite(expected).sum() > 100
