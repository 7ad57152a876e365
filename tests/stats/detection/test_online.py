"""The rule on planted incidents. Every incident has a twin without it; see `test_detection_noise` for false alarms."""

import json
import math
import pickle
import time

import numpy as np
import pytest

from stabilimeter.stats.detection import State, detect, finish, from_plain, plain, start, step
from stabilimeter.stats.incident import Incident, Kind

NAN, INF = math.nan, math.inf


def found(values, **settings) -> list[tuple[str, int]]:
    return [(i.kind.value, i.step) for i in detect(range(len(values)), values, **settings)]


def flat(n: int = 400, seed: int = 0) -> np.ndarray:
    return 2.0 + 0.05 * np.random.default_rng(seed).standard_normal(n)


def descent(n: int = 400, seed: int = 0) -> np.ndarray:
    return flat(n, seed) + 8.0 * np.exp(-np.arange(n) / 40)


def with_values(base: np.ndarray, edits: dict[int, float]) -> np.ndarray:
    series = base.copy()
    for at, value in edits.items():
        series[at] = value
    return series


@pytest.mark.parametrize("positive", [None, True])
@pytest.mark.parametrize("base", [flat(), descent(), flat(2000)], ids=["flat", "descent", "long"])
def test_nothing_happens(base, positive):
    assert found(base, positive=positive) == []
    assert found(-base, mode="max") == []
    assert found(base, mode="both", positive=positive) == []


@pytest.mark.parametrize("seed", range(5))
def test_one_spike_hides_no_other(seed):
    incidents = detect(range(400), with_values(flat(seed=seed), {200: 100.0, 230: 50.0, 260: 50.0}), key="train/loss")
    assert [(i.kind, i.step, i.end_step, i.value) for i in incidents] == [
        (Kind.SPIKE, 200, 200, 100.0),
        (Kind.SPIKE, 230, 230, 50.0),
        (Kind.SPIKE, 260, 260, 50.0),
    ]
    for incident in incidents:
        assert incident.key == "train/loss"
        assert incident.baseline == pytest.approx(2.0, abs=0.05)
        assert incident.scale == pytest.approx(0.05 * math.sqrt(1.29), rel=0.35)  # noise of a value minus a median of 5
        assert incident.evidence["recovered"] is True
        assert incident.evidence["points"] == incident.evidence["steps_to_recover"] == 1


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_nonfinite_value_blinds_nobody(bad):
    base = flat()
    assert found(with_values(base, {150: bad, 155: 100.0})) == [("nonfinite", 150), ("spike", 155)]
    assert found(with_values(base, {150: bad})) == [("nonfinite", 150)]
    assert found(with_values(base, {150: bad, 151: 100.0})) == [("nonfinite", 150), ("spike", 151)]


def test_nonfinite_to_the_end_is_one_incident():
    series = flat()
    series[300:] = NAN
    (incident,) = detect(range(400), series)
    assert (incident.kind, incident.step, incident.end_step) == (Kind.NONFINITE, 300, 399)
    assert math.isnan(incident.value)
    assert incident.baseline == pytest.approx(2.0, abs=0.05)
    assert incident.evidence == {"points": 100}


def test_nonfinite_every_other_step_is_one_incident():
    series = flat()
    series[100:140:2] = INF
    (incident,) = detect(range(400), series)
    assert (incident.kind, incident.step, incident.end_step) == (Kind.NONFINITE, 100, 138)


def test_nonfinite_from_the_first_value():
    (incident,) = detect(range(5), [NAN] * 5)
    assert (incident.kind, incident.step, incident.end_step) == (Kind.NONFINITE, 0, 4)
    assert math.isnan(incident.baseline)
    assert math.isnan(incident.scale)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("after", [13, 16, 60, 300])
def test_level_shift_is_one_shift(seed, after):
    series = flat(300 + after, seed)
    series[300:] += 20 * 0.05
    assert found(series) == [("shift", 300)]


@pytest.mark.parametrize("seed", range(5))
def test_shift_to_nearly_twice_the_level(seed):
    series = flat(600, seed)
    series[300:] *= 1.95
    assert found(series) == [("shift", 300)]
    assert found(series[:300]) == []


def test_detection_goes_on_at_the_new_level():
    series = flat(800)
    series[300:] += 1.0
    series[600] += 2.0
    series[620] = NAN
    assert found(series) == [("shift", 300), ("spike", 600), ("nonfinite", 620)]


