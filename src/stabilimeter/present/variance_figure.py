"""Standard deviation by source of chance, with intervals, under that of all together."""

from typing import TYPE_CHECKING

from stabilimeter.analysis.variance_sources import VarianceReport
from stabilimeter.present.figure import BLUE, GREY, new_figure
from stabilimeter.present.variance_sources import source_name
from stabilimeter.present.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, ROW_HEIGHT, FRAME_HEIGHT = 5.5, 0.32, 0.9
"""Inches: a column and a half of a paper."""


def variance_figure(report: VarianceReport) -> "Figure":
    """The picture of a report.

    Raises:
        ImportError: if Matplotlib is not installed.
    """
    rows = [(f"{source_name(source)}", source.sd, source.sd_ci, BLUE) for source in report.sources]
    rows += [
        ("sum of these", report.sum_sd, report.sum_ci, GREY),
        ("all together", report.joint_sd, report.joint_ci, "black"),
    ]
    figure, axes = new_figure(WIDTH, FRAME_HEIGHT + ROW_HEIGHT * len(rows))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color="#e4e6e9", linewidth=0.8)
    for place, (_, sd, limits, colour) in enumerate(rows):
        if limits is not None:
            axes.plot(limits, [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot([sd], [place], "o", color=colour, markersize=6)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.invert_yaxis()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axhline(len(report.sources) - 0.5, color=GREY, linewidth=0.6)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"standard deviation of final {printable(report.metric)}, with 95 % interval")
    return figure
