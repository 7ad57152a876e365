"""Whether a training repeats itself, and what would make it, in words."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.determinism import Parting, Trial
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.terminal import draw
from stabilimeter.present.wording import listed, printable
from stabilimeter.records.digests import BEFORE, Kind

CAUSES = {
    Kind.RANDOM_STATE: "more or fewer random numbers were drawn before",
    Kind.BATCH: "the data comes in another order, or is changed on the way by something that the seed does not govern",
    Kind.LOSS: "with the same weights, data and random states the forward pass gave another result",
    Kind.GRADIENT: "with the same loss the backward pass gave another result",
    Kind.WEIGHT: "with the same gradients the optimizer gave another result",
    Kind.BUFFER: "the model keeps something that the seed does not govern",
}


def determinism_sentences(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The answer: bit for bit the same or not, where the two part, and what helps."""
    first = trials[0]
    if first.parting is None:
        return (
            f"Bit for bit the same: two runs with the same seed agree in everything over {_batches(first.n_batches)}.",
        )
    return f"Not the same: {_where(first.parting)}.", _what_helps(trials)


def _where(found: Parting) -> str:
    what = printable(found.name)
    if found.batch == BEFORE:
        others = f" (and {found.n_others} more)" if found.n_others else ""
        return f"{what}{others} differs before the first batch: it is made by something that the seed does not govern"
    since = f"after {_batches(found.n_same)} that agree" if found.n_same else "at once"
    return f"{what} differs in batch {found.batch}, {since}: {CAUSES[found.kind]}"


def _what_helps(trials: Sequence[Trial]) -> str:
    last = trials[-1]
    if last.parting is not None:
        tried = listed([trial.remedy.flag.partition(":")[0] for trial in trials[1:-1] if trial.remedy is not None])
        return (
            f"Nothing that was tried helps, alone or together: {tried}. Look for what changes from process to process: "
            "the time, a process id, os.urandom, files in the order of the disk, threads, the network."
        )
    flag = "" if last.remedy is None else last.remedy.flag
    where = f" They are made at {listed([printable(place) for place in last.places])}." if last.places else ""
    return f"What helps: {flag}. With it two runs agree over {_batches(last.n_batches)}.{where}"


def _batches(n: int) -> str:
    return f"{n} batch" if n == 1 else f"{n} batches"


def determinism_table(trials: Sequence[Trial]) -> Table:
    """One row per trial."""
    rows = []
    for trial in trials:
        name = "as it is" if trial.remedy is None else trial.remedy.flag.partition(":")[0]
        if trial.parting is None:
            rows.append(row(name, Cell("the same", Tone.GOOD), _batches(trial.n_batches), ""))
        else:
            at = "before the first" if trial.parting.batch == BEFORE else f"batch {trial.parting.batch}"
            rows.append(row(name, Cell("differs", Tone.BAD), at, printable(trial.parting.name)))
    return Table("", (Column("trained"), Column("two runs"), Column("where"), Column("what")), tuple(rows))


def render_determinism(trials: Sequence[Trial]) -> RenderableType:
    """The answer for the terminal."""
    first, *others = determinism_sentences(trials)
    lines: list[RenderableType] = [Text(), Text(first, style="bold"), *(Text(said) for said in others)]
    return Group(*lines, Text(), draw(determinism_table(trials)), Text())
