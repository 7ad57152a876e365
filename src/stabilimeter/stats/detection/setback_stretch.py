"""Many values at once, looked at for a loss that turns round.

What each block of a stretch leaves behind (`setback.followed`) follows from the blocks before it, not from the sum. So
it is computed for all of them from sorted sliding windows, and only the sum goes value by value. Every number comes
from the same operations in the same order as there: the state is the same to the last bit.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stabilimeter.stats.detection.ranked_rows import middles_and_scales
from stabilimeter.stats.detection.setback import (
    BLOCK,
    FEWEST_BLOCKS,
    HIGHEST,
    MEDIAN_WIDTH,
    MEDIANS,
    MOST_BLOCKS,
    MOST_DEPENDENT,
    SCORES,
    UPPER_PLACES,
    Setback,
    followed,
    is_visible,
    medians_kept,
    over,
    worth_less,
)
from stabilimeter.stats.detection.window import FLOAT32_ROUNDING, TINY

_REFERENCE = BLOCK * MOST_BLOCKS
_RECENT = _REFERENCE + BLOCK
_SCORES = np.array([[*scores, *[inf] * (_REFERENCE + 1 - len(scores))] for scores in SCORES])
_UPPER_PLACES = np.array(UPPER_PLACES)

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
        references: Ascending, filled up with infinity; before the first block and after each, shape ``(b + 1, 80)``.
        sizes: How many values each has.
        befores: Median of each.
        noises: Standard deviation of each.
        dependences: How many times less than an independent one a value is worth then.
    """

    medians: tuple[float, ...]
    first: int
    references: _Array
    sizes: NDArray[np.intp]
    befores: _Array
    noises: _Array
    dependences: _Array


def _passed(setback: Setback, steps: Sequence[int], values: Sequence[float], limit: float) -> tuple[int, Setback]:
    whole = (*setback.recent, *setback.block, *values)
    blocks = _blocks(setback, np.array(whole))
    place = len(setback.recent) + len(setback.block)  # in whole, of the next value
    unranked = 0 if setback.reference else (blocks.first + 1) * BLOCK - len(setback.block)
    total, began, count = setback.total, -1, len(values)
    for at, gain in enumerate(_gains(setback, blocks, np.array(values))[unranked:], unranked):
        more = total + gain
        if more > limit:
            more = min(more, HIGHEST * limit)
            row, end = (len(setback.block) + at) // BLOCK, place + at + 1
            if is_visible(whole[end - 2 * BLOCK : end], float(blocks.befores[row]), float(blocks.noises[row])):
                count = at
                break
        if total == 0.0:
            began = at
        total = more if more > 0.0 else 0.0
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
    return after._replace(
        reference=tuple(blocks.references[complete, : blocks.sizes[complete]].tolist()),
        before=float(blocks.befores[complete]),
        noise=float(blocks.noises[complete]),
        dependence=float(blocks.dependences[complete]),
    )


def _gains(setback: Setback, blocks: _Blocks, values: _Array) -> list[float]:
    """What each value adds to the sum; without meaning where there is no reference."""
    rows, before = len(blocks.sizes), len(setback.block)
    padded = np.full(rows * BLOCK, inf)
    padded[before : before + len(values)] = values
    placed, references = padded.reshape(rows, BLOCK, 1), blocks.references[:, None, :]
    below, up_to = np.count_nonzero(references < placed, axis=2), np.count_nonzero(references <= placed, axis=2)
    scores = 0.5 * (_SCORES[blocks.sizes[:, None], below] + _SCORES[blocks.sizes[:, None], up_to])
    scores = (scores / blocks.dependences[:, None]).ravel()
    gains = np.maximum(scores - 0.5, 2.0 * scores - 2.0)
    own: list[float] = gains[before : before + len(values)].tolist()
    return own


def _blocks(setback: Setback, whole: _Array) -> _Blocks:
    remembered, known = len(setback.recent), len(setback.reference)
    n = (len(whole) - remembered) // BLOCK
    ranked = np.sort(whole[remembered : remembered + n * BLOCK].reshape(n, BLOCK), axis=1)
    medians = (*setback.medians, *((ranked[:, BLOCK // 2 - 1] + ranked[:, BLOCK // 2]) / 2).tolist())
    first = min(max(FEWEST_BLOCKS - setback.seen, 0), n)
    references, sizes = np.full((n + 1, _REFERENCE), inf), np.zeros(n + 1, dtype=np.intp)
    befores, noises, dependences = (np.full(n + 1, value) for value in (setback.before, setback.noise, 1.0))
    references[0, :known], sizes[0], dependences[0] = setback.reference, known, setback.dependence
    if first < n:
        end = remembered + n * BLOCK
        later = slice(first + 1, n + 1)
        kept = np.minimum(remembered + BLOCK * np.arange(first + 1, n + 1), _RECENT)
        sizes[later] = kept - BLOCK
        references[later] = np.sort(_rows(whole[: end - BLOCK], _REFERENCE, BLOCK, n - first), axis=1)
        lowest, highest = references[later, 0], references[np.arange(first + 1, n + 1), sizes[later] - 1]
        roundings = FLOAT32_ROUNDING * np.maximum(-lowest, highest) + TINY
        befores[later], noises[later] = middles_and_scales(references[later], sizes[later], roundings)
        uppers = references[np.arange(first + 1, n + 1), _UPPER_PLACES[sizes[later]]]
        noises[later] = np.maximum(noises[later], uppers - befores[later])
        dependences[later] = _dependences(setback, whole[:end], np.array(medians), kept, noises[later])
    return _Blocks(medians, first, references, sizes, befores, noises, dependences)


def _dependences(
    setback: Setback, whole: _Array, medians: _Array, kept: NDArray[np.intp], noises: _Array
) -> list[float]:
    """The dependence after each of the last blocks, of which so many values are remembered; shapes ``(rows,)``."""
    rows, last = len(kept), setback.seen + len(medians) - len(setback.medians)
    n_medians = np.array([min(seen, medians_kept(seen)) for seen in range(last - rows + 1, last + 1)])
    n_moves = np.minimum(kept, n_medians * BLOCK) - 1
    moves = _of_these(_rows(np.diff(whole), _RECENT - 1, BLOCK, rows), n_moves)
    _, single = middles_and_scales(np.sort(moves, axis=1), n_moves, 1e-3 * noises)
    n_changes = n_medians - 1
    changes = _of_these(_rows(np.diff(medians), MEDIANS - 1, 1, rows), n_changes)
    ranked, every = np.sort(changes, axis=1), np.arange(rows)
    descents = np.minimum((ranked[every, (n_changes - 1) // 2] + ranked[every, n_changes // 2]) / 2, 0.0)
    widths = np.minimum(np.abs(changes - descents[:, None]) * (MEDIAN_WIDTH / single)[:, None], MOST_DEPENDENT)
    squares = (widths * widths).tolist()
    return [worth_less(sum(own[-n:]), n) for own, n in zip(squares, n_changes.tolist(), strict=True)]


def _rows(values: _Array, width: int, apart: int, rows: int) -> _Array:
    """So many windows that end with the last value, each so far from the next; infinity before the first value."""
    missing = max(width + apart * (rows - 1) - len(values), 0)
    padded = np.concatenate([np.full(missing, inf), values]) if missing else values
    return sliding_window_view(padded, width)[::-1][::apart][:rows][::-1]


def _of_these(windows: _Array, counts: NDArray[np.intp]) -> _Array:
    """The last so many of each window; infinity in place of the others."""
    width = windows.shape[1]
    return windows if int(counts[0]) == width else np.where(np.arange(width) >= width - counts[:, None], windows, inf)
