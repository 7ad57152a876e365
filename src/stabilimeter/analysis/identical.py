"""Runs that are copies of each other although their seeds differ."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from stabilimeter.analysis.roles import Roles
from stabilimeter.records.run import Run

MIN_POINTS = 3


def copies(runs: Sequence[Run], roles: Roles) -> dict[int, int]:
    """Which runs repeat an earlier run bit for bit.

    Compared are the training loss and every loss and validation metric, at all their steps; times and schedules are
    not. A run without at least three different finite values in one of them is never called a copy: two runs that
    ended at once in NaN, or at a constant, are not evidence of the same seed.

    Returns:
        Index of a run -> index of the first run it equals. Such a run holds no information of its own: counting it
        would make the spread over seeds too small.
    """
    results = [tag for tag in dict.fromkeys((roles.train_loss, *roles.losses, *roles.validation_metrics)) if tag]
    prints = [_fingerprint(run, results) for run in runs]
    first: dict[bytes, int] = {}
    repeated = {}
    for index, mark in enumerate(prints):
        if mark is None:
            continue
        if mark in first:
            repeated[index] = first[mark]
        else:
            first[mark] = index
    return repeated


def _fingerprint(run: Run, tags: Sequence[str]) -> bytes | None:
    digest = blake2b()
    varied = False
    for tag in tags:
        if tag not in run:
            continue
        series = run[tag]
        finite = series.values[np.isfinite(series.values)]
        varied = varied or np.unique(finite).size >= MIN_POINTS
        digest.update(f"{tag}\0{len(series.steps)}\0".encode())
        digest.update(np.ascontiguousarray(series.steps).data)
        digest.update(np.ascontiguousarray(series.values).data)
    return digest.digest() if varied else None
