"""How much the learning rate matters, in words and as a table."""

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.lr_sensitivity import LrCurve, LrPoint, LrReport
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.terminal import draw
from stabilimeter.present.wording import MISSING, count, number, printable
from stabilimeter.stats.lr_sensitivity import TOLERANCE


def lr_sentences(curve: LrCurve) -> tuple[str, ...]:
    """The answer for one recipe: sensitivity, where training works, where seeds begin to fail."""
    result, metric = curve.result, printable(curve.metric)
    limits = "" if result.ci is None else f" (95 % interval {number(result.ci[0], 2)} to {number(result.ci[1], 2)})"
    tried = f"{curve.points[0].lr:g} to {curve.points[-1].lr:g}"
    costs = (
        f"A learning rate picked at random from {tried} costs {number(result.value, 3)} of {metric} on "
        f"average{limits}, {100 * result.share:.0f} % of what training at the best one gains."
    )
    return costs, _stable_in_words(curve), _failures_in_words(curve)


def _stable_in_words(curve: LrCurve) -> str:
    result, stable = curve.result, curve.result.stable
    best = f"Best: {result.best_lr:g}, {printable(curve.metric)} {number(result.best_loss)}."
    if stable.high <= stable.low:
        return f"{best} No other learning rate tried comes within {100 * TOLERANCE:g} % of that without failed seeds."
    width = f"{'at least ' if stable.open_below or stable.open_above else ''}{number(stable.decades, 2)} decades"
    if stable.ci is not None:
        width += f" (95 % interval {number(stable.ci[0], 2)} to {number(stable.ci[1], 2)})"
    ends = [end for end, is_open in (("lower", stable.open_below), ("upper", stable.open_above)) if is_open]
    cut = f"; the {' and '.join(ends)} end of the range was reached: widen it" if ends else ""
    return f"{best} Stable from {number(stable.low, 2)} to {number(stable.high, 2)}: {width} wide{cut}."


def _failures_in_words(curve: LrCurve) -> str:
    safe = curve.safe_to
    if curve.fails_from is None:
        last = curve.points[-1]
        return f"No seed failed from the best learning rate up to {last.lr:g} ({_share(last)})."
    first = next(point for point in curve.points if point.lr == curve.fails_from)
    below = "" if safe is None else f"; at {safe.lr:g} {_share(safe)}"
    return f"Seeds begin to fail at {first.lr:g}: {_share(first)}{below}."


def _share(point: LrPoint) -> str:
    low, high = (f"{100 * limit:.0f}" for limit in point.failure_ci)
    return f"{point.n_failed or 'none'} of {count(point.n, 'seed')} failed, 95 % interval {low} to {high} %"


def lr_table(curve: LrCurve) -> Table:
    """One row per learning rate."""
    rows = []
    for point in curve.points:
        losses = [loss for seed, loss in point.losses.items() if not point.failed[seed]]
        spread = f"{number(min(losses))} to {number(max(losses))}" if losses else MISSING
        is_best, is_stable = point.lr == curve.result.best_lr, _is_stable(curve, point)
        rows.append(
            row(
                f"{point.lr:g}",
                Cell(number(point.mean), Tone.STRONG if is_best else Tone.PLAIN),
                spread,
                Cell(f"{point.n_failed} of {point.n}", Tone.BAD if point.n_failed else Tone.PLAIN),
                f"{100 * point.failure_ci[0]:.0f} to {100 * point.failure_ci[1]:.0f} %",
                Cell("best" if is_best else "stable" if is_stable else "", Tone.GOOD),
                Cell(_reasons(point), Tone.FAINT),
            )
        )
    heads = ("learning rate", "mean", "seeds that trained", "failed", "95 % interval", "", "")
    columns = tuple(Column(head, numeric=0 <= index < 5) for index, head in enumerate(heads))
    caption = (
        f"Final {printable(curve.metric)}; means over losses capped at that before training, "
        f"{number(curve.result.initial)}, which also stands for failed runs without one. Stable: at most "
        f"{100 * TOLERANCE:g} % of the gain lost, and no failed seed."
    )
    return Table(printable(curve.label), columns, tuple(rows), caption)


def _is_stable(curve: LrCurve, point: LrPoint) -> bool:
    stable = curve.result.stable
    return stable.low * (1 - 1e-9) <= point.lr <= stable.high * (1 + 1e-9) and not point.n_failed


def _reasons(point: LrPoint) -> str:
    return ", ".join(sorted({printable(reason.partition(":")[0]) for reason in point.reasons}))


def render_lr_report(report: LrReport) -> RenderableType:
    """The report for the terminal."""
    parts: list[RenderableType] = []
    for curve in report.curves:
        if curve.label:
            parts += [Text(), Text(printable(curve.label), style="bold")]
        first, *others = lr_sentences(curve)
        parts += [Text(), Text(first, style="bold"), *(Text(said) for said in others)]
        parts += [Text(), draw(lr_table(curve)), *(Text(f"  {note}", style="yellow") for note in curve.notes)]
    return Group(*parts)
