"""Many values at once, each scored by its rank among its own recent past.

What each block of a stretch leaves behind (`setback.remembered`) follows from the blocks before it alone. So it is
computed for all of them from sorted sliding windows, and the values between two blocks are ranked together. Every
number comes from the same operations in the same order as there: the state is the same to the last bit.
"""

from collections.abc import Sequence
from math import inf, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection.ranked_rows import middles_and_scales, sliding
from stabilimeter.stats.detection.setback import (
    BLOCK,
    FEWEST_BLOCKS,
    MEDIAN_WIDTH,
    MEDIANS,
    MOST_BLOCKS,
    MOST_DEPENDENT,
    SCORES,
    Setback,
    level_and_noise,
    medians_kept,
    worth_less,
)
from stabilimeter.stats.detection.window import FLOAT32_ROUNDING, TINY, middle_of, rounding_of

_REFERENCE = BLOCK * MOST_BLOCKS
_RECENT = _REFERENCE + BLOCK
_SCORES = np.array([row + [nan] * (_REFERENCE + 1 - len(row)) for row in SCORES])
_Array = NDArray[np.float64]
_Integers = NDArray[np.intp]


class _Stretch(NamedTuple):
    """Values that are accepted one after the other, n of them, while no alarm is raised.

    Attributes:
        setback: The state before.
        whole: The values that are remembered, then the n values.
        medians: The medians that are remembered, then those of the blocks that the values complete.
        origin: Number of blocks that come to an end before there is a reference; 0 if there is one.
        ends: Where in ``whole`` the blocks end that leave a new reference behind.
        num_ranked: Number of values that come after there is a reference, at the end.
    """

    setback: Setback
    whole: tuple[float, ...]
    medians: tuple[float, ...]
    origin: int
    ends: range
    num_ranked: int


class Scored(NamedTuple):
    """A stretch and what its values say.

    Attributes:
        stretch: The stretch.
        unranked: Number of values before there is a reference.
        references: Ascending, filled up with infinity, one as soon as there is one and one after each further block;
            shape ``(rows, 80)``.
        sizes: Number of values in each, length ``rows``.
        dependences: How many times less than an independent one a value is worth then, length ``rows``.
        scores: `setback.score` of each value from then on, shape ``(n - unranked,)``.
    """

    stretch: _Stretch
    unranked: int
    references: _Array
    sizes: Sequence[int]
    dependences: Sequence[float]
    scores: _Array

    def level_and_noise(self, at: int) -> tuple[float, float]:
        """`setback.level_and_noise` before the value at an index of at least ``unranked``."""
        setback, origin = self.stretch.setback, self.stretch.origin
        row = (len(setback.block) + at) // BLOCK - origin
        if row == origin == 0:
            return setback.before, setback.noise
        reference = self._reference(row)
        return level_and_noise(reference, rounding_of(max(-reference[0], reference[-1])))

    def last(self, at: int) -> tuple[float, ...]:
        """The value at an index and the 15 before it."""
        end = len(self.stretch.setback.recent) + len(self.stretch.setback.block) + at + 1
        return self.stretch.whole[end - 2 * BLOCK : end]

    def after(self, count: int) -> Setback:
        """The state after so many of the values, but for the sum."""
        setback, whole, medians, origin, *_ = self.stretch
        remembered, complete = len(setback.recent), (len(setback.block) + count) // BLOCK
        end = remembered + complete * BLOCK
        block = whole[end : remembered + len(setback.block) + count]
        if not complete:
            return setback._replace(block=block)
        seen, row = setback.seen + complete, complete - origin
        after = setback._replace(
            block=block,
            recent=whole[:end][-_RECENT:],
            medians=medians[: len(setback.medians) + complete][-medians_kept(seen) :],
            seen=seen,
        )
        if row < 0:
            return after
        before, noise = self.level_and_noise(count)
        return after._replace(
            reference=self._reference(row), dependence=self.dependences[row], before=before, noise=noise
        )

    def _reference(self, row: int) -> tuple[float, ...]:
        return tuple(self.references[row, : self.sizes[row]].tolist())


def scored(*series: tuple[Setback, Sequence[float]]) -> list[Scored]:
    """The scores of series that have nothing to do with each other; all at once, because that takes less time.

    Args:
        series: Of each the state before, not alarmed, and the values, finite ones.
    """
    stretches = [_stretch(setback, values) for setback, values in series]
    later, later_dependences = _later(stretches)
    rows = sum(bool(one.setback.reference) + len(one.ends) for one in stretches)
    references, blocks = np.full((rows, _REFERENCE), inf), np.full((rows, BLOCK), nan)
    sizes: list[int] = []
    dependences: list[float] = []
    places, done = [], 0
    for setback, whole, _, _, ends, num_ranked in stretches:
        first, start = len(sizes), len(sizes) * BLOCK
        if setback.reference:
            references[first, : len(setback.reference)] = setback.reference
            sizes.append(len(setback.reference))
            dependences.append(setback.dependence)
            start += len(setback.block)
        references[len(sizes) : len(sizes) + len(ends)] = later[done : done + len(ends)]
        sizes += [min(end, _RECENT) - BLOCK for end in ends]
        dependences += later_dependences[done : done + len(ends)]
        done += len(ends)
        inside = slice(start, start + num_ranked)
        blocks.reshape(-1)[inside] = whole[len(whole) - num_ranked :]
        places.append((slice(first, len(sizes)), inside))
    scores = _scores(references, np.array(sizes, dtype=np.intp), np.array(dependences), blocks).reshape(-1)
    return [
        Scored(one, len(values) - one.num_ranked, references[rows], sizes[rows], dependences[rows], scores[inside])
        for one, (_, values), (rows, inside) in zip(stretches, series, places, strict=True)
    ]