@pytest.mark.parametrize("seed", range(5))
def test_growth_of_a_fifth_per_step_is_divergence(seed):
    series = flat(340, seed)
    series[300:] *= 1.2 ** np.arange(40)
    (incident,) = detect(range(340), series)
    assert incident.kind is Kind.DIVERGENCE
    assert 300 < incident.step <= 303
    assert incident.end_step == 339
    assert incident.value == series[-1]
    assert incident.evidence["recovered"] is False
    assert found(series[:300]) == []


@pytest.mark.parametrize(("rise", "duration"), [(8.0, 1000), (2.0, 1000), (1.0, 300)])
@pytest.mark.parametrize("seed", range(3))
def test_slow_worsening_is_divergence(seed, rise, duration):
    series = flat(3000, seed)
    calm = found(series)
    series[1500:] += rise * np.minimum(np.arange(1500) / duration, 1.0)
    (incident,) = detect(range(3000), series)
    assert calm == []
    assert incident.kind is Kind.DIVERGENCE
    assert 1350 <= incident.step <= 1600
    assert incident.baseline == pytest.approx(2.0, abs=0.1)
    assert incident.value == pytest.approx(2.0 + rise, rel=0.05)
    assert incident.evidence["slow"] is True
    assert found(-series, mode="max") == [("divergence", incident.step)]
    assert [at for _, at in found(-series) if at >= 1400] == []  # improving is no incident


def test_excursion_tells_how_long_recovery_took():
    series = flat()
    series[200:225] += 5.0 * np.exp(-np.arange(25) / 8)
    (incident,) = detect(range(0, 4000, 10), series)
    assert (incident.kind, incident.step) == (Kind.EXCURSION, 2000)
    assert incident.value == series[200]
    assert 150 <= incident.evidence["steps_to_recover"] <= 300
    assert incident.end_step < 2000 + incident.evidence["steps_to_recover"]


def test_window_survives_an_excursion():
    """A spike soon after a long excursion is judged against the level before it."""
    series = flat()
    series[200:230] += 5.0
    assert found(series) == [("excursion", 200)]
    series[240] += 1.0
    assert found(series) == [("excursion", 200), ("spike", 240)]


@pytest.mark.parametrize("bad", [50.0, NAN, INF])
def test_flagged_values_stay_out_of_the_window(bad):
    _, state = fold(enumerate(flat(100)), start())
    after, _ = step(state, 100, bad)
    assert after.flagged
    assert after.window == state.window
    assert after.weights == state.weights


def test_old_window_returns_after_an_excursion():
    series = flat()
    series[200:230] += 5.0
    _, before = fold(list(enumerate(series))[:200], start())
    _, during = fold(list(enumerate(series))[:225], start())
    _, after = fold(list(enumerate(series))[:234], start())
    assert min(during.window.values) > 6.0
    assert after.episode is None
    assert after.window.last == before.window.last
    assert after.window.level == before.window.level


def test_collapse_of_an_accuracy():
    series = 0.9 + 0.01 * np.random.default_rng(0).standard_normal(60)
    assert found(series, mode="max") == []
    series[30:] = 0.0
    (incident,) = detect(range(60), series, mode="max")
    assert (incident.kind, incident.step, incident.end_step, incident.value) == (Kind.COLLAPSE, 30, 59, 0.0)
    assert incident.baseline == pytest.approx(0.9, abs=0.02)
    assert found(series) == []  # lower is better there


def test_fall_back_to_the_start_is_collapse_however_noisy():
    noise = 0.02 * np.random.default_rng(1).standard_normal(200)
    series = 2.3 - 2.0 * (1 - np.exp(-np.arange(200) / 10)) + noise
    assert found(series) == []
    series[100:] = 2.3 + noise[100:]
    assert found(series) == [("collapse", 100)]


def test_spike_inside_a_steep_descent():
    series = descent()
    assert found(series) == []
    assert found(with_values(series, {30: series[30] + 1.5})) == [("spike", 30)]
    assert found(with_values(series, {30: series[30] + 1.5}), positive=True) == [("spike", 30)]


