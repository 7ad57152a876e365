import numpy as np
import pytest

from stabilimeter.stats.failure import collapse_size, ends_nonfinite, is_worse_at_the_end, stalled_among
from stabilimeter.stats.levels import Level, final_level, improvement

NAN = np.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0], False),
        ([1.0, NAN], True),
        ([1.0, np.inf], True),
        ([NAN, 1.0], False),
        ([NAN, NAN], True),
        ([], False),
        ([1.0] * 990 + [NAN] * 10, True),
        ([1.0] * 990 + [NAN] * 9 + [1.0], True),  # most of the last 1 %
        ([1.0] * 990 + [NAN] * 4 + [1.0] * 6, False),
        ([1.0] * 500 + [NAN] * 400 + [1.0] * 100, False),
    ],
)
def test_nonfinite_at_the_end(values, expected):
    assert ends_nonfinite(np.array(values)) is expected


def noise(n, seed=0, sd=0.1):
    return np.random.default_rng(seed).normal(scale=sd, size=n)


def test_a_loss_that_rises_is_worse_and_its_twins_are_not():
    assert is_worse_at_the_end(np.linspace(2, 3, 400) + noise(400))
    assert not is_worse_at_the_end(np.linspace(3, 2, 400) + noise(400))
    assert not is_worse_at_the_end(np.full(400, 2.0))
    assert not is_worse_at_the_end(np.full(400, NAN))


def test_a_dead_model_that_flips_between_two_answers_is_worse_throughout():
    """Error rates of a perceptron on 143 examples, at a learning rate of 30 and evaluated every ten steps."""
    dead = [0.133, 0.119, 0.112, 0.112, 0.105, 0.490, 0.371, 0.371, 0.126, 0.084, 0.182, 0.021, 0.371, 0.371, 0.091]
    dead += [0.371, 0.629, 0.629, 0.371, 0.629, 0.371, 0.371, 0.371, 0.629, 0.371]
    assert is_worse_at_the_end(np.array(dead), evaluations=True)
    revived = np.array([*dead[:-3], 0.112, 0.629, 0.371])
    assert not is_worse_at_the_end(revived, evaluations=True)
    assert not is_worse_at_the_end(np.array(dead), evaluations=False)  # a signal of each step may do so by chance


def test_pure_noise_is_hardly_ever_called_worse():
    called = sum(is_worse_at_the_end(noise(400, seed)) for seed in range(300))
    assert called <= 3


def test_autocorrelated_noise_is_hardly_ever_called_worse():
    smooth = np.ones(20) / 20
    called = sum(is_worse_at_the_end(np.convolve(noise(619, seed), smooth, mode="valid")) for seed in range(200))
    assert called <= 8


def stalled(*curves):
    return stalled_among([improvement(values) for values in curves], [final_level(values).value for values in curves])


def falling(seed=0, start=5.0, end=1.0):
    return np.linspace(start, end, 400) + noise(400, seed)


def test_a_stalled_seed_among_siblings():
    assert stalled(*[falling(seed) for seed in range(4)], 5 + noise(400, 9)) == [False] * 4 + [True]


def test_seeds_that_all_stall_are_not_stalled_among_each_other():
    assert stalled(*[5 + noise(400, seed) for seed in range(5)]) == [False] * 5


def test_a_seed_that_started_lucky_is_not_stalled():
    """It had little to improve, and ends where the others end."""
    assert stalled(*[falling(seed) for seed in range(4)], falling(9, start=1.3)) == [False] * 5


def test_slow_is_not_stalled():
    def among_four(value, final):
        return stalled_among([Level(2.0, 0.1)] * 4 + [Level(value, 0.1)], [1.0] * 4 + [final])

    assert among_four(0.21, 2.8) == [False] * 5
    assert among_four(0.19, 2.8) == [False] * 4 + [True]
    assert among_four(0.19, 1.9) == [False] * 5


@pytest.mark.parametrize("levels", [[], [Level(1.0, 0.1)], [Level(NAN, NAN)] * 3])
def test_nobody_to_compare_with(levels):
    assert stalled_among(levels, [1.0] * len(levels)) == [False] * len(levels)


EVALUATED = np.arange(0, 4000, 100)
TRAINED = np.arange(4000)


def curve(steps, floor=1.0):
    return floor + 4 * np.exp(-steps / 300)


def training(end=None, seed=1):
    values = curve(TRAINED) + noise(TRAINED.size, seed)
    if end is not None:
        values[2000:] = end + noise(2000, seed + 1)
    return [(TRAINED, values)]


def evaluations(end=None, seed=2, sd=0.01):
    values = curve(EVALUATED) + noise(EVALUATED.size, seed, sd)
    if end is not None:
        values[20:] = end + noise(20, seed + 1, sd)
    return values


def test_collapse_to_a_worse_level_and_its_twin():
    assert collapse_size(EVALUATED, evaluations(end=1.5), training(end=1.5)) == pytest.approx(0.5, abs=0.03)
    assert collapse_size(EVALUATED, evaluations(), training()) is None


