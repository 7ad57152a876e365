"""Two groups side by side, with the answer of `compare` in one sentence."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from stabilimeter.analysis.compare import compare_sides
from stabilimeter.analysis.comparison import ComparisonError
from stabilimeter.analysis.side import sides_of
from stabilimeter.present.comparison import main_table, notes_table, reach
from stabilimeter.present.comparison_sentence import sentence
from stabilimeter.present.table import Table
from stabilimeter.tensorboard_plugin.question import asked
from stabilimeter.tensorboard_plugin.snapshot import Snapshot


def answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The comparison of the groups ``baseline`` and ``candidate``; or why they cannot be compared.

    Raises:
        QuestionError: if there is no such group.
    """
    sides = []
    for name in ("baseline", "candidate"):
        label = asked(arguments, name)
        snapshot.group(label)
        sides += [side for side in sides_of(name, snapshot.sweep, snapshot.summary) if side.group.label == label]
    try:
        comparison = compare_sides(sides[0], sides[1], rng=np.random.default_rng(0))
    except ComparisonError as error:
        return {"refused": str(error)}
    tables = [main_table(comparison), *(reach(tag, metric) for tag, metric in comparison.deciding.items())]
    notes = notes_table(comparison)
    return {
        "verdict": comparison.verdict.value,
        "sentence": sentence(comparison),
        "primary": comparison.primary_metric,
        "tables": [_table(table) for table in [*tables, *([] if notes is None else [notes])]],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "caption": table.caption,
        "heads": [asdict(column) for column in table.columns] if table.heads_needed else [],
        "numeric": [column.numeric for column in table.columns],
        "rows": [[{"text": cell.text, "tone": cell.tone.value} for cell in cells] for cells in table.rows],
    }
