"""The mean difference after each pair of seeds, and the limits at which the sequential test decides."""

from typing import TYPE_CHECKING

import numpy as np

from stabilimeter.analysis.paired_arms import PairedAnswer
from stabilimeter.present.figure import BLUE, GREY, VERMILLION, new_figure
from stabilimeter.present.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.5, 3.2


def paired_figure(answer: PairedAnswer) -> "Figure":
    """The picture of an answer.

    Raises:
        ImportError: if Matplotlib is not installed.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure(WIDTH, HEIGHT)
    sign = 1.0 if answer.mode == "min" else -1.0
    n = [look.n for look in answer.looks]
    limits = np.array([look.limit for look in answer.looks])
    known = np.isfinite(limits)
    axes.axhline(0, color="black", linewidth=0.8)
    for side, label in ((1, "limit at which it decides"), (-1, None)):
        axes.plot(np.array(n)[known], side * limits[known], "_", color=GREY, markersize=11, label=label)
    changes = [sign * pair.worsening for pair in answer.pairs]
    failed = np.array([None in pair.values for pair in answer.pairs])
    places = np.arange(1, len(changes) + 1)
    axes.plot(places[~failed], np.array(changes)[~failed], "o", color=BLUE, alpha=0.45, markersize=4, label="each pair")
    if failed.any():
        axes.plot(places[failed], np.array(changes)[failed], "x", color=VERMILLION, markersize=6, label="a run failed")
    axes.plot(n, [sign * look.mean for look in answer.looks], "-", color=BLUE, linewidth=1.8, label="mean so far")
    axes.set_xlim(0.5, answer.n_max + 0.5)
    axes.set_xlabel(f"pairs of seeds, of at most {answer.n_max}")
    axes.set_ylabel(f"change of {printable(answer.metric)}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    return figure
