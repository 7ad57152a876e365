"""CRC32C, the checksum of event files, for many records at once.

A CRC is linear over GF(2): records of equal length that differ in few bytes have checksums that differ by what those
bytes contribute, one table lookup per byte. So the checksum of a whole block costs a lookup per *differing* byte.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_REACH = 4096
"""Bytes for which a table per position is kept (4 MB); longer records are folded in pieces of this length."""


@cache
def _byte_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@cache
def _position_tables(reach: int) -> NDArray[np.uint32]:
    """``[d, b]``: what byte ``b`` contributes when ``d`` bytes follow it, shape ``(reach, 256)``."""
    step = _byte_table()
    tables = np.empty((reach, 256), np.uint32)
    tables[0] = step
    known = 1
    while known < reach:
        more = min(known, reach - known)
        # Contributions of `known` further zero bytes, four at a time through tables that already exist.
        tables[known : known + more] = _shifted(tables[:more], tables[:known])
        known += more
    return tables


def _shifted(state: NDArray[np.uint32], tables: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """CRC state after ``len(tables)`` further zero bytes."""
    length = len(tables)
    if length < 4:
        for _ in range(length):
            state = tables[0][state & 0xFF] ^ (state >> 8)
        return state
    shifted: NDArray[np.uint32] = (
        tables[length - 1][state & 0xFF]
        ^ tables[length - 2][(state >> 8) & 0xFF]
        ^ tables[length - 3][(state >> 16) & 0xFF]
        ^ tables[length - 4][state >> 24]
    )
    return shifted


def _tables_for(length: int) -> NDArray[np.uint32]:
    reach = 64
    while reach < min(length, _REACH):
        reach *= 2
    return _position_tables(reach)


def _contribution(columns: NDArray[np.intp], values: NDArray[np.uint8], length: int) -> NDArray[np.uint32]:
    """What the bytes ``values``, ``(k, n)``, at the ascending ``columns`` of records of ``length`` bytes contribute."""
    tables = _tables_for(length)
    reach = len(tables)
    distances = length - 1 - columns
    total = np.zeros(values.shape[1], np.uint32)
    pieces = range(int(distances.max(initial=0)) // reach, -1, -1)
    bounds = np.searchsorted(-distances, [-piece * reach for piece in pieces], side="right").tolist()
    for first, last in pairwise([0, *bounds]):
        if total.any():
            total = _shifted(total, tables)
        if last > first:
            places = np.add(values[first:last], (distances[first:last] % reach)[:, None] * 256, dtype=np.intp)
            # "wrap" is the mode that checks no bounds; they hold by construction.
            total ^= np.bitwise_xor.reduce(tables.ravel().take(places, mode="wrap"), axis=0)
    return total


def crc32c(data: bytes) -> int:
    """CRC32C (Castagnoli) of ``data``.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    if len(data) > 64:
        block = np.frombuffer(data, np.uint8).copy()
        block[:4] ^= 0xFF  # acts like the initial state of all ones
        return int(_contribution(np.arange(len(block)), block[:, None], len(block))[0]) ^ 0xFFFFFFFF
    table = _byte_list()
    state = 0xFFFFFFFF
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


@cache
def _byte_list() -> list[int]:
    return [int(entry) for entry in _byte_table()]


def masked(crc: int) -> int:
    """The form in which event files store a checksum (TFRecord)."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def varying_bits(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bits of each column of ``rows``, ``(n, length)``, that are not the same in all rows, ``(length,)``."""
    count, length = rows.shape
    fold = 64  # NumPy reduces few long rows much faster than many short ones
    whole = count - count % fold
    some = np.bitwise_or.reduce(rows[whole:], axis=0) if whole < count else rows[0]
    every = np.bitwise_and.reduce(rows[whole:], axis=0) if whole < count else rows[0]
    if whole:
        wide = rows[:whole].reshape(-1, fold * length)
        some = some | np.bitwise_or.reduce(np.bitwise_or.reduce(wide, axis=0).reshape(fold, length), axis=0)
        every = every & np.bitwise_and.reduce(np.bitwise_and.reduce(wide, axis=0).reshape(fold, length), axis=0)
    different: NDArray[np.uint8] = some ^ every
    return different


