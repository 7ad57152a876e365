"""The question of ``recipes/compare.py``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stabilimeter.analysis.summary import Summary
    from stabilimeter.records.sweep import Sweep

NAME = "compare"


class CompareQuestion:
    """Is the candidate better than the baseline? Asked after every pair of seeds.

    Args:
        n_max: The most pairs of seeds; set before, because it decides how soon one may stop.
        metric: What to judge by; None for the primary metric.
        margin: Differences below it do not matter; None for no such margin.
    """

    def __init__(self, n_max: int, metric: str | None = None, margin: float | None = None) -> None:
        if n_max < 1:
            raise ValueError(f"n_max must be at least 1, got {n_max}")
        if margin is not None and not margin > 0:
            raise ValueError(f"margin must be positive, got {margin}")
        self.n_max, self.metric, self.margin = n_max, metric, margin

    def is_settled(self, runs: Sequence[Path]) -> bool:
        """Whether no more runs are needed.

        Args:
            runs: Folders of all runs so far, in the order of the sweep.

        Raises:
            SystemExit: if it is not known by what to judge; the runs so far are kept.
        """
        from stabilimeter.analysis.paired_arms import paired_answer
        from stabilimeter.analysis.recipe_error import RecipeError
        from stabilimeter.multirun.screen import is_rank_zero
        from stabilimeter.records.run import read_run

        found = [read_run(folder) for folder in runs]
        try:
            answer = paired_answer(found, self.n_max, metric=self.metric, margin=self.margin)
        except RecipeError as error:
            raise SystemExit(str(error)) from error
        if answer is None:
            return False
        if is_rank_zero():
            from stabilimeter.present.paired_arms import progress_sentence

            print(progress_sentence(answer), flush=True)
        return answer.stop is not None

    def answer(self, sweep: "Sweep", summary: "Summary", folder: Path) -> "RenderableType":
        """Writes ``compare.json`` and the picture; see `Question`."""
        from stabilimeter.analysis.paired_arms import arms_report
        from stabilimeter.multirun.question import published
        from stabilimeter.present.paired_arms import render_arms
        from stabilimeter.present.paired_figure import paired_figure

        report = arms_report(sweep, self.n_max, metric=self.metric, margin=self.margin)
        return published(NAME, report.to_dict(), render_arms(report), lambda: paired_figure(report.answer), folder)
