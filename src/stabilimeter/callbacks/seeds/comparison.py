"""One seed beside its siblings, series by series, at the latest step that can be compared."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from stabilimeter.records import keys
from stabilimeter.records.directions import mode_of
from stabilimeter.records.manifest import Manifest
from stabilimeter.records.points import Points
from stabilimeter.records.run_tail import RunTail
from stabilimeter.records.siblings import Sibling
from stabilimeter.stats.seed_place import (
    ChanceOfFailing,
    Place,
    chance_of_failing,
    level_at,
    outlier_p,
    place_among,
)


@dataclass(frozen=True)
class Beside:
    """One series of this seed beside those of its siblings.

    Attributes:
        key: Name of the series.
        step: The step at which they are compared.
        level: Of this seed.
        place: Where that lies among the siblings.
        p: Chance that a seed like the siblings that have not failed lies as far out; None if these cannot tell.
        outlook: Of the siblings most like this one at the step, how many failed; for the training loss only.
    """

    key: str
    step: int
    level: float
    place: Place
    p: float | None
    outlook: ChanceOfFailing | None


def compared_keys(manifest: Manifest, tail: RunTail) -> list[str]:
    """What seeds are compared by: the training loss, and every metric that the user logs."""
    signals = {spec.key for spec in manifest.signals}
    return [key for key in tail.log().scalars if key not in signals or _is_loss(key)]


def beside(
    key: str, own: Points, siblings: Sequence[Sibling], manifest: Manifest, *, window: int, after: int
) -> Beside | None:
    """One series of this seed beside its siblings; None if there is nothing new to compare.

    They are compared at the last step of this seed; but where running siblings are at most two windows behind it, at
    the step that the last of those has reached, so that seeds which train side by side find each other.

    Args:
        key: Name of the series.
        own: The series of this seed.
        siblings: The others.
        manifest: Of this run.
        window: Steps that a level is the median of.
        after: Only steps beyond this one are new.
    """
    others = [(sibling, points) for sibling in siblings if (points := sibling.points(key)) is not None]
    last = int(own.steps[-1])
    ends = [int(points.steps[-1]) for sibling, points in others if not sibling.has_finished]
    step = min([last, *(end for end in ends if last - 2 * window <= end)])
    level = level_at(own.steps, own.values, step, window)
    if step <= after or level is None:
        return None
    there = [(sibling, level_at(points.steps, points.values, step, window)) for sibling, points in others]
    levels = [(sibling, its) for sibling, its in there if its is not None]
    mode = manifest.mode if key == manifest.monitor else "min" if _is_loss(key) else mode_of(key)
    place = place_among(level, [its for _, its in levels], mode)
    if place is None:
        return None
    sound = [its for sibling, its in levels if math.isfinite(its) and not (sibling.has_finished and sibling.failed)]
    fates = [(its, sibling.failed) for sibling, its in levels if sibling.has_finished]
    return Beside(
        key,
        step,
        level,
        place,
        outlier_p(level, sound) if math.isfinite(level) else None,
        chance_of_failing(level, [its for its, _ in fates], [failed for _, failed in fates]) if _is_loss(key) else None,
    )


def scalars(found: Collection[Beside]) -> dict[int, dict[str, float]]:
    """What is logged of them, by step: ``seeds/<key>/low|median|high|rank|z|n``, and the outlook."""
    rows: dict[int, dict[str, float]] = {}
    for one in found:
        row = rows.setdefault(one.step, {})
        place, name = one.place, f"seeds/{one.key}"
        row |= {f"{name}/low": place.low, f"{name}/median": place.median, f"{name}/high": place.high}
        row |= {f"{name}/n": float(place.n)}
        row |= {} if place.rank is None else {f"{name}/rank": float(place.rank)}
        row |= {} if place.z is None else {f"{name}/z": place.z}
        if one.outlook is not None:
            low, high = one.outlook.interval
            row |= {"seeds/chance_of_failing": one.outlook.share}
            row |= {"seeds/chance_of_failing/low": low, "seeds/chance_of_failing/high": high}
    return rows


def _is_loss(key: str) -> bool:
    return key == keys.LOSS or key.startswith(f"{keys.LOSS}/optimizer_")
