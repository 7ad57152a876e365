"""What other packages say of the same input: equal where the definitions agree; where they err, what we say instead.

The figures were recorded by running rliable 1.2.0, rl-reliability-metrics (50da84b), deepsig 1.2.8 and
tensorboard-reducer 0.4.0 on these inputs. Every test named ``where_..._errs`` says what the peer answered.
"""

import math

import numpy as np
import pytest

from stabilimeter.stats.alignment import aligned
from stabilimeter.stats.band import band_across_seeds
from stabilimeter.stats.checkpoint_regression import upper_cvar
from stabilimeter.stats.effect import chance_of_less
from stabilimeter.stats.intervals import t_interval
from stabilimeter.stats.multiplicity import holm
from stabilimeter.stats.permutation import sign_flip_test, two_sample_test
from stabilimeter.stats.seeds import interquartile_mean, seed_statistics
from stabilimeter.stats.stability import Troubles, seed_spread, stability_score

NAN, INF = math.nan, math.inf


def band(*runs, steps=(0, 1, 2)):
    """A band over runs that are lists of values, or of pairs of steps and values."""
    axes = [np.array(steps[: len(run)]) for run in runs]
    return band_across_seeds(aligned(axes, [np.array(run, dtype=np.float64) for run in runs]))


class TestRliable:
    @pytest.mark.parametrize(
        ("scores", "mean", "iqm"),
        [
            ([0.7], 0.7, 0.7),
            ([0.1, 0.9], 0.5, 0.5),
            ([0.1, 0.5, 0.9], 0.5, 0.5),
            ([0.1, 0.4, 0.5, 0.9], 0.475, 0.45),
            ([0.80, 0.82, 0.79, 0.85, 0.30], 0.712, 0.8033333333333333),
            ([0.71, 0.74, 0.69, 0.75, 0.73, 0.70, 0.72, 0.12, 0.76, 0.71], 0.663, 0.7183333333333333),
            ([0.5, 0.5, 0.5, 0.5], 0.5, 0.5),
        ],
    )
    def test_aggregates(self, scores, mean, iqm):
        result = seed_statistics(np.array(scores))
        assert (result.mean, result.iqm) == pytest.approx((mean, iqm), abs=1e-15)

    @pytest.mark.parametrize(
        ("x", "y", "p"),
        [
            ([3, 4, 5], [0, 1, 2], 1.0),
            ([1, 2, 3, 4, 5], [2, 3, 4, 5, 6], 0.32),
            ([1, 2, 2, 3], [2, 2, 3, 3], 0.3125),
            ([1, 2, 3], [3, 1, 2], 0.5),
            ([0.9, 0.8, 0.95], [0.7, 0.85, 0.6, 0.65, 0.9], 0.8333333333333334),
            ([1.0], [0.0], 1.0),
            ([1, 1, 1], [1, 1, 1, 1], 0.5),
        ],
    )
    def test_probability_of_improvement(self, x, y, p):
        assert chance_of_less(np.array(x, dtype=float), np.array(y, dtype=float)) == pytest.approx(p)

    @pytest.mark.parametrize(
        ("scores", "low", "high"),
        [([0.1, 0.9], 0.1, 0.9), ([0.1, 0.5, 0.9], 0.1, 0.9), ([0.80, 0.82, 0.79, 0.85, 0.30], 0.502, 0.832)],
    )
    def test_where_its_default_interval_errs(self, scores, low, high):
        """Its percentile interval cannot leave the range of the seeds; what holds 95 % at five of them has to."""
        ours = t_interval(np.array(scores))
        assert min(scores) - 1e-9 <= low <= high <= max(scores) + 1e-9
        assert ours[0] < low < high <= max(scores) < ours[1]
        assert ours[1] - ours[0] > 1.7 * (high - low)

    def test_where_its_default_interval_errs_at_three_seeds_it_covers_75_percent_at_most(self):
        """All of what lies between the lowest and the highest of three seeds holds the mean in three cases of four."""
        samples = np.random.default_rng(0).normal(size=(4000, 3))
        widest = np.mean((samples.min(axis=1) <= 0) & (samples.max(axis=1) >= 0))
        ours = np.mean([low <= 0 <= high for low, high in map(t_interval, samples)])
        assert widest == pytest.approx(0.75, abs=0.02)
        assert ours == pytest.approx(0.95, abs=0.011)

    @pytest.mark.parametrize("broken", [NAN, -INF])
    def test_where_it_errs_a_run_without_a_number(self, broken):
        """NaN made every aggregate NaN; with -inf the IQM was a finite 0.64. A number that is none is refused."""
        with pytest.raises(ValueError, match="finite"):
            seed_statistics(np.array([0.80, 0.82, broken, 0.85, 0.30]))


