"""Where seeds agree, example by example."""

from collections.abc import Sequence

from stabilimeter.present.ranking import Named
from stabilimeter.present.table import Column, Table, row
from stabilimeter.present.wording import number


def example_agreement(groups: Sequence[Named]) -> Table | None:
    """Churn between seeds, and how much of their spread is real; None where no run has recorded its examples."""
    rows = []
    for label, group in groups:
        found = group.examples
        if found is not None:
            pairs = f"{100 * found.churn:.2g} %, {100 * found.churn_max:.2g} % at most"
            spread = [number(found.accuracy_sd, 2), number(found.distribution_sd, 2)]
            rows.append(row(label, str(found.n_examples), str(found.n_seeds), pairs, *spread))
    if not rows:
        return None
    heads = ("examples", "seeds", "two seeds differ on", "SD of accuracy", "on new data")
    columns = (Column("group"), *(Column(head, numeric=True) for head in heads))
    caption = (
        "SD of accuracy over seeds: as measured, and without the noise of a finite test set, which is what new data "
        "would show."
    )
    return Table("Seeds, example by example", columns, tuple(rows), caption)
