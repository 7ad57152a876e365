"""The question of ``recipes/lr_sensitivity.py``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from stabilimeter.analysis.summary import Summary
    from stabilimeter.records.sweep import Sweep

NAME = "lr_sensitivity"


class LrQuestion:
    """How much does the learning rate matter, and where do seeds begin to fail?

    Args:
        lr_key: Where the learning rate stands in the config.
        metric: The loss to judge by; None for the primary metric or the only validation loss.
        initial: Its value before training; None for the training loss of the first step.
    """

    def __init__(self, lr_key: str = "lr", metric: str | None = None, initial: float | None = None) -> None:
        self.lr_key = lr_key
        self.metric = metric
        self.initial = initial

    def answer(self, sweep: "Sweep", summary: "Summary", folder: "Path") -> "RenderableType":
        """Writes ``lr_sensitivity.json`` and the picture; see `Question`."""
        from stabilimeter.analysis.lr_sensitivity import lr_report
        from stabilimeter.multirun.question import published
        from stabilimeter.present.lr_figure import lr_figure
        from stabilimeter.present.lr_sensitivity import render_lr_report

        report = lr_report(sweep, summary, lr_key=self.lr_key, metric=self.metric, initial=self.initial)
        return published(NAME, report.to_dict(), render_lr_report(report), lambda: lr_figure(report), folder)
