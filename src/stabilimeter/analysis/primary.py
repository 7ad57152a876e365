"""The metric by which a group is judged: asked for, monitored, or the only validation loss."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stabilimeter.analysis.roles import only_validation_loss
from stabilimeter.records.directions import mode_of
from stabilimeter.records.run import Run


class UnknownMetricError(ValueError):
    """The metric asked for, or needed, is not there; the message says what is."""


@dataclass(frozen=True)
class Primary:
    """The primary metric of a group.

    Attributes:
        tag: Its name; None if there is none.
        mode: ``"min"`` or ``"max"``; None if unknown.
        note: What a reader should know about the choice; None if nothing.
    """

    tag: str | None
    mode: str | None
    note: str | None = None


def check_metric(runs: Sequence[Run], metric: str) -> None:
    """Refuse a metric that no run has.

    Raises:
        UnknownMetricError: with the names that exist, the nearest ones first.
    """
    tags = sorted({tag for run in runs for tag in run})
    if metric in tags:
        return
    near = difflib.get_close_matches(metric, tags, n=5, cutoff=0.4)
    ordered = near + [tag for tag in tags if tag not in near]
    more = f" and {len(ordered) - 20} more" if len(ordered) > 20 else ""
    raise UnknownMetricError(f"no run has the metric {metric!r}; there are: {', '.join(ordered[:20])}{more}")


def primary_of(runs: Sequence[Run], metric: str | None = None, mode: str | None = None) -> Primary:
    """The primary metric of a group: ``metric``, else what the runs monitored, else the only validation loss.

    Its mode is ``mode``, else that of the manifest, else told from the name.

    Args:
        runs: Runs of one group.
        metric: Name asked for; it may be missing in this group (that is noted).
        mode: Mode asked for.
    """
    logged = Counter(tag for run in runs for tag in run)
    monitors = Counter(
        (run.manifest.monitor, run.manifest.mode) for run in runs if run.manifest is not None and run.manifest.monitor
    )
    monitored, monitored_mode = monitors.most_common(1)[0][0] if monitors else (None, None)
    note = None
    if metric is not None:
        tag: str | None = metric
        note = None if metric in logged else f"no run of this group logged the primary metric {metric}"
    elif monitored is not None and monitored in logged:
        tag = monitored
        if len({name for name, _ in monitors}) > 1:
            listed = ", ".join(sorted({str(name) for name, _ in monitors}))
            note = f"runs monitored different metrics ({listed}); {tag} is used"
    else:
        tag = only_validation_loss(sorted(logged))
        if monitored is not None:
            note = f"the monitored metric {monitored} was never logged; {tag or 'no metric'} is used"
        elif tag is None:
            note = "no primary metric: no validation loss, or several; choose one with --metric TAG --mode min|max"
    if tag is None:
        return Primary(None, None, note)
    known = mode or (monitored_mode if tag == monitored else None) or mode_of(tag)
    if known is None:
        unknown = f"whether a higher {tag} is better is not known from its name; say so with --mode min|max"
        note = unknown if note is None else f"{note}; {unknown}"
    return Primary(tag, known, note)