def test_flat_history_is_not_blindness():
    constant = [1.0] * 100
    assert found(constant) == []
    assert found([*constant, 1.0 + 1e-7, *constant]) == []
    assert found([*constant, 1.0 + 1e-7, *constant], positive=True) == []
    assert found([*constant, 1.001, *constant]) == [("spike", 100)]
    assert found([*constant, 1000.0, *constant]) == [("spike", 100)]
    assert found([*constant, 1000.0, *constant], positive=True) == [("spike", 100)]


def test_coarsely_rounded_values():
    """An accuracy on 50 examples moves in steps of 0.02; most values are equal."""
    rng = np.random.default_rng(0)
    series = 0.9 + 0.02 * rng.choice([-1, 0, 0, 0, 0, 1], size=300)
    assert found(series, mode="max") == []
    assert found(with_values(series, {200: 0.3}), mode="max") == [("spike", 200)]


def test_noise_that_grows():
    """Accumulation over 1 instead of 8 batches: the noise of the loss is 2.8 times larger from then on.

    It is learnt within 64 values. Until then a single value may stand out (a third of the time), hardly ever a level.
    """
    incidents = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        noise = np.where(np.arange(800) < 400, 1.0, math.sqrt(8)) * rng.standard_normal(800)
        incidents += found(2.0 + 0.05 * noise)
    assert len(incidents) <= 6
    assert all(400 <= at < 464 for _, at in incidents)
    assert sum(kind != "spike" for kind, _ in incidents) <= 1


def test_loss_that_hardly_moves():
    """What Lightning's detector raises on when accumulation goes from 8 to 1."""
    assert found([1.0 + 0.001 * i for i in range(100)]) == []


def test_direction():
    up, down = with_values(flat(), {200: 3.0}), with_values(flat(), {200: 1.0})
    assert found(up, mode="min") == [("spike", 200)]
    assert found(up, mode="max") == []
    assert found(down, mode="min") == []
    assert found(down, mode="max") == [("spike", 200)]
    assert found(up, mode="both") == found(down, mode="both") == [("spike", 200)]


SHORT = {
    "loss": ("min", [11.0, 3.05, 2.28, 2.08, 2.0, 1.95], 5.3),
    "accuracy": ("max", [0.001, 0.044, 0.077, 0.11, 0.15, 0.176], 0.001),
    "bleu": ("max", [0.0, 17.7, 22.2, 23.0, 24.4, 25.4], 0.5),
    "error rate": ("min", [3.5, 0.9, 0.47, 0.27, 0.24, 0.23, 0.215, 0.203, 0.196, 0.188, 0.184, 0.18], 0.87),
}


@pytest.mark.parametrize("name", SHORT)
def test_short_evaluation_series(name):
    mode, values, bad = SHORT[name]
    next_value = values[-1] + 0.5 * (values[-1] - values[-2])
    assert found([*values, next_value], mode=mode) == []
    assert found([*values, bad, next_value], mode=mode) == [("spike", len(values))]
    assert found([*values, *[bad] * 6], mode=mode) == [("collapse", len(values))]


def test_short_noisy_series_is_left_alone():
    """Six values that wander without direction say nothing on the seventh."""
    assert found([0.5, 0.55, 0.48, 0.52, 0.58, 0.5, 0.62, 0.45, 0.53]) == []


EVENTFUL = with_values(descent(700), {100: 40.0, 150: NAN, 151: INF, 155: 30.0})
EVENTFUL[200:230] += 6.0
EVENTFUL[300:] += 2.5
EVENTFUL[660:] *= 1.2 ** np.arange(40)


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 100.0), (1.0, -7.0), (1e3, 0.0), (1e-6, -3e-6)])
def test_unit_and_origin_do_not_matter(factor, offset):
    expected = found(EVENTFUL)
    assert [kind for kind, _ in expected] == ["spike", "nonfinite", "spike", "excursion", "shift", "divergence"]
    assert found(factor * EVENTFUL + offset) == expected
    assert found(-factor * EVENTFUL + offset, mode="max") == expected


def test_positive_series_have_no_unit():
    assert found(1e-5 * EVENTFUL, positive=True) == found(EVENTFUL, positive=True)
    incident = detect(range(400), with_values(flat(), {200: 100.0}), positive=True)[0]
    assert (incident.value, incident.baseline) == (100.0, pytest.approx(2.0, abs=0.05))
    assert incident.scale == pytest.approx(0.057, rel=0.35)


