"""The layouts of events that have been met, by which further events are told apart."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.events.chunks import EventChunk
from stabilimeter.records.events.columns import RowLayout
from stabilimeter.records.events.frames import HEADER, OVERHEAD
from stabilimeter.records.events.layout import Layout
from stabilimeter.records.record_error import RecordError

_BYTES = 1 << 24
"""Events that are remembered as layouts, in bytes."""
_MANY = 4096
"""So many row layouts are remembered."""
_FEW = 16
"""Up to so many layouts, going through the rest of the rows again is cheaper than sorting them."""

Rows = tuple[RowLayout, NDArray[np.uint8], NDArray[np.int64]]
"""Rows of one layout, and the position in the file of the first event of each."""


class Layouts:
    """The layouts that have been met so far; files of runs that log the same can share them."""

    def __init__(self) -> None:
        self._by_length: dict[int, dict[bytes, dict[bytes, Layout]]] = defaultdict(dict)
        self._alone: dict[Layout, RowLayout] = {}
        self._side_by_side: dict[tuple[tuple[int, int], ...], RowLayout] = {}
        self._room = _BYTES

    def rows(self, chunk: EventChunk, name: str, offset: int) -> Iterator[Rows]:
        """The rows of ``chunk`` by their layout; events without numbers may be left out.

        Args:
            chunk: Some events.
            name: The file that holds them.
            offset: Where the piece of it starts to which ``chunk.at`` refers.

        Raises:
            RecordError: if some are not events of TensorBoard.
        """
        if len(chunk.events) > 1:
            layout = self._joint(chunk, name, offset)
            if layout is not None:
                yield layout, chunk.rows, chunk.order
                return
        for place, (begin, end) in enumerate(chunk.events):
            frames = slice(begin - HEADER, end + OVERHEAD - HEADER)
            rows, varying = chunk.rows[:, frames], chunk.varying[begin:end]
            for one, chosen in self._among(rows, varying, name, offset + chunk.at + frames.start):
                if one.numbers or one.session_start:
                    order = chunk.order[chosen] + place
                    some = rows[chosen] if len(chosen) < len(rows) else np.ascontiguousarray(rows)
                    yield self._row_layout(one), some, order

    def _joint(self, chunk: EventChunk, name: str, offset: int) -> RowLayout | None:
        """The layout of all rows, if it is one."""
        first = chunk.rows[0]
        known = self._side_by_side.get(chunk.events)
        if known is not None and known.fits(first, chunk.varying):
            return known
        starts = [offset + int(chunk.at[0]) + begin - HEADER for begin, _ in chunk.events]
        layouts = [self._of(first[begin:end], name, at) for (begin, end), at in zip(chunk.events, starts, strict=True)]
        joint = RowLayout(layouts, [begin for begin, _ in chunk.events], len(first))
        if not joint.fits(first, chunk.varying):
            return None
        if len(self._side_by_side) < _MANY or chunk.events in self._side_by_side:
            self._side_by_side[chunk.events] = joint
        return joint

    def _row_layout(self, layout: Layout) -> RowLayout:
        """How to read a frame that holds one event of this layout."""
        known = self._alone.get(layout)
        if known is None:
            known = RowLayout([layout], [HEADER], len(layout.mask) + OVERHEAD)
            if len(self._alone) < _MANY:
                self._alone[layout] = known
        return known

    def _of(self, event: NDArray[np.uint8], name: str, start: int) -> Layout:
        """The layout of one event, whose frame starts at byte ``start``."""
        by_mask = self._by_length[len(event)]
        for mask, known in by_mask.items():
            layout = known.get((event & np.frombuffer(mask, np.uint8)).tobytes())
            if layout is not None:
                return layout
        try:
            layout = Layout(event)
        except ValueError as error:
            raise RecordError(
                f"{name}: the record at byte {start} is not a TensorBoard event ({error}); "
                "move the file away if it is no log"
            ) from error
        if (layout.numbers or layout.session_start) and len(event) <= self._room:
            self._room -= len(event)
            by_mask.setdefault(layout.mask.tobytes(), {})[layout.key()] = layout
        return layout

    def _among(
        self, rows: NDArray[np.uint8], varying: NDArray[np.uint8], name: str, starts: NDArray[np.int64]
    ) -> Iterator[tuple[Layout, NDArray[np.intp]]]:
        """Each layout among frames of equal length, ``(n, width)``, with the rows that have it."""
        events = rows[:, HEADER : HEADER - OVERHEAD]
        by_column = events.T
        todo = [np.arange(len(rows))]
        met = 0
        while todo:
            chosen = todo.pop()
            layout = self._of(events[chosen[0]], name, int(starts[chosen[0]]))
            columns = np.flatnonzero(varying & layout.mask)
            if not len(columns) or len(chosen) == 1:
                yield layout, chosen
                continue
            keys = by_column[columns[:, None], chosen] if met else by_column[columns]
            same = layout.fits(keys, columns)
            yield layout, chosen[same]
            met += 1
            if same.all():
                continue
            if met < _FEW:
                todo.append(chosen[~same])
            else:
                todo += _alike(chosen[~same], keys[:, ~same] & layout.mask[columns][:, None])


def _alike(chosen: NDArray[np.intp], keys: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """``chosen`` split into those with equal ``keys``; the ones that are alone in that stay together."""
    factors = (np.arange(len(keys), dtype=np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    hashes = (keys * factors[:, None]).sum(axis=0)
    order = np.argsort(hashes, kind="stable")
    parts = np.split(chosen[order], np.flatnonzero(np.diff(hashes[order])) + 1)
    alone = np.sort([part[0] for part in parts if len(part) == 1])
    return ([alone] if len(alone) else []) + [part for part in parts if len(part) > 1]