class TestRlReliabilityMetrics:
    LOSS = (
        [2.500062, 2.417396, 2.295968, 2.176886, 2.114728, 2.008019, 1.984644, 1.976387, 1.81603, 1.744233]
        + [1.737553, 1.671744, 1.602894, 1.497568, 1.491708, 1.479498, 1.331447, 1.331949, 1.218078, 1.209005]
        + [1.143672, 1.188121, 1.10237, 1.146837, 1.110226, 1.063663, 0.919226, 0.991546, 0.990769, 0.974806]
        + [0.869754, 0.900608, 0.854867, 0.843658, 0.918412, 0.807171, 0.828972, 0.858694, 0.769957, 0.778963]
        + [0.776194, 0.760659, 0.68366, 0.736775, 0.789547, 0.633441, 0.743487, 0.696706, 0.649362, 0.772608]
        + [0.702283, 0.596199, 0.652273, 0.670137, 0.624972, 0.662001, 0.618294, 0.649051, 0.681973, 0.570896]
    )
    FINALS = (0.570896, 0.614317, 0.60299, 0.532186, 0.607395)

    @pytest.mark.parametrize(
        ("returns", "cvar"),
        [
            ([-loss for loss in LOSS], 0.11836666666666662),
            ([100.0, 150.0, 90.0, 120.0, 80.0, 200.0], 70.0),
            ([5.0, 5.0, 3.0, 6.0, 5.0], 2.0),
            ([0.3, 0.1, -0.5, 1.0], 0.8),
        ],
    )
    def test_upper_cvar_of_the_drawdown(self, returns, cvar):
        returns = np.array(returns)
        assert upper_cvar(np.maximum.accumulate(returns) - returns) == pytest.approx(cvar)

    def test_where_its_configuration_errs(self):
        """It ships with the lower tail of the drawdown, which was 0 on each of these curves."""
        loss = np.array(self.LOSS)
        drawdown = loss - np.minimum.accumulate(loss)
        assert upper_cvar(drawdown) > 0.1 > np.mean(drawdown[drawdown <= np.quantile(drawdown, 0.05)]) == 0

    def test_dispersion_across_runs(self):
        statistics = seed_statistics(np.array(self.FINALS))
        assert statistics.iqr == pytest.approx(0.03649900000000006)
        assert statistics.sd == pytest.approx(0.03417365174663076)

    def test_where_it_errs_one_run_is_not_perfectly_stable(self):
        """The IQR across a single run was 0."""
        one = seed_statistics(np.array([0.570896]))
        assert (one.sd, one.iqr, one.ci) == (None, None, None)
        assert seed_spread(np.array([0.570896]), 1.0) is None
        score = stability_score([Troubles(0.0, 0.0, 0.0)], 0, np.array([0.570896]), 1.0)
        assert "seed_spread" in score.not_measured
        assert score.low is None

    def test_where_it_errs_a_nan_run_is_not_dropped(self):
        """Its worst 5 % over runs was the same with a run that is NaN and without it."""
        healthy = [Troubles(0.0, 0.01, 0.0)] * 4
        finals = np.array(self.FINALS[:4])
        with_failure, without = stability_score(healthy, 1, finals, 1.0), stability_score(healthy, 0, finals, 1.0)
        assert with_failure.score == pytest.approx(0.8 * without.score)


class TestDeepsig:
    def test_where_its_correction_errs(self):
        """It made 0.010, 0.011, 0.012 into 0.030, 0.022, 0.012: the largest p became the most significant."""
        assert holm([0.010, 0.011, 0.012]) == pytest.approx([0.03, 0.03, 0.03])
        assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])

    def test_where_it_errs_nan_is_no_evidence(self):
        """p was 0.0 in its bootstrap test, 0.001 in its permutation test."""
        first, second = np.array([0.80, NAN, 0.83]), np.array([0.78, 0.80, 0.79])
        for test in (lambda rng: two_sample_test(first, second, rng=rng), lambda rng: sign_flip_test(first, rng=rng)):
            with pytest.raises(ValueError, match="finite"):
                test(np.random.default_rng(0))

    def test_where_it_errs_one_seed_dominates_nothing(self):
        """0.9 against 0.8, a single run each, was "stochastically dominant" (0.0), and p of the bootstrap test 0.0."""
        result = two_sample_test(np.array([0.9]), np.array([0.8]), rng=np.random.default_rng(0))
        assert (result.p, result.p_min) == (1.0, 1.0)

    def test_p_of_three_clearly_better_runs(self):
        """Its sampled one-sided p was 0.1199 over pairs (1 / 8); two-sided and exact."""
        better, worse = np.array([0.82, 0.84, 0.83]), np.array([0.78, 0.80, 0.79])
        assert sign_flip_test(better - worse, rng=np.random.default_rng(0)).p == 0.25


