"""Which series of a log plays which role: the training loss, losses of any kind, validation metrics."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from stabilimeter.records import keys
from stabilimeter.records.directions import mode_of, words
from stabilimeter.records.run import Run

TRAIN_LOSS_NAMES = (
    "loss",
    "train_loss_step",
    "train/loss_step",
    "train_loss",
    "train/loss",
    "training_loss",
    "training/loss",
    "loss/train",
    "train_loss_epoch",
    "train/loss_epoch",
)
"""Names of the training loss in logs that nobody instrumented, in order of preference, upper and lower case alike.

``loss`` comes first: where a log has both, ``loss`` is the loss of each step and ``train/loss`` is evaluated now and
then on training data (AlgoPerf), or a mean over an epoch."""

VALIDATION_WORDS = frozenset({"val", "valid", "validation", "eval", "dev"})
TRAINING_WORDS = frozenset({"train", "training"})
GRAD_NORM_NAMES = (keys.GRAD_NORM, "grad_norm", "gradient_norm", "train/grad_norm", "grad_2.0_norm_total")

_LOSS_WORDS = frozenset({"loss", "losses", "nll", "perplexity", "ppl"})
_NOT_A_RESULT = frozenset({"scale", "scaler", "num", "examples", "samples", "step", "steps", "time", "epoch", "weight"})
_OWN_STATISTICS = (keys.LOSS_VAR, keys.LOSS_NOISE)
_MIN_COVER = 0.5


@dataclass(frozen=True)
class Roles:
    """Tags of one group by role; see the functions of this module for the rules.

    Attributes:
        train_loss: The training loss, per step where there is one; None if there is none.
        training_losses: Every loss on training data, ``train_loss`` first.
        losses: Every loss, on whatever data.
        validation_metrics: Validation metrics whose better direction is known, losses included.
        grad_norm: The global gradient norm (before clipping in our own records); None if there is none.
    """

    train_loss: str | None
    training_losses: tuple[str, ...]
    losses: tuple[str, ...]
    validation_metrics: tuple[str, ...]
    grad_norm: str | None


def roles_in(runs: Sequence[Run]) -> Roles:
    """Roles of the tags of a group; a tag that only some of the runs have counts as well."""
    tags = sorted({tag for run in runs for tag in run})
    losses = tuple(tag for tag in tags if is_loss(tag))
    train_loss = _train_loss(runs, tags)
    training = tuple(tag for tag in losses if tag != train_loss and TRAINING_WORDS & set(words(tag)))
    return Roles(
        train_loss=train_loss,
        training_losses=training if train_loss is None else (train_loss, *training),
        losses=losses,
        validation_metrics=tuple(tag for tag in tags if is_validation(tag) and mode_of(tag) is not None),
        grad_norm=next(iter(_named(tags, GRAD_NORM_NAMES)), None),
    )


def is_loss(tag: str) -> bool:
    """Whether a tag is a loss by its name.

    >>> [is_loss(tag) for tag in ("val/ctc_loss", "train/loss_noise", "loss_scale", "validation/wer")]
    [True, False, False, False]
    """
    parts = set(words(tag))
    return bool(parts & _LOSS_WORDS) and not parts & _NOT_A_RESULT and tag not in _OWN_STATISTICS


def is_validation(tag: str) -> bool:
    """Whether a tag is measured on validation data by its name.

    >>> [is_validation(tag) for tag in ("val_loss", "eval/f1", "test/loss", "validation/num_examples")]
    [True, True, False, False]
    """
    parts = set(words(tag))
    return bool(parts & VALIDATION_WORDS) and not parts & _NOT_A_RESULT


def only_validation_loss(tags: Collection[str]) -> str | None:
    """The validation loss, if it is clear which one that is.

    The one that is called just that (``val_loss``, ``validation/loss``, ``eval/loss``...), else the only loss on
    validation data.

    >>> only_validation_loss(["loss", "validation/ctc_loss", "test/ctc_loss"])
    'validation/ctc_loss'
    >>> only_validation_loss(["val/loss_a", "val/loss_b"]) is None
    True
    """
    candidates = [tag for tag in tags if is_validation(tag) and is_loss(tag)]
    plain = [tag for tag in candidates if len(words(tag)) == 2 and "loss" in words(tag)]
    return plain[0] if len(plain) == 1 else candidates[0] if len(candidates) == 1 else None


def _train_loss(runs: Sequence[Run], tags: Sequence[str]) -> str | None:
    """Our own signal, else the first of `TRAIN_LOSS_NAMES` that covers at least half of the run.

    A loss that was logged only for the first few steps says nothing about the run.
    """
    if any(run.manifest is not None and keys.LOSS in run for run in runs):
        return keys.LOSS
    candidates = _named(tags, TRAIN_LOSS_NAMES)
    covering = [tag for tag in candidates if any(_cover(run, tag) >= _MIN_COVER for run in runs)]
    return next(iter(covering or candidates), None)


def _named(tags: Sequence[str], names: Sequence[str]) -> list[str]:
    """The tags with one of these names, in the order of the names."""
    by_name: Mapping[str, str] = {tag.lower(): tag for tag in reversed(tags)}
    return [by_name[name] for name in names if name in by_name]


def _cover(run: Run, tag: str) -> float:
    """Share of the steps of a run that lie between the first and the last point of a tag."""
    if tag not in run or (own := run.steps(tag)).size < 2:
        return 0.0
    last = max(int(steps[-1]) for other in run if (steps := run.steps(other)).size)
    return float(own[-1] - own[0]) / max(1, last)