def test_a_spike_of_a_gradient_norm_with_a_power_tail():
    """Noise of 18 % whose tail is a power: ten times the level is beyond it, twice the level is not."""
    noise = 0.05 * np.exp(np.random.default_rng(0).laplace(0.0, 0.18, 400))
    assert found(noise, positive=True) == []
    assert found(with_values(noise, {300: 0.1}), positive=True) == []
    assert found(with_values(noise, {300: 0.5}), positive=True) == [("spike", 300)]


def test_zero_in_a_positive_series():
    assert found(with_values(flat(), {200: 0.0}), positive=True) == []
    assert found(with_values(flat(), {200: 0.0}), positive=True, mode="max") == [("spike", 200)]
    zeros = dict.fromkeys(range(200, 240), 0.0)
    assert found(with_values(flat(), zeros), positive=True) == []  # and what follows is no rise from 1e-300


def fold(values, state: State) -> tuple[list[Incident], State]:
    incidents = []
    for at, value in values:
        state, incident = step(state, at, value)
        incidents += [] if incident is None else [incident]
    return incidents, state


def same(one: list[Incident], other: list[Incident]) -> bool:
    return repr(one) == repr(other)  # NaN equals NaN


def test_detect_is_the_fold_of_step():
    incidents, state = fold(enumerate(EVENTFUL), start(key="k"))
    assert same([*incidents, finish(state)], detect(range(700), EVENTFUL, key="k"))


@pytest.mark.parametrize("positive", [None, True])
def test_interrupted_equals_uninterrupted(positive):
    whole = detect(range(700), EVENTFUL, positive=positive)
    for cut in range(0, 700, 7):
        before, state = fold(list(enumerate(EVENTFUL))[:cut], start(positive=positive))
        state = from_plain(pickle.loads(pickle.dumps(plain(state))))
        after, state = fold(list(enumerate(EVENTFUL))[cut:], state)
        last = finish(state)
        assert same([*before, *after, *([] if last is None else [last])], whole)


def test_plain_state_holds_no_types_of_ours():
    _, state = fold(list(enumerate(EVENTFUL))[:215], start())
    saved = plain(state)

    def types(item):
        yield type(item)
        for part in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
            yield from types(part)

    assert set(types(saved)) <= {dict, list, str, float, int, bool, type(None)}
    assert from_plain(saved) == state
    assert from_plain(json.loads(json.dumps(saved))) == state


def test_looking_at_a_value_changes_nothing():
    _, state = fold(enumerate(flat(100)), start())
    seen, _ = step(state, 100, 50.0)
    assert seen.flagged
    assert not state.flagged
    again, _ = step(state, 100, 2.0)
    assert not again.flagged


def test_open_incident_can_be_read_at_any_time():
    series = flat(310)
    series[300:] += 1.0
    _, state = fold(enumerate(series[:302]), start())
    assert finish(state).kind is Kind.SPIKE
    _, state = fold(enumerate(series), start())
    assert (finish(state).kind, finish(state).step, finish(state).end_step) == (Kind.SHIFT, 300, 309)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"mode must be 'min', 'max' or 'both', got 'up'"):
        start(mode="up")
    with pytest.raises(ValueError, match=r"alarm_rate must be above 0 and at most 0.01, got 0"):
        start(alarm_rate=0.0)
    with pytest.raises(ValueError):
        detect([1, 2], [1.0])


def test_nothing_comes_of_nothing():
    assert detect([], []) == []
    assert found([3.0]) == []


def test_memory_is_constant():
    """Only the number of time scales of slow change grows, to five, and the medians kept at each, to 128."""
    rng = np.random.default_rng(0)
    _, state = fold(enumerate(rng.standard_normal(60_000)), start())

    def numbers(item) -> int:
        if isinstance(item, dict):
            return sum(numbers(part) for part in item.values())
        return sum(numbers(part) for part in item) if isinstance(item, list) else 1

    assert numbers(plain(state)) < (4 + 5 * 2) * 128 + 200
    points, drift = [], state.slow.drift
    while drift is not None:
        points.append(drift.points)
        drift = drift.slower
    assert points == [16, 64, 256, 1024, 4096]


def test_ten_thousand_values_within_a_fifth_of_a_second():
    values = np.random.default_rng(0).standard_normal(10_000)
    began = time.process_time()
    detect(range(10_000), values)
    assert time.process_time() - began < 0.2
