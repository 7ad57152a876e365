"""Final loss over learning rate: mean and range over seeds, each seed, failed seeds, and where training works."""

from typing import TYPE_CHECKING

import numpy as np

from stabilimeter.analysis.lr_sensitivity import LrCurve, LrReport
from stabilimeter.present.figure import COLOURS, GREEN, GREY, VERMILLION, new_figure
from stabilimeter.present.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.5, 3.6
"""Inches: a column and a half of a paper."""


def lr_figure(report: LrReport) -> "Figure":
    """The picture of a report.

    Raises:
        ImportError: if Matplotlib is not installed.
    """
    figure, axes = new_figure(WIDTH, HEIGHT)
    alone = len(report.curves) == 1
    for index, curve in enumerate(report.curves):
        _draw(axes, curve, COLOURS[index % len(COLOURS)], alone=alone)
    metric = printable(report.curves[0].metric)
    initial = report.curves[0].result.initial
    axes.axhline(initial, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        "before training",
        (0, initial),
        xycoords=("axes fraction", "data"),
        xytext=(3, -3),
        textcoords="offset points",
        color=GREY,
        fontsize=8,
        va="top",
    )
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel(f"final {metric}")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    return figure


def _draw(axes: "Axes", curve: LrCurve, colour: str, *, alone: bool) -> None:
    """One recipe; colours tell recipes apart, crosses are failed seeds."""
    result, lrs = curve.result, [point.lr for point in curve.points]
    if alone:
        axes.axvspan(result.stable.low, result.stable.high, color=GREEN, alpha=0.12, linewidth=0, label="stable region")
    scores = [np.array(list(point.scores.values())) for point in curve.points]
    low, high = [float(own.min()) for own in scores], [float(own.max()) for own in scores]
    name, of_band = ("mean over seeds", "range over seeds") if alone else (printable(curve.label), None)
    axes.fill_between(lrs, low, high, color=colour, alpha=0.18, linewidth=0, label=of_band)
    axes.plot(lrs, [point.mean for point in curve.points], color=colour, linewidth=1.8, label=name)
    for point, own in zip(curve.points, scores, strict=True):
        failed = np.array(list(point.failed.values()))
        apart = point.lr * 10 ** (0.02 * (np.arange(own.size) - (own.size - 1) / 2))  # equal ones can be counted
        axes.plot(apart[~failed], own[~failed], "o", color=colour, markersize=3, alpha=0.7, linewidth=0)
        of_failed = "failed seed" if failed.any() else None
        axes.plot(apart[failed], own[failed], "x", color=VERMILLION, markersize=6, linewidth=0, label=of_failed)
    of_best = "best" if alone else None
    axes.plot([result.best_lr], [result.best_loss], "*", color=colour, markersize=11, linewidth=0, label=of_best)
