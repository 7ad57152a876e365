import numpy as np
import pytest

from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.analysis.summarize import summarize
from stabilimeter.analysis.variance_sources import variance_report
from stabilimeter.records.manifest import RunStatus


@pytest.fixture
def sweep_of(build):
    """Makes a sweep from final values, by what was varied and seed; None is a run that failed."""

    def made(prefix="", **finals):
        groups = []
        for varied, by_seed in finals.items():
            runs = []
            for seed, final in by_seed.items():
                status = RunStatus.FAILED if final is None else RunStatus.COMPLETED
                values = build.points([3.0] * 9 + [final or 1.0], np.arange(0, 1000, 100))
                loss = build.points(build.loss(seed + 100 * len(groups)))
                series = {"val/loss": values, "train/loss": loss}
                runs.append(build.ours(seed, status, manifest={"config": {"vary": varied}}, **series))
            groups.append(build.group(runs, f"{prefix}vary={varied}"))
        return build.sweep(*groups)

    return made


def report(sweep, sources=("init", "order"), **arguments):
    summary = summarize(sweep, rng=np.random.default_rng(0), expect_progress=False)
    return variance_report(sweep, summary, sources=sources, unvaried="nothing", **arguments)


def test_worked_by_hand(sweep_of):
    """Changes of init: 0.2, -0.2, 0.4; of order: 0. Base 1, 1.2, 1.4: variance 0.04."""
    base = {0: 1.0, 1: 1.2, 2: 1.4}
    found = report(sweep_of(nothing=base, init={0: 1.2, 1: 1.0, 2: 1.8}, order=base))
    init, order = found.sources
    assert init.sd == pytest.approx(np.sqrt((0.04 + 0.04 + 0.16) / 6))
    assert (init.share.value, init.n_pairs, init.changes_nothing) == (1.0, 3, False)
    assert (order.sd, order.sd_ci, order.changes_nothing) == (0.0, None, True)
    assert (found.mean, found.joint_sd, found.n) == (pytest.approx(1.2), pytest.approx(0.2), 3)
    assert found.sum_sd == pytest.approx(init.sd)
    assert found.excess.value == pytest.approx(0.04 - 0.04, abs=1e-12)


def test_failed_runs_take_their_pair_along_and_are_counted(sweep_of):
    found = report(
        sweep_of(nothing={0: 1.0, 1: 1.2, 2: None, 3: 1.1}, init={0: 1.2, 1: None, 2: 1.0, 3: 1.1}, order={0: 1.1})
    )
    init, order = found.sources
    assert (init.n_pairs, init.n_failed, found.n, found.n_failed) == (2, 1, 3, 1)
    assert init.sd == pytest.approx(0.1)
    assert order.n_pairs == 1
    assert set(found.notes) == {"vary=nothing: 1 failed and left out", "vary=init: 1 failed and left out"}


def test_a_source_that_was_not_varied_is_named_and_nothing_is_said_about_the_sum(sweep_of):
    found = report(sweep_of(nothing={0: 1.0, 1: 1.2}, init={0: 1.1, 1: 1.1}))
    assert found.excess is None
    assert found.notes == ("not varied, and so in no sum: order",)


def test_refusals(sweep_of, build):
    with pytest.raises(RecipeError, match="1 of the runs with vary=nothing have"):
        report(sweep_of(nothing={0: 1.0}, init={0: 1.2}))
    with pytest.raises(RecipeError, match="resume the sweep"):
        report(sweep_of(nothing={0: 1.0, 1: 1.2}, init={2: 1.2}))
    first, second = sweep_of("w=1/", nothing={0: 1.0, 1: 1.2}), sweep_of("w=2/", nothing={0: 1.0, 1: 1.2})
    with pytest.raises(RecipeError, match="2 recipes in one sweep"):
        report(build.sweep(*first.groups, *second.groups))
