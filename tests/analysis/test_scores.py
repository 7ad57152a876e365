import numpy as np
import pytest

from stabilimeter.analysis.evidence import Evidence, Scales, scales_of
from stabilimeter.analysis.primary import primary_of
from stabilimeter.analysis.roles import roles_in
from stabilimeter.analysis.scores import (
    SCORES,
    noise,
    olmo2_spike_score,
    olmo_core_spike_score,
    regression,
    scores_of,
    spike_rate,
    spike_trouble,
)
from stabilimeter.stats.levels import Level
from stabilimeter.stats.stability import HalfPoints

SCALES = Scales(train=Level(2.0, 0.01), evaluation=Level(2.0, 0.01))


def seed_of(run, charged_events=0.0, metric=None):
    return Evidence(run, roles_in([run]), primary_of([run], metric), charged_events=charged_events)


def test_spike_rate_is_events_per_step_and_the_score_uses_it_shrunk(build):
    seed = seed_of(build.foreign(), charged_events=2.0)
    assert spike_rate(seed, SCALES).value == 0.002
    assert spike_trouble(seed, SCALES).value == pytest.approx((2 + 0.1) / 2000)


def test_one_event_in_a_short_log_is_not_one_percent(build):
    short = build.foreign(0, loss=build.points(build.loss()[:100]))
    assert spike_rate(seed_of(short, 1.0), SCALES).value == 0.01
    assert spike_trouble(seed_of(short, 1.0), SCALES).value == pytest.approx(0.001)
    assert spike_trouble(seed_of(short), SCALES).value > 0


def test_published_spike_scores_need_their_window(build):
    short = seed_of(build.foreign())
    assert olmo2_spike_score(short, SCALES).reason == "loss has 1000 finite points, 1001 needed"
    values = build.loss()
    values[[400, 800]] += 3.0
    spiked = seed_of(build.foreign(0, loss=build.points(values)))
    assert olmo_core_spike_score(spiked, SCALES).value == pytest.approx(2 / 872)
    long = np.concatenate([values, values[-500:]])  # the spike at step 800 comes again at 1300
    long[1200] += 9.0
    assert olmo2_spike_score(seed_of(build.foreign(0, loss=build.points(long))), SCALES).value == pytest.approx(2 / 500)


def test_noise_is_in_units_of_the_drop(build):
    assert noise(seed_of(build.foreign()), SCALES).value == pytest.approx(0.01, rel=0.1)


def test_scores_do_not_depend_on_unit_and_origin(build):
    values, evaluated = build.loss(), build.val_loss()
    bad = evaluated.values.copy()
    bad[12] += 0.5
    plain = build.foreign(0, val_loss=build.points(bad, evaluated.steps))
    moved = build.foreign(
        0, loss=build.points(1000 * values + 7), val_loss=build.points(1000 * bad + 7, evaluated.steps)
    )
    one, other = [scores_of(seed_of(run), scales_of([seed_of(run)]), HalfPoints()) for run in (plain, moved)]
    assert one["checkpoint_regression"] > 0.1
    assert other == pytest.approx(one)


def test_all_scores_are_named_once_and_quality_is_made_of_them(build):
    names = [score.name for score in SCORES]
    assert len(set(names)) == len(names)
    found = scores_of(seed_of(build.foreign()), SCALES, HalfPoints())
    assert list(found) == [*names, "quality"]
    assert 0.8 < found["quality"] < 1
    half = HalfPoints(noise=found["noise"], spikes=1e9, regression=1e9)
    assert scores_of(seed_of(build.foreign()), SCALES, half)["quality"] == pytest.approx(0.5 ** (1 / 3), rel=1e-3)


@pytest.mark.parametrize("points", [0, 1, 49])
def test_too_few_points_are_not_measured_and_the_reason_is_given(build, points):
    seed = seed_of(build.foreign(0, loss=build.points(build.loss()[:points])))
    for score in (spike_rate, spike_trouble, noise):
        assert score(seed, SCALES).value is None
        assert f"loss has {points} finite points, 50 needed" in score(seed, SCALES).reason


def test_nan_everywhere(build):
    nan = build.foreign(0, loss=build.points(np.full(1000, np.nan)), val_loss=build.points(np.full(20, np.nan)))
    assert set(scores_of(seed_of(nan), SCALES, HalfPoints()).values()) == {None}


def test_no_training_loss_and_no_metric(build):
    seed = seed_of(build.log({"lr": build.points([1.0, 2.0])}))
    assert spike_rate(seed, SCALES).reason == "no training loss was logged"
    assert regression(seed, SCALES).reason == "no primary metric"


def test_unknown_direction(build):
    seed = seed_of(build.foreign(0, score=build.points(np.arange(30.0))), metric="score")
    assert regression(seed, SCALES).reason == "the better direction of score is unknown"


def test_an_undefined_scale_is_a_reason_not_a_number(build):
    flat = Scales(train=Level(0.01, 0.02), evaluation=Level(float("nan"), float("nan")))
    seed = seed_of(build.foreign())
    assert noise(seed, flat).value is None
    assert "the scale of loss is undefined" in noise(seed, flat).reason
    assert "too few points" in regression(seed, flat).reason
    assert spike_rate(seed, flat).value == 0.0
