import math

from stabilimeter.present.worst import worst_incidents
from stabilimeter.stats.incident import Kind


def test_losses_come_first_then_the_gravest_kind_then_the_largest(build):
    spike, bigger = build.incident(step=10, value=5.0), build.incident(step=20, value=50.0)
    diverged = build.incident(Kind.DIVERGENCE, step=30)
    nan = build.incident(Kind.NONFINITE, step=40, value=math.nan)
    gradient = build.incident(Kind.DIVERGENCE, step=5, key="grad/norm", value=1e9)
    mild = build.group("a", runs=(build.run(0, "a", incidents=(gradient, spike)),))
    wild = build.group("b", runs=(build.run(0, "b", incidents=(bigger, diverged, nan)),))
    found = [(entry.group.label, entry.worst.kind, entry.worst.step) for entry in worst_incidents([mild, wild])]
    assert found == [
        ("b", Kind.DIVERGENCE, 30),
        ("b", Kind.NONFINITE, 40),
        ("b", Kind.SPIKE, 20),
        ("a", Kind.SPIKE, 10),
        ("a", Kind.DIVERGENCE, 5),
    ]


def test_many_spikes_are_one_entry_that_counts_them(build):
    calm = build.run(0, incidents=tuple(build.incident(step=step, value=3.0) for step in range(49)))
    bad = build.run(1, incidents=(build.incident(step=7, value=30.0),))
    (entry,) = worst_incidents([build.group(runs=(calm, bad))])
    assert (entry.worst.step, entry.n_events, entry.n_seeds) == (7, 50, 2)
    assert [run.seed for run in entry.struck] == [1]


def test_a_shared_incident_counts_once_and_names_all_its_seeds(build):
    shared = [build.run(seed, incidents=(build.incident(step=500, shared=True),)) for seed in range(3)]
    own = build.run(3, incidents=(build.incident(step=1, value=99.0),))
    (entry,) = worst_incidents([build.group(runs=(*shared, own))])
    assert (entry.worst.step, entry.n_events, entry.n_seeds) == (1, 2, 4)
    (entry,) = worst_incidents([build.group(runs=tuple(shared))])
    assert (entry.n_events, entry.n_seeds) == (1, 3)
    assert [run.seed for run in entry.struck] == [0, 1, 2]


def test_no_incidents_no_entries(build):
    assert worst_incidents([build.group()]) == []
