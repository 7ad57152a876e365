import numpy as np
import pytest

from stabilimeter.analysis.evidence import Evidence
from stabilimeter.analysis.incidents import incidents_of, with_shared_marked
from stabilimeter.analysis.primary import primary_of
from stabilimeter.analysis.roles import roles_in
from stabilimeter.records.manifest import RunStatus, SignalSpec
from stabilimeter.stats.detection import detect
from stabilimeter.stats.incident import Incident, Kind


def seeds(*runs):
    roles, primary = roles_in(runs), primary_of(runs)
    made = [Evidence(run, roles, primary) for run in runs]
    found = [Evidence(seed.run, roles, primary, incidents_of(seed)) for seed in made]
    return with_shared_marked(found)


def spiked(build, seed, *steps, size=3.0):
    values = build.loss(seed)
    values[list(steps)] += size
    return build.points(values)


def at(seed, tag):
    return [incident.step for incident in seed.incidents if incident.key == tag]


def test_loss_spikes_are_found_and_charged(build):
    clean, one, two = seeds(
        build.foreign(0),
        build.foreign(1, loss=spiked(build, 1, 500)),
        build.foreign(2, loss=spiked(build, 2, 300, 800)),
    )
    assert [at(seed, "loss") for seed in (clean, one, two)] == [[], [500], [300, 800]]
    assert [seed.charged_events for seed in (clean, one, two)] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("height", [None, 0.5])
def test_a_spike_of_a_noisy_gradient_norm_is_listed(build, height):
    """Ten times a level with 18 % of noise whose tail is a power; and nothing in its twin."""
    norms = 0.05 * np.exp(np.random.default_rng(0).laplace(0.0, 0.18, 400))
    if height is not None:
        norms[300] = height
    (seed,) = seeds(build.foreign(0, grad_norm=build.points(norms)))
    assert at(seed, "grad_norm") == ([] if height is None else [300])


def test_a_step_that_all_seeds_share_is_charged_once_to_the_group(build):
    found = seeds(*[build.foreign(seed, loss=spiked(build, seed, 500)) for seed in range(5)])
    assert all(seed.incidents[0].shared for seed in found)
    assert sum(seed.charged_events for seed in found) == pytest.approx(1.0)


def test_twin_spikes_at_different_steps_are_charged_each(build):
    found = seeds(*[build.foreign(seed, loss=spiked(build, seed, 500 + 7 * seed)) for seed in range(5)])
    assert not any(incident.shared for seed in found for incident in seed.incidents)
    assert sum(seed.charged_events for seed in found) == 5.0


def test_nan_at_the_same_step_is_never_shared(build):
    values = build.loss(0)
    values[600:] = np.nan
    found = seeds(*[build.foreign(seed, loss=build.points(values + 0.001 * seed)) for seed in range(4)])
    assert [seed.incidents[-1].kind for seed in found] == [Kind.NONFINITE] * 4
    assert not any(incident.shared for seed in found for incident in seed.incidents)


def test_nan_where_others_spike_is_a_seeds_own(build):
    values = build.loss(4)
    values[500:] = np.nan
    spiking = [build.foreign(seed, loss=spiked(build, seed, 500)) for seed in range(4)]
    *others, nan = seeds(*spiking, build.foreign(4, loss=build.points(values)))
    assert all(seed.incidents[0].shared for seed in others)
    assert [(incident.step, incident.kind, incident.shared) for incident in nan.incidents] == [
        (500, Kind.NONFINITE, False)
    ]
    assert nan.charged_events == 1.0


def test_gradient_norm_and_evaluations_are_reported_not_charged(build):
    rng = np.random.default_rng(0)
    norms = np.exp(rng.normal(scale=0.1, size=1000))
    norms[400] = 50.0
    evaluated = build.val_loss(0).values.copy()
    evaluated[19] += 3
    run = build.foreign(0, grad_norm=build.points(norms), val_loss=build.points(evaluated, range(0, 1000, 50)))
    (seed,) = seeds(run)
    assert at(seed, "grad_norm") == [400]
    assert at(seed, "val_loss") == [950]
    assert seed.charged_events == 0.0


def test_a_metric_that_is_better_when_higher_is_watched_downwards(build):
    steps = np.arange(0, 1000, 10)
    accuracy = 0.9 + np.random.default_rng(0).normal(scale=0.005, size=100)
    accuracy[80] = 0.3
    runs = [build.foreign(0, val_acc=build.points(accuracy, steps))]
    seed = Evidence(runs[0], roles_in(runs), primary_of(runs, "val_acc"))
    assert [incident.step for incident in incidents_of(seed) if incident.key == "val_acc"] == [800]


def test_recorded_incidents_win_over_detected_ones_and_none_counts_twice(build):
    recorded = Incident(Kind.SPIKE, 500, 500, 3.5, 0.5, 0.02, "train/loss", evidence={"lr": 0.1})
    skipped = Incident(Kind.SPIKE, 250, 250, 9.0, 0.6, 0.02, "train/loss", evidence={"action": "skip"})
    loss = {"train/loss": spiked(build, 1, 500, 700)}
    (seed,) = seeds(build.ours(1, incidents=[recorded, skipped], **loss))
    assert at(seed, "train/loss") == [250, 500, 700]
    assert [dict(incident.evidence).get("lr") for incident in seed.incidents][1] == 0.1
    assert seed.charged_events == 3.0