def _stretch(setback: Setback, values: Sequence[float]) -> _Stretch:
    whole = (*setback.recent, *setback.block, *values)
    ends = range(len(setback.recent) + BLOCK, len(whole) + 1, BLOCK)
    medians = (*setback.medians, *(middle_of(whole[end - BLOCK : end]) for end in ends))
    first = max(FEWEST_BLOCKS - setback.seen, 0)
    origin = 0 if setback.reference else first + 1
    num_ranked = min(len(setback.block) + len(values) - origin * BLOCK, len(values))
    return _Stretch(setback, whole, medians, origin, ends[first:], max(num_ranked, 0))


def _later(stretches: Sequence[_Stretch]) -> tuple[_Array, list[float]]:
    """The new references of each, one after the other, and the dependences."""
    stretches = [one for one in stretches if one.ends]
    if not stretches:
        return np.empty((0, _REFERENCE)), []
    values = [np.array(one.whole[: one.ends[-1]]) for one in stretches]
    remembered = [min(end, _RECENT) for one in stretches for end in one.ends]
    pairs = list(zip(values, stretches, strict=True))
    ranked = np.concatenate([sliding(known, _REFERENCE, BLOCK, len(one.ends), after=BLOCK) for known, one in pairs])
    ranked.sort(axis=1)
    magnitudes = np.maximum(-ranked[:, 0], ranked[np.arange(len(ranked)), np.array(remembered) - BLOCK - 1])
    roundings = np.maximum(FLOAT32_ROUNDING * magnitudes, TINY)
    seen = [one.setback.seen + (end - len(one.setback.recent)) // BLOCK for one in stretches for end in one.ends]
    n_medians = [min(blocks, medians_kept(blocks)) for blocks in seen]
    moves = np.concatenate([sliding(known[1:] - known[:-1], _RECENT - 1, BLOCK, len(one.ends)) for known, one in pairs])
    changes = []
    for one in stretches:
        medians = np.array(one.medians)
        changes.append(sliding(medians[1:] - medians[:-1], MEDIANS - 1, 1, len(one.ends)))
    return ranked, _dependences(moves, np.concatenate(changes), remembered, n_medians, roundings)


def _scores(references: _Array, sizes: _Integers, dependences: _Array, blocks: _Array) -> _Array:
    """`setback.score` of values in blocks, each block among its own reference; of NaN it means nothing.

    Args:
        references: Shape ``(rows, 80)``.
        sizes: Shape ``(rows,)``.
        dependences: Shape ``(rows,)``.
        blocks: Shape ``(rows, 8)``.
    """
    ranked, sizes, every = references[:, None, :], sizes[:, None], np.arange(len(sizes))[:, None]
    low = (ranked < blocks[..., None]).sum(axis=2)
    scores = _SCORES[sizes, low]
    if (references[every, np.minimum(low, _REFERENCE - 1)] == blocks).any():  # ties
        high = (ranked <= blocks[..., None]).sum(axis=2)
        scores = 0.5 * (scores + _SCORES[sizes, high])
    return np.asarray(scores / dependences[:, None])


def _dependences(
    moves: _Array, changes: _Array, kept: Sequence[int], n_medians: Sequence[int], roundings: _Array
) -> list[float]:
    """The dependence after each of so many blocks.

    Args:
        moves: From one value to the next, the last ones before each, shape ``(rows, 87)``.
        changes: From one median to the next, likewise, shape ``(rows, 63)``.
        kept: How many values are remembered after each, length ``rows``.
        n_medians: How many medians are, length ``rows``.
        roundings: What is mere rounding of values, shape ``(rows,)``.
    """
    n_moves = [min(values, medians * BLOCK) - 1 for values, medians in zip(kept, n_medians, strict=True)]
    ranked_moves = np.sort(_of_these(moves, n_moves), axis=1)
    same = n_moves[0] if len(set(n_moves)) == 1 else np.array(n_moves)
    _, single = middles_and_scales(ranked_moves, same, roundings)
    n_changes = np.array(n_medians) - 1
    changes = _of_these(changes, n_changes.tolist())
    ranked, every = np.sort(changes, axis=1), np.arange(len(kept))
    descents = np.minimum((ranked[every, (n_changes - 1) // 2] + ranked[every, n_changes // 2]) / 2, 0.0)
    widths = np.minimum(np.abs(changes - descents[:, None]) * (MEDIAN_WIDTH / single)[:, None], MOST_DEPENDENT)
    squares = np.where(changes < inf, widths * widths, 0.0)
    totals = np.add.accumulate(squares, axis=1)[:, -1].tolist()
    return [worth_less(total, n) for total, n in zip(totals, n_changes.tolist(), strict=True)]


def _of_these(windows: _Array, counts: Sequence[int]) -> _Array:
    """The last so many of each window; infinity in place of the others."""
    width = windows.shape[1]
    if min(counts) == width:
        return windows
    return np.where(np.arange(width) >= width - np.array(counts)[:, None], windows, inf)