def masked_rows(
    rows: NDArray[np.uint8],
    columns: NDArray[np.intp],
    example: NDArray[np.uint8] | None = None,
    example_crc: int | None = None,
) -> NDArray[np.uint32]:
    """Masked CRC32C of each row of ``rows``.

    Args:
        rows: ``(n, length)``, at least one.
        columns: The columns in which the rows differ from ``example`` (others are no harm), ascending.
        example: A row of the same length, ``(length,)``; the first of ``rows`` if it is None.
        example_crc: CRC32C of ``example``, if it is known.

    Returns:
        ``(n,)`` uint32.
    """
    if example is None:
        like = rows[0].copy()
        like[columns] = 0
    else:
        like = example
    crc = np.full(len(rows), crc32c(like.tobytes()) if example_crc is None else example_crc, np.uint32)
    if len(columns):
        different = rows.T[columns]
        if like[columns].any():
            different ^= like[columns][:, None]
        crc ^= _contribution(columns, different, rows.shape[1])
    return _masked(crc)


class Checksums:
    """Checksums of records that lie side by side in rows of bytes.

    Args:
        records: Where in a row each of ``k`` records begins and ends, ascending.
    """

    def __init__(self, records: Sequence[tuple[int, int]]) -> None:
        self._records = records
        lengths = [end - begin for begin, end in records]
        self._is_short = 0 < min(lengths) <= max(lengths) <= _REACH
        if self._is_short:
            self._tables = _tables_for(max(lengths)).ravel()
            self._of_zeros = np.array([_of_zeros(length) for length in lengths], np.uint32)
            self._columns = np.concatenate([np.arange(begin, end) for begin, end in records])
            self._record_of = np.repeat(np.arange(len(records)), lengths)
            self._table_at = np.concatenate([np.arange(length - 1, -1, -1) * 256 for length in lengths])
            self._firsts = np.cumsum([0, *lengths[:-1]])

    def masked(self, rows: NDArray[np.uint8], varying: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Masked CRC32C of each record in each row.

        Args:
            rows: ``(n, width)``, at least one.
            varying: The bits of each column that are not the same in all rows, ``(width,)``.

        Returns:
            ``(k, n)`` uint32.
        """
        if not self._is_short:
            parts = [(rows[:, begin:end], np.flatnonzero(varying[begin:end])) for begin, end in self._records]
            return np.stack([masked_rows(part, columns) for part, columns in parts])
        varies = varying[self._columns] != 0
        alike = np.where(varies, 0, rows[0, self._columns])
        base = np.bitwise_xor.reduceat(self._tables.take(self._table_at + alike, mode="wrap"), self._firsts)
        crc = np.repeat((self._of_zeros ^ base)[:, None], len(rows), axis=1)
        counts = np.bincount(self._record_of[varies], minlength=len(crc))
        for count in np.unique(counts[counts > 0]).tolist():
            # Records with equally many varying bytes at once: ``(count, records, n)``.
            chosen = np.flatnonzero(counts == count)
            bytes_of = np.flatnonzero(varies & (counts == count)[self._record_of]).reshape(-1, count).T.ravel()
            places = np.add(rows.T[self._columns[bytes_of]], self._table_at[bytes_of, None], dtype=np.intp)
            found = self._tables.take(places, mode="wrap").reshape(count, -1)
            crc[chosen] ^= np.bitwise_xor.reduce(found, axis=0).reshape(len(chosen), -1)
        return _masked(crc)


@cache
def _of_zeros(length: int) -> int:
    return crc32c(bytes(length))


def _masked(crc: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
