import json

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler

from stabilimeter.callbacks.skip_list import SkippingSampler, extend_skip_list, read_skip_list
from stabilimeter.records.record_error import RecordError


def test_a_list_grows_on_disk(tmp_path):
    path = tmp_path / "deep" / "skip.json"
    assert read_skip_list(path) == frozenset()
    extend_skip_list(path, [7, 3])
    extend_skip_list(path, [3, 11])
    assert json.loads(path.read_text()) == {"schema": 1, "samples": [3, 7, 11]}
    assert read_skip_list(path) == {3, 7, 11}
    assert [entry.name for entry in path.parent.iterdir()] == ["skip.json"]


@pytest.mark.parametrize("text", ["", "[1]", '{"schema": 2, "samples": [1]}', '{"schema": 1, "samples": ["a"]}'])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "skip.json"
    path.write_text(text)
    with pytest.raises(RecordError, match="not a skip list"):
        read_skip_list(path)


def test_skipped_samples_give_their_place_to_kept_ones(tmp_path):
    path = tmp_path / "skip.json"
    sampler = SkippingSampler([5, 3, 8, 1, 9, 0], path)
    assert list(sampler) == [5, 3, 8, 1, 9, 0]
    extend_skip_list(path, [3, 1, 77])
    assert list(sampler) == [5, 5, 8, 8, 9, 0]  # 3 -> the first kept one, 1 -> the second
    assert len(sampler) == 6
    assert sampler.batch(1, 2) == [8, 8]


def test_every_other_batch_is_what_it_would_have_been(tmp_path):
    def batches():
        sampler = SkippingSampler(RandomSampler(range(40), generator=torch.Generator().manual_seed(2)), path)
        return [batch.tolist() for batch in DataLoader(range(40), batch_size=4, sampler=sampler)]

    path = tmp_path / "skip.json"
    before = batches()
    extend_skip_list(path, before[6])
    after = batches()
    assert len(after) == 10
    assert after[:6] + after[7:] == before[:6] + before[7:]
    assert not set(after[6]) & set(before[6])


def test_nothing_left_is_an_error(tmp_path):
    extend_skip_list(tmp_path / "skip.json", range(3))
    with pytest.raises(RecordError, match="nothing is left"):
        list(SkippingSampler(range(3), tmp_path / "skip.json"))
    assert list(SkippingSampler([], tmp_path / "skip.json")) == []


def test_a_distributed_sampler_is_told_the_epoch(tmp_path):
    inner = DistributedSampler(range(20), num_replicas=2, rank=1, seed=5)
    sampler = SkippingSampler(inner, tmp_path / "skip.json")
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert first != second
    inner.set_epoch(1)
    assert second == list(inner)
    SkippingSampler([1], tmp_path / "skip.json").set_epoch(1)
