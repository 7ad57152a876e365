"""A rollback takes the data back where the sampler can, and leaves out what was not taken."""

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter.callbacks.skip_list import SkippingSampler, read_skip_list
from stabilimeter.callbacks.spike_guard import SpikeGuard

BATCH = 4
NUM_BATCHES = 60


def dataset() -> TensorDataset:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(NUM_BATCHES * BATCH, 4, generator=generator)
    return TensorDataset(
        x, x.sum(1, keepdim=True) + 0.5 * torch.randn(len(x), 1, generator=generator), torch.arange(len(x))
    )


class Learner(LightningModule):
    """Keeps the numbers of its batches; the loss is 1000 times too large at the steps ``bad_at``.

    From step ``turns_at`` on it is a little too large, by less than its noise.
    """

    def __init__(self, loader, bad_at=(), turns_at=10_000):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.loader, self.bad_at, self.turns_at = loader, bad_at, turns_at
        self.seen = []

    def training_step(self, batch, batch_idx):
        x, y, index = batch
        self.seen.append(int(index[0]) // BATCH)
        loss = nn.functional.mse_loss(self.net(x), y)
        if self.trainer.global_step >= self.turns_at:
            loss = loss + 0.3
        return loss * 1000.0 if self.trainer.global_step in self.bad_at else loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.02)

    def train_dataloader(self):
        return self.loader


@pytest.fixture
def fitted(make_trainer):
    def fit(sampler, *callbacks, bad_at=(), turns_at=10_000, **kwargs):
        torch.manual_seed(1)
        module = Learner(DataLoader(dataset(), batch_size=BATCH, sampler=sampler), bad_at, turns_at)
        make_trainer(*callbacks, limit_val_batches=0, **kwargs).fit(module)
        return module

    return fit


def guard(**settings) -> SpikeGuard:
    return SpikeGuard("rollback", max_skips=0, snapshot_every_n_steps=10, **settings)


def batches(*numbers: int) -> list[int]:
    """Indices of the samples in these batches."""
    return [BATCH * number + i for number in numbers for i in range(BATCH)]


def same_weights(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_data_go_back_with_the_weights_and_the_bad_batch_is_left_out(fitted):
    keeper = guard()
    guarded = fitted(SkippingSampler(range(NUM_BATCHES * BATCH)), keeper, bad_at=[47])
    assert keeper.actions[0].evidence["restored_step"] == 30
    assert keeper.actions[0].evidence["batches_again"] == 17
    assert guarded.seen == [*range(48), *range(30, 42)]  # an epoch keeps its length
    assert same_weights(guarded, fitted(batches(*range(42))))


def test_without_such_a_sampler_the_batches_in_between_are_passed_over(fitted):
    keeper = guard()
    guarded = fitted(range(NUM_BATCHES * BATCH), keeper, bad_at=[47])
    assert "batches_again" not in keeper.actions[0].evidence
    assert guarded.seen == [*range(60)]
    assert same_weights(guarded, fitted(batches(*range(30), *range(48, 60))))


def test_what_was_skipped_since_is_left_out_too(fitted):
    keeper = SpikeGuard("rollback", max_skips=2, snapshot_every_n_steps=10)
    guarded = fitted(SkippingSampler(range(NUM_BATCHES * BATCH)), keeper, bad_at=[41, 43, 45])
    assert guarded.seen[46:] == [*range(30, 41), 42, 44, 46]
    assert same_weights(guarded, fitted(batches(*range(41), 42, 44, 46)))


def test_the_same_data_are_not_tried_twice_from_the_same_state(fitted):
    keeper = guard()
    guarded = fitted(SkippingSampler(range(NUM_BATCHES * BATCH)), keeper, bad_at=[47, 52])
    assert [action.evidence["restored_step"] for action in keeper.actions] == [30, 30]
    assert [action.evidence.get("batches_again") for action in keeper.actions] == [17, None]
    assert guarded.seen == [*range(48), *range(30, 42)]
    assert same_weights(guarded, fitted(batches(*range(30), *range(35, 42))))


def test_accumulated_micro_batches_belong_together(fitted):
    keeper = guard()
    guarded = fitted(
        SkippingSampler(range(NUM_BATCHES * BATCH)), keeper, bad_at=[25], accumulate_grad_batches=2, max_epochs=1
    )
    assert keeper.actions[0].evidence["restored_step"] == 10
    assert keeper.actions[0].evidence["batches_again"] == 30
    assert guarded.seen == [*range(52), *range(20, 28)]


def test_data_go_back_to_the_beginning_of_their_epoch_at_most(fitted):
    keeper = guard()
    guarded = fitted(SkippingSampler(range(NUM_BATCHES * BATCH)), keeper, bad_at=[75], max_epochs=2)
    assert keeper.actions[0].evidence["restored_step"] == 60
    assert guarded.seen[60:] == [*range(16), *range(15), *range(16, 45)]
    early = guard()
    guarded = fitted(SkippingSampler(range(NUM_BATCHES * BATCH)), early, bad_at=[65], max_epochs=2)
    assert early.actions[0].evidence["restored_step"] == 50
    assert early.actions[0].evidence["batches_again"] == 5
    assert guarded.seen[60:] == [*range(6), *range(5), *range(6, 55)]


def test_rewinding_and_a_skip_list_go_together(fitted, tmp_path):
    path = tmp_path / "skip.json"
    sampler = SkippingSampler(range(NUM_BATCHES * BATCH), path)
    guarded = fitted(sampler, guard(skip_list=path), bad_at=[47])
    assert read_skip_list(path) == set(batches(47))
    assert guarded.seen[48:] == [*range(30, 42)]


def test_batches_that_a_worker_has_fetched_come_first():
    sampler = SkippingSampler(range(40))
    loader = iter(DataLoader(torch.arange(40), batch_size=4, sampler=sampler, num_workers=1, prefetch_factor=2))
    seen = [int(next(loader)[0]) // 4 for _ in range(5)]
    sampler.draw_again([2, 3], 4)
    seen += [int(batch[0]) // 4 for batch in loader]
    assert seen == [0, 1, 2, 3, 4, 5, 6, 2, 3, 7]


@pytest.mark.parametrize(("turns_at", "restored"), [(10_000, 160), (150, 140)])
def test_a_state_in_which_the_loss_was_turning_is_not_a_healthy_one(fitted, turns_at, restored):
    keeper = guard()
    fitted(range(NUM_BATCHES * BATCH), keeper, bad_at=[179], turns_at=turns_at, max_epochs=3)
    assert [action.step for action in keeper.actions] == [179]  # no single step stood out before
    assert keeper.actions[0].evidence["restored_step"] == restored
