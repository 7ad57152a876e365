"""Where two runs with the same seed part."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from stabilimeter.records.digests import BEFORE, BatchDigests, Kind, kind_of

SCHEMA = 1


@dataclass(frozen=True)
class Parting:
    """The first difference of two runs.

    Attributes:
        batch: Number of the batch; -1 before the first.
        name: The first thing that differs, in the order in which things happen, for example ``"weight net.0.bias"``.
        n_others: How many other things differ in the same batch.
        n_same: Batches that were the same before.
    """

    batch: int
    name: str
    n_others: int
    n_same: int

    @property
    def kind(self) -> Kind:
        """What sort of thing differs."""
        return kind_of(self.name)


@dataclass(frozen=True)
class Remedy:
    """Something that may make a training repeat itself.

    Attributes:
        name: For folders.
        flag: What to set, for people.
        overrides: The same for Hydra.
        environment: The same for the environment.
    """

    name: str
    flag: str
    overrides: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """Two runs with a remedy.

    Attributes:
        remedy: What was tried; None for the training as it is.
        parting: Where the two runs part; None if they are the same.
        n_batches: Batches of the shorter run.
        places: Where generators were made without a seed, as ``file:line``.
    """

    remedy: Remedy | None
    parting: Parting | None
    n_batches: int
    places: tuple[str, ...] = ()


def parting(first: Sequence[BatchDigests], second: Sequence[BatchDigests]) -> Parting | None:
    """The first difference of two runs; None if they are the same to the last bit.

    Something that only one of them has differs; so does what follows the end of the shorter one.

    >>> runs = [[BatchDigests(0, {"loss": "1", "weight a": "2"}), BatchDigests(1, {"loss": x})] for x in "34"]
    >>> parting(runs[0], runs[0]), parting(*runs)
    (None, Parting(batch=1, name='loss', n_others=0, n_same=1))
    """
    for place in range(max(len(first), len(second))):
        lines = [run[place] if place < len(run) else None for run in (first, second)]
        found = next(line for line in lines if line is not None)
        one, other = ({} if line is None else line.digests for line in lines)
        names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        if names:
            same = sum(line.batch != BEFORE for line in first[:place])
            return Parting(found.batch, names[0], len(names) - 1, same)
    return None


def to_dict(trials: Sequence[Trial]) -> dict[str, Any]:
    """In the layout of ``determinism.json``."""
    plain = [{**asdict(trial), "identical": trial.parting is None} for trial in trials]
    return {"schema": SCHEMA, "identical": trials[0].parting is None, "trials": plain}
