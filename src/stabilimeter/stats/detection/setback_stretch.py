"""Many values at once, looked at for a loss that turns round.

What each block of a stretch leaves behind (`setback.followed`) follows from the blocks before it, not from the sum. So
it is computed for all of them from sorted sliding windows, and only the sum goes value by value. Every number comes
from the same operations in the same order as there: the state is the same to the last bit.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection.ranked_rows import middles_and_scales, sliding
from stabilimeter.stats.detection.setback import (
    BLOCK,
    FEWEST_BLOCKS,
    HIGHEST,
    MEDIAN_WIDTH,
    MEDIANS,
    MOST_BLOCKS,
    MOST_DEPENDENT,
    Setback,
    followed,
    for_a_rise,
    is_visible,
    level_and_noise,
    medians_kept,
    over,
    score,
    worth_less,
)
from stabilimeter.stats.detection.window import FLOAT32_ROUNDING, TINY, middle_of, rounding_of

_REFERENCE = BLOCK * MOST_BLOCKS
_RECENT = _REFERENCE + BLOCK

_Array = NDArray[np.float64]


def passed(setback: Setback, steps: Sequence[int], values: Sequence[float], limit: float) -> tuple[int, Setback]:
    """The number of values before an alarm is raised or over (all, if none is), and the state after those.

    Args:
        setback: The state before.
        steps: Step of each value, shape ``(n,)``.
        values: Accepted, finite values, shape ``(n,)``, as Python floats.
        limit: The `setback.threshold`.
    """
    if setback.alarmed:
        for at, value in enumerate(values):
            after = followed(setback, steps[at], value, limit)
            if over(after, limit):
                return at, setback
            setback = after
        return len(values), setback
    with np.errstate(over="ignore", invalid="ignore"):
        return _passed(setback, steps, values, limit)


class _Blocks(NamedTuple):
    """What the blocks that a stretch completes leave behind, if no alarm is raised: b of them.

    Attributes:
        medians: The medians that are remembered, then those of the blocks.
        first: Index of the first block after which there is a reference; b if there is none.
        references: Ascending; before the first block and after each, length b + 1; empty where there is none.
        dependences: How many times less than an independent one a value is worth then.
    """

    medians: tuple[float, ...]
    first: int
    references: list[Sequence[float]]
    dependences: list[float]


def _passed(setback: Setback, steps: Sequence[int], values: Sequence[float], limit: float) -> tuple[int, Setback]:
    whole = (*setback.recent, *setback.block, *values)
    blocks = _blocks(setback, whole)
    incomplete = len(setback.block)
    place = len(setback.recent) + incomplete  # in whole, of the next value
    unranked = 0 if setback.reference else (blocks.first + 1) * BLOCK - incomplete
    total, began, count = setback.total, -1, len(values)
    at = unranked
    while at < count:
        row = (incomplete + at) // BLOCK
        reference, dependence = blocks.references[row], blocks.dependences[row]
        middle = reference[len(reference) // 2]
        for value in values[at : (row + 1) * BLOCK - incomplete]:
            if total == 0.0 and value < middle:  # says nothing for a rise
                began, at = at, at + 1
                continue
            more = total + for_a_rise(score(reference, value, dependence))
            if more > limit:
                more = min(more, HIGHEST * limit)
                end = place + at + 1
                if is_visible(whole[end - 2 * BLOCK : end], *_level_and_noise(setback, blocks, row)):
                    count = at
                    break
            if total == 0.0:
                began = at
            total = more if more > 0.0 else 0.0
            at += 1
    after = _after(setback, blocks, whole, count)._replace(total=total)
    if began >= 0:
        return count, after._replace(since=steps[began], points=count - began)
    return count, after._replace(points=setback.points + max(count - unranked, 0))


def _after(setback: Setback, blocks: _Blocks, whole: tuple[float, ...], count: int) -> Setback:
    """The state after so many values, but for the sum."""
    remembered, complete = len(setback.recent), (len(setback.block) + count) // BLOCK
    end = remembered + complete * BLOCK
    block = whole[end : remembered + len(setback.block) + count]
    if not complete:
        return setback._replace(block=block)
    seen = setback.seen + complete
    after = setback._replace(
        block=block,
        recent=whole[:end][-_RECENT:],
        medians=blocks.medians[: len(setback.medians) + complete][-medians_kept(seen) :],
        seen=seen,
    )
    if complete <= blocks.first:
        return after
    before, noise = _level_and_noise(setback, blocks, complete)
    return after._replace(
        reference=tuple(blocks.references[complete]),
        dependence=blocks.dependences[complete],
        before=before,
        noise=noise,
    )


def _level_and_noise(setback: Setback, blocks: _Blocks, row: int) -> tuple[float, float]:
    if row == 0:
        return setback.before, setback.noise
    reference = blocks.references[row]
    return level_and_noise(reference, rounding_of(max(-reference[0], reference[-1])))


def _blocks(setback: Setback, whole: tuple[float, ...]) -> _Blocks:
    remembered = len(setback.recent)
    ends = range(remembered + BLOCK, len(whole) + 1, BLOCK)
    medians = (*setback.medians, *(middle_of(whole[end - BLOCK : end]) for end in ends))
    first = min(max(FEWEST_BLOCKS - setback.seen, 0), len(ends))
    references: list[Sequence[float]] = [setback.reference, *[()] * first]
    dependences = [setback.dependence] * (first + 1)
    if later := ends[first:]:
        kept = np.minimum(np.array(later), _RECENT)
        values = np.array(whole[: ends[-1]])
        ranked = np.sort(sliding(values, _REFERENCE, BLOCK, len(later), after=BLOCK), axis=1)
        references += [row[: end - BLOCK] for row, end in zip(ranked.tolist(), kept.tolist(), strict=True)]
        magnitudes = np.maximum(-ranked[:, 0], ranked[np.arange(len(later)), kept - BLOCK - 1])
        roundings = np.maximum(FLOAT32_ROUNDING * magnitudes, TINY)
        seen = range(setback.seen + first + 1, setback.seen + len(ends) + 1)
        n_medians = np.array([min(blocks, medians_kept(blocks)) for blocks in seen])
        dependences += _dependences(values, np.array(medians), kept, n_medians, roundings)
    return _Blocks(medians, first, references, dependences)


def _dependences(
    values: _Array, medians: _Array, kept: NDArray[np.intp], n_medians: NDArray[np.intp], roundings: _Array
) -> list[float]:
    """The dependence after each of the last blocks.

    Args:
        values: The values up to the end of the last block.
        medians: The medians up to that of the last block.
        kept: How many values are remembered after each, shape ``(rows,)``.
        n_medians: How many medians are, shape ``(rows,)``.
        roundings: What is mere rounding of values, shape ``(rows,)``.
    """
    rows, n_changes = len(kept), n_medians - 1
    n_moves = np.minimum(kept, n_medians * BLOCK) - 1
    moves = _of_these(sliding(values[1:] - values[:-1], _RECENT - 1, BLOCK, rows), n_moves)
    _, single = middles_and_scales(np.sort(moves, axis=1), n_moves, roundings)
    changes = _of_these(sliding(medians[1:] - medians[:-1], MEDIANS - 1, 1, rows), n_changes)
    ranked, every = np.sort(changes, axis=1), np.arange(rows)
    descents = np.minimum((ranked[every, (n_changes - 1) // 2] + ranked[every, n_changes // 2]) / 2, 0.0)
    widths = np.minimum(np.abs(changes - descents[:, None]) * (MEDIAN_WIDTH / single)[:, None], MOST_DEPENDENT)
    squares = np.where(changes < inf, widths * widths, 0.0)
    totals = np.add.accumulate(squares, axis=1)[:, -1].tolist()
    return [worth_less(total, n) for total, n in zip(totals, n_changes.tolist(), strict=True)]


def _of_these(windows: _Array, counts: NDArray[np.intp]) -> _Array:
    """The last so many of each window; infinity in place of the others."""
    width = windows.shape[1]
    return windows if counts[0] == width else np.where(np.arange(width) >= width - counts[:, None], windows, inf)