@pytest.mark.parametrize(
    ("status", "expected"), [(RunStatus.COMPLETED, [250]), (RunStatus.FAILED, [250]), (RunStatus.DIED, [250, 500])]
)
def test_what_the_monitor_watched_to_the_end_is_not_looked_at_again(build, status, expected):
    """A killed run may have lost what was open; the record of the others is complete."""
    watched = {"signals": (SignalSpec("train/loss", "", "after backward", "mean", False),)}
    recorded = Incident(Kind.SPIKE, 250, 250, 9.0, 0.6, 0.02, "train/loss")
    run = build.ours(1, status=status, manifest=watched, incidents=[recorded], **{"train/loss": spiked(build, 1, 500)})
    (seed,) = seeds(run)
    assert at(seed, "train/loss") == expected


def turning():
    """A loss that rises by one noise width, and a gradient norm that grows with it."""
    one, other = np.random.default_rng(3).standard_normal((2, 330))
    loss, norm = 2.0 + 0.1 * one, np.exp(0.2 * other)
    loss[300:] += 0.1
    norm[300:] *= 1.6
    return loss, norm


@pytest.mark.parametrize("every", [1, 2])
def test_what_the_monitor_recorded_is_judged_beside_the_gradient_norm_at_the_same_steps(build, every):
    """As the monitor itself does; here it was killed before it could record the incident."""
    loss, norm = turning()
    points = build.points(norm[::every], range(0, 330, every))
    run = build.ours(status=RunStatus.DIED, **{"train/loss": build.points(loss), "grad/norm": points})
    (seed,) = seeds(run)
    beside = [norm[step] if step % every == 0 else None for step in range(330)]
    expected = detect(range(330), loss, key="train/loss", beside=beside)
    assert [incident for incident in seed.incidents if incident.key == "train/loss"] == expected
    assert [(incident.kind, incident.step) for incident in expected] == [(Kind.EXCURSION, 303)]
    assert detect(range(330), loss) == []


def test_without_a_norm_that_grows_with_it_the_same_loss_shows_nothing(build):
    loss, norm = turning()
    norm[300:] /= 1.6
    ours = build.ours(status=RunStatus.DIED, **{"train/loss": build.points(loss), "grad/norm": build.points(norm)})
    (seed,) = seeds(ours)
    assert at(seed, "train/loss") == []


def test_the_loss_of_a_foreign_log_is_judged_alone(build):
    loss, norm = turning()
    (seed,) = seeds(build.foreign(loss=build.points(loss), grad_norm=build.points(norm)))
    assert at(seed, "loss") == []


def test_nothing_to_watch(build):
    (seed,) = seeds(build.log({"time": build.points([1.0, 2.0])}))
    assert seed.incidents == ()


def heavy_batches(build, n_seeds, *, odd):
    """Seeds that see the same batches, of which some are odd; with an odd batch at step 600 or without."""
    rng = np.random.default_rng(3)
    batches = np.clip(0.1 * rng.standard_t(3, size=build.n_steps), -0.45, 0.45)
    batches[600] = 1.2 if odd else 0.0
    trend = 3 + np.exp(-np.arange(build.n_steps) / 100)
    curves = trend + batches + 0.01 * rng.normal(size=(n_seeds, build.n_steps))
    return [build.foreign(seed, loss=build.points(curve)) for seed, curve in enumerate(curves)]


def test_an_odd_batch_that_only_all_seeds_together_show_is_one_event(build):
    runs = heavy_batches(build, 5, odd=True)
    roles, primary = roles_in(runs), primary_of(runs)
    assert not any(
        at(Evidence(run, roles, primary, incidents_of(Evidence(run, roles, primary))), "loss") for run in runs
    )
    found = seeds(*runs)
    for seed in found:
        (incident,) = [i for i in seed.incidents if i.key == "loss"]
        assert (incident.step, incident.kind, incident.shared) == (600, Kind.SPIKE, True)
        assert incident.value == pytest.approx(4.2, abs=0.05)
        assert incident.baseline == pytest.approx(3.0, abs=0.05)
        assert incident.evidence == {"found": "in all seeds together"}
    assert sum(seed.charged_events for seed in found) == pytest.approx(1.0)


def test_the_same_batches_without_the_odd_one_show_nothing(build):
    assert not any(at(seed, "loss") for seed in seeds(*heavy_batches(build, 5, odd=False)))


@pytest.mark.parametrize("tag", ["lr", "train/learning_rate", "optim/lr"])
def test_a_jump_of_a_recorded_learning_rate_is_named(build, tag):
    rates = np.full(build.n_steps, 1e-3)
    rates[500:] = 1e-2
    flat = np.full(build.n_steps, 1e-3)
    jumped, calm = (build.foreign(3, loss=spiked(build, 3, 502), **{tag: build.points(lr)}) for lr in (rates, flat))
    named, unnamed = seeds(jumped, calm)
    assert named.incidents[0].evidence["learning_rate_jump"] == {"step": 500, "before": 1e-3, "after": 1e-2}
    assert "learning_rate_jump" not in unnamed.incidents[0].evidence
