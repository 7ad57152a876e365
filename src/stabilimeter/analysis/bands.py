"""Bands across seeds for the series that a reader looks at first."""

from collections.abc import Sequence

from stabilimeter.analysis.evidence import Evidence, SeedCurve
from stabilimeter.records import keys
from stabilimeter.stats.alignment import OnAxis, common_axis
from stabilimeter.stats.band import Band, band_of


def bands_of(seeds: Sequence[Evidence]) -> tuple[dict[str, Band], tuple[str, ...]]:
    """Bands of the training loss, gradient norm, update ratio, primary metric and other validation metrics.

    Returns:
        Bands by tag, and the tags whose steps differ between seeds so that the nearest step had to stand in.
    """
    if not seeds:
        return {}, ()
    roles, primary = seeds[0].roles, seeds[0].primary
    wanted = (roles.train_loss, roles.grad_norm, keys.UPDATE_RATIO, primary.tag, *roles.validation_metrics)
    bands, inexact = {}, []
    for tag in dict.fromkeys(tag for tag in wanted if tag is not None):
        curves = [SeedCurve(seed.run, tag) for seed in seeds if tag in seed.run]
        if not curves:
            continue
        axis = common_axis(curves)
        bands[tag] = band_of(axis.steps, OnAxis(axis, curves).rows())
        if not axis.exact:
            inexact.append(tag)
    return bands, tuple(inexact)
