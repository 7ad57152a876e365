"""A loss that leaves its own beginning far behind, while its noise grows with it."""

import numpy as np
import pytest

from stabilimeter.stats.detection import detect
from stabilimeter.stats.detection.lost_ground import Ground, followed, over
from stabilimeter.stats.incident import Kind


def after(values) -> Ground:
    ground = Ground()
    for step, value in enumerate(values):
        ground = followed(ground, step, value)
    return ground


def test_first_values_set_ceiling_and_span():
    ground = after([3.0, 1.0] * 8)
    assert (ground.ceiling, ground.span, ground.held, ground.onset_step) == (3.0, 2.0, 2.0, None)
    assert ground.scale == pytest.approx(2.0 / 3.532)


def test_ground_is_lost_beyond_twenty_spans_and_won_back_at_the_ceiling():
    begun = [3.0, 1.0] * 8
    assert after(begun + [43.0] * 16).onset_step is None  # exactly 3 + 20 * 2
    lost = after(begun + [2.5] * 16 + [10.0] * 16 + [43.5] * 16 + [60.0] * 16 + [50.0] * 16)
    assert (lost.onset_step, lost.peak_step, lost.peak, lost.held) == (32, 64, 60.0, 2.5)
    assert not over(lost)
    assert not over(after(begun + [43.5] * 16 + [3.5] * 16))
    assert over(after(begun + [43.5] * 16 + [3.0] * 16))


def diverging(seed: int) -> np.ndarray:
    """Grows for 400 steps with noise of a quarter of its level: what a learning rate far too high does."""
    rng = np.random.default_rng(seed)
    return (4.0 + np.maximum(0, np.arange(400) - 30) * 0.8) * rng.lognormal(sigma=0.25, size=400)


@pytest.mark.parametrize("seed", range(5))
def test_growth_with_growing_noise_is_one_divergence(seed):
    found = detect(range(400), diverging(seed), key="train/loss")
    assert [incident.kind for incident in found if incident.kind is not Kind.SPIKE] == [Kind.DIVERGENCE]


@pytest.mark.parametrize("seed", range(5))
def test_twin_that_does_not_grow_has_none(seed):
    assert detect(range(400), 4.0 * np.random.default_rng(seed).lognormal(sigma=0.25, size=400)) == []


def test_scale_and_origin_do_not_matter():
    values = diverging(0)
    steps = [(i.kind, i.step, i.end_step) for i in detect(range(400), values)]
    assert steps == [(i.kind, i.step, i.end_step) for i in detect(range(400), 64.0 * values - 1024.0)]
