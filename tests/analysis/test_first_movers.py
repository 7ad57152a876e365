from dataclasses import replace

import numpy as np
import pytest

from stabilimeter.analysis.first_movers import failed_seeds, healthy_seeds, layers_that_moved
from stabilimeter.analysis.summarize import summarize
from stabilimeter.records.points import Points

STEPS = np.arange(1000)


def summarised(sweep):
    return summarize(sweep, rng=np.random.default_rng(0))


def norm(build, seed):
    return build.points(np.exp(np.random.default_rng(50 + seed).normal(scale=0.1, size=1000)))


def well(build, seed, manifest=None):
    return build.ours(
        seed, manifest=manifest, **{"grad/norm": norm(build, seed), "update/ratio": norm(build, 9 + seed)}
    )


def broken(build, seed, *, grad_at=380, loss_at=400, nan_at=900, manifest=None):
    """A seed whose gradient norm grows first, then its loss, which is NaN in the end."""
    loss = build.loss(seed)
    loss[loss_at:] += np.linspace(0.5, 5, 1000 - loss_at)
    loss[nan_at:] = np.nan
    grads = norm(build, seed).values.copy()
    grads[grad_at:] *= 50
    val = build.val_loss(seed)
    values = np.where(val.steps >= loss_at, val.values + 3, val.values)
    return build.ours(
        seed,
        manifest=manifest,
        **{
            "train/loss": build.points(loss),
            "grad/norm": build.points(grads),
            "update/ratio": norm(build, 9 + seed),
            "val/loss": build.points(values, val.steps),
        },
    )


def test_signals_come_in_the_order_in_which_they_left(build):
    sweep = build.sweep(build.group([well(build, seed) for seed in range(4)] + [broken(build, 4)]))
    (failed,) = failed_seeds(sweep, summarised(sweep))
    assert failed.run.seed == 4
    assert [(mover.key, mover.step) for mover in failed.movers] == [
        ("grad/norm", 380),
        ("train/loss", 400),
        ("val/loss", 400),
    ]
    assert failed.lost_at == 400
    assert (failed.reference, failed.n_healthy) == ("base", 4)
    first = failed.movers[0]
    assert first.value / first.healthy == pytest.approx(50, rel=0.5)
    assert not first.from_start


def test_a_healthy_sweep_has_no_failed_seeds(build):
    sweep = build.sweep(build.group([well(build, seed) for seed in range(5)]))
    assert failed_seeds(sweep, summarised(sweep)) == ()


def test_a_loss_below_the_others_is_no_loss_at_all(build):
    early = broken(build, 4)
    loss = early["train/loss"].values.copy()
    loss[50:400] -= 1.0  # better than the others until it is worse
    early._scalars["train/loss"] = Points(STEPS, loss)
    sweep = build.sweep(build.group([well(build, seed) for seed in range(4)] + [early]))
    (failed,) = failed_seeds(sweep, summarised(sweep))
    assert failed.lost_at == 400


def test_a_group_without_survivors_is_compared_with_the_best_other_group(build):
    good = build.group([well(build, seed) for seed in range(3)], "lr=0.1")
    bad = build.group([broken(build, seed) for seed in range(3)], "lr=1.0")
    sweep = build.sweep(good, bad)
    failed = failed_seeds(sweep, summarised(sweep))
    assert [(seed.reference, seed.n_healthy) for seed in failed] == [("lr=0.1", 3)] * 3
    assert {mover.key for mover in failed[0].movers} >= {"grad/norm", "train/loss"}


def test_groups_with_another_metric_do_not_stand_in(build):
    good = build.group([well(build, seed, {"monitor": "train/loss"}) for seed in range(3)], "other")
    bad = build.group([broken(build, seed) for seed in range(3)], "lr=1.0")
    sweep = build.sweep(good, bad)
    summary = summarised(sweep)
    assert healthy_seeds(sweep, summary, "lr=1.0") == (None, [])
    assert {seed.reference for seed in failed_seeds(sweep, summary)} == {None}


def test_foreign_groups_do_not_stand_in_and_lasting_incidents_are_told_instead(build):
    def diverging(seed):
        loss = build.loss(seed)
        loss[700:] = np.nan
        return build.foreign(seed, loss=build.points(loss))

    good = build.group([build.foreign(seed) for seed in range(3)], "well")
    bad = build.group([diverging(seed) for seed in range(3)], "ill")
    sweep = build.sweep(good, bad)
    failed = failed_seeds(sweep, summarised(sweep))
    assert len(failed) == 3
    for seed in failed:
        assert seed.reference is None
        assert [(mover.key, mover.step) for mover in seed.movers] == [("loss", 700)]
        assert seed.lost_at == 700


def test_the_layer_that_grew_first_is_named(build):
    def run(seed, grown=None):
        values = np.exp(np.random.default_rng(seed).normal(scale=0.1, size=(100, 3)))
        for layer, at in (grown or {}).items():
            values[at:, layer] *= 30
        own = well(build, seed)
        return replace(own, _vectors={"grad/layer_norms": Points(np.arange(100) * 10, values)})

    others = [run(seed) for seed in range(3)]
    moved = layers_that_moved(run(7, {2: 40, 0: 55}), others, "grad/layer_norms")
    assert [(mover.key, mover.step) for mover in moved] == [("2", 400), ("0", 550)]
    assert layers_that_moved(run(8), others, "grad/layer_norms") == ()
