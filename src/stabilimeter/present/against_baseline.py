"""Every group of a sweep against its baseline, as `compare` judges it."""

from collections.abc import Sequence

import numpy as np

from stabilimeter.analysis.compare import compare_sides
from stabilimeter.analysis.comparison import ComparisonError
from stabilimeter.analysis.noninferiority import matched_sides
from stabilimeter.analysis.side import Side, sides_of
from stabilimeter.analysis.summary import Summary
from stabilimeter.present.report_parts import Compared
from stabilimeter.records.sweep import Sweep


def against_baseline(baseline: Sequence[Side], sweep: Sweep, summary: Summary) -> tuple[Compared, ...]:
    """Each group against the only group of the baseline, or the one of the same label.

    A group that cannot be compared says why, as long as another one can.

    Raises:
        ComparisonError: if no group can be compared, or the baseline is not one of these groups.
    """
    refusals: list[ComparisonError] = []
    found = []
    for own, candidate in matched_sides(baseline, sides_of("candidate", sweep, summary)):
        label = candidate.group.label
        try:
            found.append(Compared(label, compare_sides(own, candidate, rng=np.random.default_rng(0))))
        except ComparisonError as error:
            refusals.append(error)
            found.append(Compared(label, None, str(error)))
    if len(refusals) == len(found):
        raise refusals[0]
    return tuple(found)
