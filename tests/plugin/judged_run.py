"""A run whose checkpoints were judged, as the callback leaves it."""

from tests.plugin.conftest import write_run

from stabilimeter.records.checkpoint_log import (
    Evaluation,
    ExampleChanges,
    SavedCheckpoint,
    SliceResult,
    checkpoint_line,
    point_at_last_healthy,
)
from stabilimeter.stats.checkpoint_verdict import Comparison, Verdict

VALUES = (0.80, 0.90, 0.91, 0.60, float("nan"))


def comparison(step, verdict, difference, se=0.01):
    return Comparison(step, verdict, difference, se, 0.004, "mcnemar")


def evaluation(number, verdict, reference, negative=0, slices=()):
    value = VALUES[number]
    against = None if reference is None else comparison(20 * reference, verdict, value - VALUES[reference])
    return Evaluation(
        step=20 * number,
        epoch=number,
        wall_time=1e9 + number,
        monitor="val/acc",
        mode="max",
        value=value,
        verdict=verdict,
        against_best=against,
        examples=ExampleChanges(n=100, negative=negative, positive=3, churn=0.1),
        slices=slices,
        unhealthy=("val/acc is nan",) if value != value else (),
    )


def slice_of(name, value, verdict, negative):
    return SliceResult(name, 50, value, negative, comparison(40, verdict, -0.2))


def write_judged(folder):
    """Two seeds of one group; the evaluations of seed 1 were judged, and its fourth lost a third of the examples."""
    for seed in range(2):
        write_run(folder, "g", seed)
    record = folder / "g" / "seed=1" / "stability"
    entries = [
        evaluation(0, None, None),
        evaluation(1, Verdict.BETTER, 0),
        evaluation(2, Verdict.SAME, 1),
        evaluation(
            3,
            Verdict.WORSE,
            2,
            negative=33,
            slices=(slice_of("<b>night", 0.4, Verdict.WORSE, 30), slice_of("day", 0.8, Verdict.SAME, 3)),
        ),
        evaluation(4, None, None),
        SavedCheckpoint(40, 2, 1e9, "checkpoints/good.ckpt"),
        SavedCheckpoint(80, 4, 1e9, "checkpoints/last.ckpt", unhealthy=("head.weight is nan",)),
    ]
    (record / "checkpoints.jsonl").write_text("".join(map(checkpoint_line, entries)))
    (record.parent / "checkpoints").mkdir()
    (record.parent / "checkpoints" / "good.ckpt").write_bytes(b"x")
    point_at_last_healthy(record, entries[5])