def test_collapse_to_a_constant_predictor_has_no_noise_at_all():
    values = evaluations()
    values[20:] = 1.2
    assert collapse_size(EVALUATED, values, training(end=1.2)) == pytest.approx(0.2, abs=0.03)


def test_overfitting_is_not_a_collapse():
    overfit = evaluations() + np.maximum(0, np.arange(40) - 15) * 0.05
    still_falling = [(TRAINED, curve(TRAINED, floor=0.0) + noise(4000))]
    assert collapse_size(EVALUATED, overfit, still_falling) is None


def test_a_regression_within_the_tails_noise_is_not_a_collapse():
    assert collapse_size(EVALUATED, evaluations(end=1.5, sd=0.2), training(end=1.5)) is None


def test_divergence_without_end_is_a_collapse_and_the_way_back_from_a_restart_is_not():
    rise = np.concatenate([np.zeros(2000), np.linspace(0, 2, 2000)])
    diverging = [(TRAINED, training()[0][1] + rise)]
    assert collapse_size(EVALUATED, evaluations() + rise[EVALUATED], diverging) == pytest.approx(1.78, abs=0.05)
    restart = np.concatenate([np.zeros(3000), np.linspace(2, 0.05, 1000)])
    restarted = [(TRAINED, training()[0][1] + restart)]
    assert collapse_size(EVALUATED, evaluations() + restart[EVALUATED], restarted) is None


def test_a_tail_that_became_noisy_must_be_worse_by_more():
    values = evaluations()
    values[20:] = 1.5 + noise(20, 6, sd=0.1)
    assert collapse_size(EVALUATED, values, training(end=1.5)) is None
    values[20:] += 1.0
    assert collapse_size(EVALUATED, values, training(end=2.5)) == pytest.approx(1.5, abs=0.2)


def test_a_run_that_recovers_before_the_end_has_not_collapsed():
    values = evaluations(end=1.5)
    values[36:] = evaluations()[36:]
    assert collapse_size(EVALUATED, values, training(end=1.5)) is None


def test_a_fall_of_the_last_few_evaluations_is_a_regression_not_yet_a_collapse():
    values = evaluations()
    values[36:] = 3.0
    risen = [(TRAINED, training()[0][1] + np.where(TRAINED > 3300, 2.0, 0.0))]
    assert collapse_size(EVALUATED, values, risen) is None
    values[32:] = 3.0
    assert collapse_size(EVALUATED, values, risen) == pytest.approx(2.0, abs=0.05)


def test_training_evaluated_now_and_then_is_enough():
    """The loss of single batches may be too noisy to show a rise that evaluations on training data show."""
    batches = [(TRAINED[::100], curve(TRAINED[::100]) + noise(40, 5, sd=1.0))]
    assert collapse_size(EVALUATED, evaluations(end=1.2), batches) is None
    evaluated = [(EVALUATED, evaluations(end=1.19, seed=7))]
    assert collapse_size(EVALUATED, evaluations(end=1.2), batches + evaluated) is not None


def test_without_a_training_loss_half_of_the_gain_must_be_lost():
    assert collapse_size(EVALUATED, evaluations(end=1.5), []) is None
    assert collapse_size(EVALUATED, evaluations(end=4.0), []) == pytest.approx(3.0, abs=0.05)
    first_steps_only = [(TRAINED[:100], np.linspace(5.1, 5.0, 100))]
    assert collapse_size(EVALUATED, evaluations(end=4.0), first_steps_only) == pytest.approx(3.0, abs=0.05)


def test_a_wild_tail_far_above_everything_is_a_collapse():
    values = evaluations()
    values[20:] = 500 * np.random.default_rng(0).lognormal(size=20)
    assert collapse_size(EVALUATED, values, training(end=500.0)) > 100


def test_one_example_less_is_not_a_collapse():
    """An accuracy on 100 examples that ends one example below its best, without any noise, at learning rate 0."""
    error = np.round(np.concatenate([np.linspace(0.9, 0.1, 10), np.full(5, 0.10), np.full(25, 0.11)]), 2)
    assert collapse_size(EVALUATED, error, training(end=2.0)) is None
    error[15:] = 0.45
    assert collapse_size(EVALUATED, error, training(end=2.0)) == pytest.approx(0.35)


def test_few_evaluations_are_not_judged():
    steps = np.arange(9)
    assert collapse_size(steps, np.array([5, 3, 1, 1, 9, 9, 9, 9, 9.0]), []) is None


@pytest.mark.parametrize("a", [1e-3, 1000.0])
def test_does_not_depend_on_unit_and_origin(a):
    pairs = [(steps, a * values + 7) for steps, values in training(end=1.5)]
    assert collapse_size(EVALUATED, a * evaluations(end=1.5) + 7, pairs) == pytest.approx(
        a * collapse_size(EVALUATED, evaluations(end=1.5), training(end=1.5))
    )


def test_non_finite_evaluations_are_left_out():
    values = evaluations(end=1.5)
    values[[3, 25]] = NAN
    assert collapse_size(EVALUATED, values, training(end=1.5)) == pytest.approx(0.5, abs=0.03)
    assert collapse_size(EVALUATED, np.full(40, NAN), training()) is None
