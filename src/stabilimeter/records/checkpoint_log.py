"""Evaluations and saved checkpoints of a run on disk: one JSON object per line, as they happen.

``checkpoints.jsonl`` holds two kinds of lines. An *evaluation* says how the model did at a step and how that compares
with what came before; a *checkpoint* says that a file was written, and whether what is in it is healthy. They meet by
their step. ``last_healthy.json`` beside it names the newest checkpoint that is known to be healthy.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from stabilimeter.records import strict_json
from stabilimeter.records.json_lines import parsed_lines, replaced
from stabilimeter.records.record_error import RecordError
from stabilimeter.stats.checkpoint_verdict import Comparison, Verdict

CHECKPOINTS_FILE = "checkpoints.jsonl"
LAST_HEALTHY_FILE = "last_healthy.json"


@dataclass(frozen=True)
class ExampleChanges:
    """What changed example by example; everything counts examples of this evaluation.

    Attributes:
        n: Examples evaluated.
        negative: Right at the best evaluation before, wrong now; None where there was none, or correctness is unknown.
        positive: Wrong then, right now.
        churn: Share predicted differently from the evaluation just before; None where predictions are unknown.
        forgotten: Right at some earlier evaluation, wrong now.
        forgetting_events: Changes from right to wrong between consecutive evaluations, so far.
        never_learned: Wrong at every evaluation so far.
    """

    n: int
    negative: int | None = None
    positive: int | None = None
    churn: float | None = None
    forgotten: int | None = None
    forgetting_events: int | None = None
    never_learned: int | None = None


@dataclass(frozen=True)
class SliceResult:
    """One slice of the examples, against the best evaluation before.

    Attributes:
        name: Of the slice.
        n: Its examples.
        value: Mean outcome now.
        negative: Its negative flips; None where correctness is unknown.
        comparison: With the best evaluation before, ``p`` corrected for the number of slices; None where there is none.
    """

    name: str
    n: int
    value: float
    negative: int | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Evaluation:
    """One evaluation.

    Attributes:
        step: Last optimizer step done.
        epoch: Epoch under way.
        wall_time: Seconds since the epoch.
        monitor: Metric that the verdict is about.
        mode: ``"min"`` or ``"max"``.
        value: Its value; may be non-finite.
        metrics: All metrics of this evaluation.
        verdict: Against the best before; worse whatever the metric where the model is not healthy; None where nothing
            can be said yet.
        against_best: What the verdict rests on.
        against_previous: The same, against the evaluation just before.
        drawdown: How far ``value`` is behind the best so far, in the metric's unit, at least 0.
        examples: What changed example by example; None where `validation_step` returned no outcomes.
        slices: The slices, by name.
        unhealthy: Why the model is not healthy; empty if it is.
    """

    step: int
    epoch: int
    wall_time: float
    monitor: str
    mode: str
    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None
    against_best: Comparison | None = None
    against_previous: Comparison | None = None
    drawdown: float = 0.0
    examples: ExampleChanges | None = None
    slices: tuple[SliceResult, ...] = ()
    unhealthy: tuple[str, ...] = ()


@dataclass(frozen=True)
class SavedCheckpoint:
    """One file, or folder, that was written.

    Attributes:
        step: Last optimizer step done.
        epoch: Epoch under way.
        wall_time: Seconds since the epoch.
        path: Where it is; relative to the folder of the run if it lies there.
        unhealthy: What in it is not healthy; empty if all is well.
        instead_of: Where it would have gone, had it not been to overwrite a healthy one.
    """

    step: int
    epoch: int
    wall_time: float
    path: str
    unhealthy: tuple[str, ...] = ()
    instead_of: str | None = None


@dataclass(frozen=True)
class CheckpointLog:
    """What a run knows of its evaluations and checkpoints, by step.

    Attributes:
        evaluations: One per step, as told last.
        saved: One per path, as told last: what is there now if nobody has removed it.
        last_healthy: The newest healthy checkpoint, as the pointer names it; None where there is none.
    """

    evaluations: tuple[Evaluation, ...] = ()
    saved: tuple[SavedCheckpoint, ...] = ()
    last_healthy: SavedCheckpoint | None = None


def checkpoint_line(entry: Evaluation | SavedCheckpoint) -> str:
    """One line of strict JSON, line end included."""
    kind = "evaluation" if isinstance(entry, Evaluation) else "checkpoint"
    return strict_json.dumps({"kind": kind, **_plain(entry)}) + "\n"


def evaluation_text(evaluation: Evaluation) -> str:
    """An evaluation in a sentence of Markdown."""
    text = f"`{evaluation.monitor}` {evaluation.value:.4g} at step {evaluation.step}"
    best = evaluation.against_best
    if best is not None:
        word = "as" if best.verdict is Verdict.SAME else "than"
        text += f": **{best.verdict.value}** {word} the best before, of step {best.step}"
        text += "" if best.p != best.p else f" (by {best.difference:+.3g}, p = {best.p:.2g}, {best.test})"
    changes = evaluation.examples
    if changes is not None and changes.negative is not None:
        text += f"; of {changes.n} examples {changes.negative} got lost and {changes.positive} were won"
    worse = [item.name for item in evaluation.slices if item.comparison and item.comparison.verdict is Verdict.WORSE]
    if worse:
        text += f"; worse in {', '.join(worse)}"
    return text + "".join(f"; {reason}" for reason in evaluation.unhealthy) + "."


def read_checkpoints(folder: str | os.PathLike[str]) -> tuple[CheckpointLog, int | None]:
    """What ``folder`` (the ``stability`` of a run) tells, and the byte offset of an unfinished last line, if any.

    Raises:
        RecordError: if a file there is not what it should be.
    """
    entries, torn_at = parsed_lines(Path(folder) / CHECKPOINTS_FILE, _entry, "an evaluation or a checkpoint")
    evaluations = {entry.step: entry for entry in entries if isinstance(entry, Evaluation)}
    saved = {entry.path: entry for entry in entries if isinstance(entry, SavedCheckpoint)}
    log = CheckpointLog(
        tuple(sorted(evaluations.values(), key=_order)),
        tuple(sorted(saved.values(), key=_order)),
        read_last_healthy(folder),
    )
    return log, torn_at


def drop_checkpoints_after(folder: str | os.PathLike[str], step: int) -> None:
    """Leave only what was told up to ``step``, and no unfinished line; atomically."""
    path = Path(folder) / CHECKPOINTS_FILE
    if path.exists():
        entries, _ = parsed_lines(path, _entry, "an evaluation or a checkpoint")
        replaced(path, [checkpoint_line(entry) for entry in entries if entry.step <= step])


def relative_path(path: str, run_dir: str | os.PathLike[str]) -> str:
    """The path of a checkpoint as it is recorded: from the folder of the run, so that this can be moved."""
    if "://" in path:
        return path
    full, base = Path(path).absolute(), Path(run_dir).absolute()
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else str(full)


def full_path(path: str, run_dir: str | os.PathLike[str] = "") -> str:
    """Where a checkpoint is that was recorded at ``path``; addresses of other file systems stay as they are."""
    return path if "://" in path else str(Path(run_dir, path).absolute())


def read_last_healthy(folder: str | os.PathLike[str]) -> SavedCheckpoint | None:
    """The checkpoint that the pointer in ``folder`` names; None without a pointer.

    Raises:
        RecordError: if the pointer is not one.
    """
    path = Path(folder) / LAST_HEALTHY_FILE
    try:
        return _saved(strict_json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise RecordError(f"{path} does not name a checkpoint ({error})") from error


def point_at_last_healthy(folder: str | os.PathLike[str], checkpoint: SavedCheckpoint) -> None:
    """Let the pointer in ``folder`` name ``checkpoint``, atomically."""
    replaced(Path(folder) / LAST_HEALTHY_FILE, [strict_json.dumps(_plain(checkpoint), indent=1), "\n"])


def _order(entry: Evaluation | SavedCheckpoint) -> tuple[int, float]:
    return entry.step, entry.wall_time


def _plain(entry: Evaluation | SavedCheckpoint) -> dict[str, Any]:
    return asdict(entry, dict_factory=lambda pairs: {k: v.value if isinstance(v, Verdict) else v for k, v in pairs})


def _entry(plain: dict[str, Any]) -> Evaluation | SavedCheckpoint:
    if plain["kind"] == "checkpoint":
        return _saved(plain)
    if plain["kind"] != "evaluation":
        raise ValueError(f"kind {plain['kind']!r} is not known")
    verdict, examples = plain["verdict"], plain["examples"]
    evaluation = Evaluation(
        **{
            **_known(Evaluation, plain),
            "verdict": None if verdict is None else Verdict(verdict),
            "against_best": _comparison(plain["against_best"]),
            "against_previous": _comparison(plain["against_previous"]),
            "examples": None if examples is None else ExampleChanges(**_known(ExampleChanges, examples)),
            "slices": tuple(
                SliceResult(**{**_known(SliceResult, item), "comparison": _comparison(item["comparison"])})
                for item in plain["slices"]
            ),
            "unhealthy": tuple(plain["unhealthy"]),
        }
    )
    if not isinstance(evaluation.step, int) or not isinstance(evaluation.value, float | int):
        raise ValueError("its step is not an integer, or its value not a number")
    return evaluation


def _saved(plain: dict[str, Any]) -> SavedCheckpoint:
    saved = SavedCheckpoint(**{**_known(SavedCheckpoint, plain), "unhealthy": tuple(plain["unhealthy"])})
    if not isinstance(saved.step, int) or not isinstance(saved.path, str):
        raise ValueError("its step is not an integer, or its path not a text")
    return saved


def _comparison(plain: dict[str, Any] | None) -> Comparison | None:
    if plain is None:
        return None
    return Comparison(**{**_known(Comparison, plain), "verdict": Verdict(plain["verdict"])})


def _known(kind: Any, plain: dict[str, Any]) -> dict[str, Any]:
    return {item.name: plain[item.name] for item in fields(kind) if item.name in plain}
