"""CRC32C, the checksum of event files, for many records at once.

A CRC is linear over GF(2): records of equal length that differ in few bytes have checksums that differ by what those
bytes contribute, one table lookup per byte. So the checksum of a whole block costs a lookup per *differing* byte.
"""

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
            places = values[first:last].astype(np.intp)
            places += (distances[first:last] % reach)[:, None] * 256
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
    like = rows[0] if example is None else example
    crc = np.full(len(rows), crc32c(like.tobytes()) if example_crc is None else example_crc, np.uint32)
    if len(columns):
        crc ^= _contribution(columns, rows.T[columns] ^ like[columns][:, None], rows.shape[1])
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
