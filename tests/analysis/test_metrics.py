import numpy as np
import pytest
from scipy import stats

from stabilimeter.analysis.metrics import group_metric, run_metric
from stabilimeter.records.run import Series

NAN, INF = np.nan, np.inf


def series(values):
    return Series(np.arange(len(values)) * 10, np.array(values, dtype=np.float64))


@pytest.mark.parametrize(
    ("values", "mode", "best", "best_step"),
    [
        ([3.0, 1.0, 2.0], "min", 1.0, 10),
        ([3.0, 1.0, 2.0], "max", 3.0, 0),
        ([3.0, 1.0, 1.0], "min", 1.0, 10),
        ([NAN, -INF, 2.0, INF], "min", 2.0, 20),
        ([NAN, INF, 2.0, 1.0], "max", 2.0, 20),
        ([NAN, INF], "max", None, None),
        ([3.0, 1.0], None, None, None),
    ],
)
def test_best_is_the_first_best_finite_value(values, mode, best, best_step):
    metric = run_metric(series(values), mode)
    assert (metric.best, metric.best_step) == (best, best_step)


def test_final_keeps_what_is_not_finite():
    metric = run_metric(series([1.0, NAN, INF]), "min")
    assert metric.final == INF
    assert (metric.n_points, metric.n_nonfinite) == (3, 2)


def test_group_metric_by_reference():
    finals = [0.97, 0.962, NAN, 0.981, 0.974, INF]
    metric = group_metric(finals, "max", rng=np.random.default_rng(0))
    finite = np.array([0.97, 0.962, 0.981, 0.974])
    assert metric.n == 4
    assert metric.mean == pytest.approx(finite.mean())
    assert metric.sd == pytest.approx(finite.std(ddof=1))
    assert metric.iqm == pytest.approx(stats.trim_mean(finite, 0.25))
    assert metric.ci == pytest.approx(stats.t.interval(0.95, 3, loc=finite.mean(), scale=stats.sem(finite)))
    assert (metric.mode, metric.method, metric.level) == ("max", "t", 0.95)


def test_bootstrap_where_asked_and_where_it_is_good_for_something():
    finals = [1.0, 2.0, 2.5, 3.0, 9.0]
    metric = group_metric(finals, "min", rng=np.random.default_rng(0), interval="bootstrap-t")
    plain = group_metric(finals, "min", rng=np.random.default_rng(0))
    assert metric.method == "bootstrap-t"
    assert metric.ci[1] - metric.mean > plain.ci[1] - plain.mean
    assert group_metric(finals[:4], "min", rng=np.random.default_rng(0), interval="bootstrap-t").method == "t"


def test_nothing_finite():
    metric = group_metric([NAN, NAN], "min", rng=np.random.default_rng(0))
    assert metric.n == 0
    assert metric.mean is None


@pytest.mark.parametrize(("finals", "ci"), [([0.1] * 3, (0.1, 0.1)), ([0.1] * 2, None)])
def test_equal_values_have_an_interval_of_no_width_and_it_says_so(finals, ci):
    metric = group_metric(finals, "max", rng=np.random.default_rng(0), interval="bootstrap-t")
    assert (metric.mean, metric.sd, metric.ci, metric.method) == (0.1, 0.0, ci, "equal")


def test_expected_best_of_k_runs():
    metric = group_metric([0.7, NAN, 0.9, 0.8], "max", rng=np.random.default_rng(0))
    assert metric.expected_best == pytest.approx(
        (0.8, 0.9 * 5 / 9 + 0.8 * 3 / 9 + 0.7 / 9, 0.9 * 19 / 27 + 0.8 * 7 / 27 + 0.7 / 27)
    )
    assert group_metric([1.0, 2.0], None, rng=np.random.default_rng(0)).expected_best is None
    assert len(group_metric(np.arange(50.0), "min", rng=np.random.default_rng(0)).expected_best) == 20
