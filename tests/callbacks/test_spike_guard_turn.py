"""A loss that turns round within its noise: no step stands out, and yet the weights go wrong."""

import logging
from itertools import pairwise

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Subset, TensorDataset

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.skip_list import SkippingSampler, read_skip_list
from stabilimeter.callbacks.spike_guard import SpikeGuard
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import read_run
from stabilimeter.stats.incident import Kind

BATCH = 16
NUM_BATCHES = 280
TURNS_AT = 200
EVERY = 20
"""Steps between snapshots."""


def dataset(seed=0, turns=True, slope=0.04):
    """A noisy regression problem; from batch 200 on the weights behind its targets move away, slowly."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(NUM_BATCHES * BATCH, 4, generator=generator)
    total = x.sum(1, keepdim=True)
    y = total + torch.randn(len(x), 1, generator=generator)
    number = torch.arange(len(x)) // BATCH
    if turns:
        y -= slope * (number - TURNS_AT).clamp(min=0)[:, None] * total
    return TensorDataset(x, y, number)


def batches(data, *numbers):
    return Subset(data, [BATCH * number + i for number in numbers for i in range(BATCH)])


class Learner(LightningModule):
    """Keeps the numbers of its batches. The learning rate is multiplied by ``factor`` at step ``raised_at``."""

    def __init__(self, data, sampler=None, raised_at=NUM_BATCHES, factor=1.0):
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.data, self.sampler, self.raised_at, self.factor = data, sampler, raised_at, factor
        self.seen = []

    def training_step(self, batch, batch_idx):
        x, y, number = batch
        self.seen.append(int(number[0]))
        return nn.functional.mse_loss(self.net(x), y)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.002)
        schedule = LambdaLR(optimizer, lambda step: self.factor if step >= self.raised_at else 1.0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self):
        return DataLoader(self.data, batch_size=BATCH, sampler=self.sampler)


@pytest.fixture
def fitted(make_trainer):
    def fit(data, *callbacks, accumulated=1, **settings):
        module = Learner(data, **settings)
        make_trainer(*callbacks, limit_val_batches=0, accumulate_grad_batches=accumulated).fit(module)
        return module

    return fit


def guard(action="rollback", **settings):
    return SpikeGuard(action, **{"snapshot_every_n_steps": EVERY, **settings})


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def did(keeper):
    return [action.evidence["action"] for action in keeper.actions]


def once(**settings):
    """A guard that goes back once and lets everything else through."""
    return guard(max_skips=0, max_rollbacks=1, **settings)


@pytest.mark.parametrize("seed", range(6))
class TestRollback:
    def test_is_the_run_that_passed_over_the_batches_since_a_state_before_the_turn(self, fitted, seed):
        keeper, data = once(), dataset(seed)
        guarded = fitted(data, keeper)
        action = keeper.actions[0]
        onset, back = action.evidence["onset_step"], action.evidence["restored_step"]
        assert (action.key, action.evidence["flagged"]) == ("guard/rollback", [])  # no value stood out
        assert back <= TURNS_AT <= onset <= action.step < TURNS_AT + 50
        assert back + EVERY <= onset < back + 3 * EVERY  # an interval without trouble, and no older than need be
        assert same(guarded, fitted(batches(data, *range(back), *range(action.step + 1, NUM_BATCHES))))

    def test_takes_the_data_back_to_the_turn_where_the_sampler_can(self, fitted, seed):
        keeper, data = once(), dataset(seed)
        guarded = fitted(data, keeper, sampler=SkippingSampler(range(len(data))))
        action = keeper.actions[0]
        onset, back = action.evidence["onset_step"], action.evidence["restored_step"]
        again = [*range(back, onset), *range(action.step + 1, NUM_BATCHES)]  # those of the turn are not drawn again
        again = again[: NUM_BATCHES - action.step - 1]
        assert action.evidence["batches_again"] == onset - back > 0
        assert guarded.seen == [*range(action.step + 1), *again]
        assert same(guarded, fitted(batches(data, *range(back), *again)))

    def test_a_run_that_does_not_turn_is_never_touched(self, fitted, seed):
        keeper, data = guard(), dataset(seed, turns=False)
        assert same(fitted(data, keeper), fitted(data))
        assert keeper.actions == ()

    def test_weights_that_went_wrong_slowly_come_back(self, fitted, seed):
        class Growing(Callback):
            def on_train_batch_start(self, trainer, module, batch, batch_idx):
                if TURNS_AT <= batch_idx < TURNS_AT + 40:
                    for parameter in module.parameters():
                        parameter.data.mul_(1.03)

        def error(module):
            x, y, _ = dataset(seed + 100, turns=False).tensors
            with torch.no_grad():
                return nn.functional.mse_loss(module.net(x), y).item()

        keeper, data = guard(), dataset(seed, turns=False)
        healthy, guarded, alone = fitted(data), fitted(data, Growing(), keeper), fitted(data, Growing())
        assert did(keeper) == ["rollback"]
        assert error(guarded) == pytest.approx(error(healthy), rel=0.1)
        assert error(alone) > 3 * error(healthy)


def test_accumulated_micro_batches_go_back_together(fitted):
    keeper, data = once(snapshot_every_n_steps=10), dataset(1, slope=0.1)
    guarded = fitted(data, keeper, accumulated=2, sampler=SkippingSampler(range(len(data))))
    action = keeper.actions[0]
    onset, back = action.evidence["onset_step"], action.evidence["restored_step"]
    assert 2 * back <= TURNS_AT <= 2 * onset
    assert action.evidence["batches_again"] == 2 * (onset - back)
    again = [*range(2 * back, 2 * onset), *range(2 * action.step + 2, NUM_BATCHES)]
    again = again[: NUM_BATCHES - 2 * action.step - 2]
    assert guarded.seen == [*range(2 * action.step + 2), *again]
    assert same(guarded, fitted(batches(data, *range(2 * back), *again), accumulated=2))


class TestOtherActions:
    def test_warn_says_it_once_and_changes_nothing(self, fitted, caplog):
        keeper, data = guard("warn"), dataset()
        with caplog.at_level(logging.WARNING, "stabilimeter"):
            guarded = fitted(data, keeper)
        turn = keeper.actions[0]
        assert (turn.kind, turn.key, turn.evidence["flagged"]) == (Kind.DIVERGENCE, "guard/warn", [])
        assert [a.evidence.get("onset_step") for a in keeper.actions].count(turn.evidence["onset_step"]) == 1
        onset = turn.evidence["onset_step"]
        assert f"step {turn.step}: train/loss is {turn.value:.4g} ({turn.baseline:.4g} expected)" in caplog.text
        assert f"has been getting worse since step {onset}: nothing done" in caplog.text
        assert same(guarded, fitted(data))

    def test_skip_cannot_undo_a_turn_and_warns(self, fitted):
        keeper, warned = guard("skip"), guard("warn")
        fitted(dataset(), keeper)
        fitted(dataset(), warned)
        assert keeper.actions[0] == warned.actions[0]

    def test_stop_goes_back_first_and_stops_when_that_is_used_up(self, fitted):
        keeper = guard("stop", max_skips=0, max_rollbacks=1)
        fitted(dataset(), keeper)
        assert did(keeper) == ["rollback", "stop"]
        keeper, data = guard("stop", max_rollbacks=0), dataset()
        stopped = fitted(data, keeper)
        [action] = keeper.actions
        assert len(stopped.seen) == action.step + 1 < TURNS_AT + 50
        assert f"since step {action.evidence['onset_step']}: step skipped, training stopped" in keeper.stop_reason
        assert same(stopped, fitted(batches(data, *range(action.step))))

    @pytest.mark.parametrize("action", ["warn", "skip", "stop"])
    def test_a_run_that_does_not_turn_is_left_alone(self, fitted, action):
        keeper, data = guard(action), dataset(turns=False)
        assert same(fitted(data, keeper), fitted(data))
        assert (keeper.actions, keeper.stop_reason) == ((), None)


class TestBudget:
    def test_rollbacks_are_counted(self, fitted):
        keeper = once()
        fitted(dataset(), keeper)
        assert did(keeper)[:2] == ["rollback", "warn"]
        assert "rollback" not in did(keeper)[1:]

    def test_what_comes_after_a_rollback_has_not_begun_before(self, fitted):
        keeper = guard(max_skips=0)
        fitted(dataset(), keeper)
        rollbacks = [action for action in keeper.actions if action.evidence["action"] == "rollback"]
        assert len(rollbacks) > 2
        for one, other in pairwise(rollbacks):
            assert one.step < other.evidence["onset_step"] <= other.step
            assert other.evidence["restored_step"] == one.evidence["restored_step"]

    def test_a_turn_older_than_every_snapshot_is_not_rolled_back(self, fitted):
        """Two snapshots, of which one is on trial: neither is old enough."""
        keeper = guard(snapshot_every_n_steps=4, num_snapshots=2)
        fitted(dataset(), keeper)
        assert did(keeper)[0] == "warn"
        keeper = guard("stop", snapshot_every_n_steps=4, num_snapshots=2)
        fitted(dataset(), keeper)
        assert did(keeper) == ["stop"]


@pytest.mark.parametrize(("factor", "answer"), [(1.0, "rollback"), (1.6, "warn")])
def test_a_turn_after_a_deliberate_raise_of_the_learning_rate_is_only_warned_of(fitted, factor, answer):
    keeper = once()
    fitted(dataset(), keeper, raised_at=218, factor=factor)
    turn = keeper.actions[0]
    assert (turn.key, "learning_rate_jump" in turn.evidence) == (f"guard/{answer}", answer == "warn")
    if answer == "warn":
        assert abs(turn.evidence["onset_step"] - 218) <= 10
        assert turn.evidence["learning_rate_jump"] == {"step": 218, "before": 0.002, "after": pytest.approx(0.0032)}


@pytest.mark.filterwarnings("ignore:StabilityMonitor:UserWarning")  # it tells of the turn as well
def test_the_record_tells_onset_alarm_and_the_state_gone_back_to(make_trainer, tmp_path):
    keeper = guard("stop", max_skips=0, max_rollbacks=1)
    make_trainer(StabilityMonitor(), keeper, limit_val_batches=0).fit(Learner(dataset()))
    run = read_run(tmp_path)
    act, stop = [incident for incident in run.incidents if incident.key.startswith("guard/")]
    assert (act.key, act.kind, stop.key) == ("guard/rollback", Kind.DIVERGENCE, "guard/stop")
    assert act.evidence["restored_step"] + EVERY <= act.evidence["onset_step"] < act.step == act.end_step
    assert act.evidence["series"] == "train/loss"
    assert act.value == pytest.approx(run["train/loss"].values[run["train/loss"].steps == act.step][0], rel=1e-6)
    assert act.baseline < act.value
    assert (run.status, run.manifest.reason) == (RunStatus.DIVERGED, keeper.stop_reason)


def test_the_samples_of_a_turn_are_not_blamed(fitted, tmp_path):
    path = tmp_path / "skip.json"
    data, keeper = dataset(), once(skip_list=path)
    fitted(data, keeper, sampler=SkippingSampler(range(len(data)), path))
    assert did(keeper)[0] == "rollback"
    assert read_skip_list(path) == frozenset()
