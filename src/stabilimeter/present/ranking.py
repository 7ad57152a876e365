"""The order and the names in which groups are shown."""

from stabilimeter.analysis.summary import GroupSummary, Summary
from stabilimeter.present.labels import short_labels

Named = tuple[str, GroupSummary]
"""A group and the label under which this summary shows it."""


def named_groups(summary: Summary) -> tuple[list[Named], str]:
    """The groups from the most to the least stable under short labels, and what their labels have in common.

    A score without one of its parts may flatter: such groups come after those measured in full, but for a score of
    zero, which nothing is below; groups without a score come last. Ties are in the order of the labels.
    """
    labels, common = short_labels([group.label for group in summary.groups])

    def rank(named: Named) -> tuple[bool, bool, bool, float, str]:
        stability = named[1].stability
        score = stability.score or 0.0
        return stability.score is None, score == 0.0, bool(stability.not_measured), -score, named[1].label

    return sorted(zip(labels, summary.groups, strict=True), key=rank), common
