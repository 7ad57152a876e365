import math

import numpy as np

from stabilimeter.stats.detection.drift import Drift, alarm, followed, over


def followed_through(values) -> tuple[Drift, list[int]]:
    drift, alarms = Drift(), []
    for i, value in enumerate(values):
        drift = followed(drift, i, float(value))
        if alarm(drift, 1.0) is not None:
            alarms.append(i)
    return drift, alarms


def test_medians_of_sixteen_and_of_four_of_those():
    drift, _ = followed_through(range(70))
    assert (drift.points, drift.level, drift.block, drift.block_step) == (16, 55.5, (64, 65, 66, 67, 68, 69), 64)
    assert drift.rises.residuals == (16.0, 16.0, 16.0)
    assert drift.slower is not None
    assert (drift.slower.points, drift.slower.level) == (64, 31.5)


def test_a_rise_of_one_noise_width_per_median_is_found_in_time():
    noise = np.random.default_rng(0).standard_normal(2000)
    _, none = followed_through(noise)
    _, found = followed_through(noise + 0.03 * np.maximum(np.arange(2000) - 1000, 0))
    assert none == []
    assert 1000 < found[0] < 1000 + 27 * 16


def test_onset_and_peak():
    noise = np.random.default_rng(1).standard_normal(2000)
    drift, _ = followed_through(noise + 0.05 * np.clip(np.arange(2000) - 1000, 0, 400))
    rising = alarm(drift, 1.0)
    assert rising is not None
    assert 900 <= rising.onset_step <= 1050
    assert rising.peak_step >= 1350
    assert abs(rising.peak - rising.onset - 20.0) < 2.0


def test_what_cannot_be_seen_beside_the_noise_is_no_alarm():
    drift, _ = followed_through(np.linspace(0.0, 3.0, 2000) + 1e-6 * np.random.default_rng(0).standard_normal(2000))
    assert alarm(drift, 1.0) is None
    assert alarm(drift, 0.5) is not None
    assert alarm(drift, math.inf) is None


def test_improving_and_constant_series():
    for values in (np.linspace(10.0, 0.0, 2000), np.zeros(2000)):
        drift, alarms = followed_through(values)
        assert alarms == []
        assert drift.total == 0.0


def test_random_walk_rarely_alarms():
    walks = np.random.default_rng(0).standard_normal((20, 5000)).cumsum(axis=1)
    assert sum(bool(followed_through(walk)[1]) for walk in walks) <= 1


def test_a_rise_is_over_when_half_the_sum_is_gone():
    noise = 0.1 * np.random.default_rng(0).standard_normal(3000)
    rise = np.concatenate([np.zeros(500), np.linspace(0, 20, 500), np.full(100, 20.0)])
    drift, _ = followed_through(rise + noise[: len(rise)])
    assert alarm(drift, 1.0) is not None
    assert not over(drift)
    for i, value in enumerate(noise[1100:1300], 1100):
        drift = followed(drift, i, float(value))  # back at zero
    assert over(drift) or drift.peak_total == 0.0