class TestTensorboardReducer:
    def test_mean_sd_and_extremes(self):
        found = band([3, 2, 1], [4, 2, 2], [5, 5, 0])
        assert found.mean.tolist() == [4, 3, 1]
        assert found.sd == pytest.approx([1.0, 1.7320508075688772, 1.0])
        assert (found.min.tolist(), found.max.tolist()) == ([3, 2, 0], [5, 5, 2])
        assert found.median.tolist() == [4, 2, 1]

    @pytest.mark.parametrize("broken", [NAN, INF])
    def test_where_it_errs_a_diverged_run_shows_in_n(self, broken):
        """NaN runs vanished from mean and SD without a word; an infinite one made the mean infinite."""
        found = band([3, 2, 1], [4, 2, 2], [5, broken, broken])
        assert found.n.tolist() == [3, 2, 2]
        assert found.mean.tolist() == [4, 2, 1.5]
        assert found.sd == pytest.approx([1.0, 0.0, 0.7071067811865476])

    def test_one_run_has_no_sd(self):
        assert np.isnan(band([3, 2, 1]).sd).all()

    def test_where_it_errs_a_crashed_run_does_not_end_the_others(self):
        """Its inner join dropped step 2 for everybody."""
        found = band([3, 2, 1], [4, 2, 2], [5, 6])
        assert (found.steps.tolist(), found.n.tolist()) == ([0, 1, 2], [3, 3, 2])
        assert found.mean == pytest.approx([4.0, 3.3333333333333335, 1.5])
        assert found.sd == pytest.approx([1.0, 2.3094010767585034, 0.7071067811865476])

    def test_where_its_strict_steps_err(self):
        """``strict_steps`` compares lengths: steps 0, 10, 20 and 0, 11, 21 passed, and one step of three was left."""
        first, second = np.array([0, 10, 20]), np.array([0, 11, 21])
        together = aligned([first, second], [np.array([3.0, 2.0, 1.0]), np.array([4.0, 2.0, 2.0])])
        assert not together.exact  # and the summary says so in a note
        assert together.steps.tolist() == [0, 10, 20]
        assert together.values.tolist() == [[3, 2, 1], [4, 2, 2]]

    def test_where_its_strict_steps_err_on_runs_of_equal_length_that_overlap_in_part(self):
        steps = [np.arange(10), np.arange(5, 15)]
        together = aligned(steps, [np.zeros(10), np.ones(10)])
        found = band_across_seeds(together)
        assert (together.exact, found.steps.size) == (True, 15)
        assert found.n.tolist() == [1] * 5 + [2] * 5 + [1] * 5


class TestScorePrototype:
    """The score of the prototype that the definition comes from, on eight synthetic sweeps of five seeds."""

    @pytest.mark.parametrize(
        ("qualities", "n_failed", "across", "score"),
        [
            ([83.40, 83.88, 84.42, 85.33, 86.01], 0, 0.8769286902482655, 85.36994947559306),
            ([65.88, 68.36, 68.13, 66.47, 67.33], 0, 0.7980713246942255, 70.17864833249551),
            ([67.01, 65.99, 67.96, 65.65, 64.81], 0, 0.8349181585105856, 70.22190462943949),
            ([37.48, 39.49, 37.89, 37.58, 37.18], 0, 0.8610764011546301, 46.55164143464543),
            ([57.33, 56.68, 58.19, 56.81, 56.93], 0, 0.8196602755497944, 62.57340421628938),
            ([83.63, 84.77, 84.36, 83.94, 84.82], 0, 0.4120483140882568, 70.48982577948031),
            ([83.64, 82.42, 84.24, 83.83], 1, 0.8849475137104358, 67.79651463093123),
            ([85.28], 4, None, 17.05652552738679),
        ],
    )
    def test_from_qualities_and_spread(self, qualities, n_failed, across, score):
        # A seed with noise x alone has the quality 1 / (1 + x / 0.05).
        survivors = [Troubles(None, 0.05 * (100 / quality - 1), None) for quality in qualities]
        finals = np.arange(float(len(qualities)))
        scale = None
        if across is not None:
            scale = seed_spread(finals, 1.0) / (0.05 * (1 / across - 1))
        found = stability_score(survivors, n_failed, finals, scale)
        assert found.score == pytest.approx(score, abs=0.005)  # qualities are given to 0.01


def test_iqm_hides_dead_seeds():
    """One of five, two of ten: why it never stands alone."""
    for n, dead in ((5, 1), (10, 2)):
        scores = np.array([0.8] * (n - dead) + [0.1] * dead)
        assert interquartile_mean(scores) == pytest.approx(0.8)
        assert seed_statistics(scores).min == 0.1
