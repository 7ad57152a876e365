"""The user's own metrics, as the Trainer's callbacks see them, each time an evaluation has updated them."""

from collections.abc import Collection

from lightning.pytorch import Trainer
from torch import Tensor


class Evaluations:
    """Tells the entries of ``trainer.callback_metrics`` that are new from those left over from earlier.

    The dictionary keeps every metric for ever, so a stale value must not be taken for a new one. A metric that has been
    computed anew is another tensor with storage of its own.

    Args:
        reserved: Keys of our signals; a metric of the same name is not recorded again.
    """

    def __init__(self, reserved: Collection[str]) -> None:
        self._reserved = reserved
        self._seen: dict[str, Tensor] = {}

    def mark(self, trainer: Trainer) -> None:
        """Everything known by now is old."""
        self._seen = dict(trainer.callback_metrics)

    def new_metrics(self, trainer: Trainer) -> dict[str, float]:
        """The metrics updated since the last call or `mark`. On every rank: reading them may take a collective."""
        metrics = dict(trainer.callback_metrics)
        new = {key: value for key, value in metrics.items() if not _same_storage(value, self._seen.get(key))}
        self._seen = metrics
        return self._as_numbers(new)

    def epoch_metrics(self, trainer: Trainer) -> dict[str, float]:
        """At the end of a training epoch: the metrics accumulated over it, not those logged for single steps.

        Those of the epoch are handed out as a new tensor object at every look; those of the last step, or of an earlier
        validation, stay the object they were.
        """
        first = dict(trainer.callback_metrics)
        metrics = dict(trainer.callback_metrics)
        self._seen = metrics
        return self._as_numbers({key: value for key, value in metrics.items() if first.get(key) is not value})

    def _as_numbers(self, metrics: dict[str, Tensor]) -> dict[str, float]:
        numbers: dict[str, float] = {}
        tensors: list[Tensor] = []
        for key in sorted(metrics, key=len):  # Lightning stores "acc" also as "acc_epoch": the same tensor twice
            if key not in self._reserved and not any(metrics[key] is other for other in tensors):
                tensors.append(metrics[key])
                numbers[key] = float(metrics[key])
        return {key: numbers[key] for key in metrics if key in numbers}


def _same_storage(value: Tensor, other: Tensor | None) -> bool:
    return other is not None and (value is other or value.data_ptr() == other.data_ptr())
