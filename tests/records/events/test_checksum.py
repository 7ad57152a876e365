import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c as reference
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as masked_reference

from stabilimeter.records.events.checksum import Checksums, crc32c, masked, masked_rows, varying_bits


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097, 9001])
def test_equals_tensorboards_checksum_at_every_kind_of_length(rng, length):
    data = rng.bytes(length)
    assert crc32c(data) == reference(data)
    assert masked(crc32c(data)) == masked_reference(data)


def test_check_value_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4 and every catalogue of CRCs
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


@pytest.mark.parametrize(("count", "length"), [(1, 40), (2, 7), (63, 50), (64, 50), (200, 50), (5, 5000), (3, 12_000)])
def test_rows_equal_the_checksum_of_each_row(rng, count, length):
    rows = np.tile(np.frombuffer(rng.bytes(length), np.uint8), (count, 1))
    changed = rng.choice(length, size=min(length, 9), replace=False)
    rows[:, changed] = rng.integers(0, 256, (count, len(changed)))
    columns = np.flatnonzero(varying_bits(rows))
    assert masked_rows(rows, columns).tolist() == [masked_reference(row.tobytes()) for row in rows]


@pytest.mark.parametrize("lengths", [[40], [40, 41, 40], [1, 2, 3, 4, 5], [0, 20], [5000, 30], [4096]])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_records_side_by_side_equal_the_checksum_of_each(rng, lengths, count):
    """Some bytes vary, in some records none; what lies between records is no part of them."""
    ends = np.cumsum([length + 7 for length in lengths]).tolist()
    records = [(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    rows = np.tile(np.frombuffer(rng.bytes(ends[-1]), np.uint8), (count, 1))
    changed = rng.choice(ends[-1], size=min(ends[-1], 25), replace=False)
    rows[:, changed] = rng.integers(0, 256, (count, len(changed)))
    found = Checksums(records).masked(rows, varying_bits(rows))
    expected = [[masked_reference(row[begin:end].tobytes()) for row in rows] for begin, end in records]
    assert found.tolist() == expected


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 130])
def test_varying_bits_finds_a_single_different_byte_in_any_row(count):
    for row in range(count):
        rows = np.full((count, 11), 0b1010, np.uint8)
        rows[row, 7] ^= 0b0110
        expected = [0b0110 if column == 7 and count > 1 else 0 for column in range(11)]
        assert varying_bits(rows).tolist() == expected
