"""The question of ``recipes/variance_sources.py``."""

from typing import TYPE_CHECKING

from stabilimeter.multirun.varied_seed import NOTHING, SOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from stabilimeter.analysis.summary import Summary
    from stabilimeter.records.sweep import Sweep

NAME = "variance_sources"


class VarianceQuestion:
    """Where does the spread between seeds come from?

    Args:
        metric: What to judge by; None for the primary metric.
    """

    def __init__(self, metric: str | None = None) -> None:
        self.metric = metric

    def answer(self, sweep: "Sweep", summary: "Summary", folder: "Path") -> "RenderableType":
        """Writes ``variance_sources.json`` and the picture; see `Question`."""
        from stabilimeter.analysis.variance_sources import variance_report
        from stabilimeter.multirun.question import published
        from stabilimeter.present.variance_figure import variance_figure
        from stabilimeter.present.variance_sources import render_variance_report

        report = variance_report(sweep, summary, sources=SOURCES, unvaried=NOTHING, metric=self.metric)
        shown = render_variance_report(report)
        return published(NAME, report.to_dict(), shown, lambda: variance_figure(report), folder)
