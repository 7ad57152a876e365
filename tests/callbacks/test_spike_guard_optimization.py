"""Manual optimization, several optimizers, what is refused, and what a step costs."""

import math

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.skip_list import SkippingSampler, extend_skip_list, read_skip_list
from stabilimeter.callbacks.spike_guard import SpikeGuard
from stabilimeter.records.run import read_run


def dataset(num_samples=480, seed=3):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_samples, 4, generator=generator)
    return TensorDataset(x, x.sum(1, keepdim=True) + 0.5 * torch.randn(num_samples, 1, generator=generator))


class Pair(LightningModule):
    """Two networks, each with an optimizer of its own, both stepped at every batch."""

    def __init__(self, bad_loss_of=None, bad_batches=(40,), only_first_until=None):
        super().__init__()
        self.automatic_optimization = False
        torch.manual_seed(1)
        self.one, self.two = nn.Linear(4, 1), nn.Linear(4, 1)
        self.bad_loss_of, self.bad_batches = bad_loss_of, bad_batches

    def training_step(self, batch, batch_idx):
        x, y = batch
        for name, net, optimizer in zip(("one", "two"), (self.one, self.two), self.optimizers(), strict=True):
            if self.skips(name, batch_idx):
                continue
            loss = nn.functional.mse_loss(net(x), y)
            if name == self.bad_loss_of and batch_idx in self.bad_batches:
                loss = loss * 1e4
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def skips(self, name, batch_idx):
        return False

    def configure_optimizers(self):
        return torch.optim.AdamW(self.one.parameters(), lr=0.02), torch.optim.AdamW(self.two.parameters(), lr=0.05)

    def train_dataloader(self):
        return DataLoader(dataset(), batch_size=8)


class LeavesOut(Pair):
    def skips(self, name, batch_idx):
        return name == "two" and batch_idx == 40


def tensors_in(item):
    if isinstance(item, torch.Tensor):
        return [item]
    if isinstance(item, dict):
        return [t for key in sorted(item, key=str) for t in tensors_in(item[key])]
    return [t for part in item for t in tensors_in(part)] if isinstance(item, list | tuple) else []


def everything(trainer):
    module = trainer.lightning_module
    return [*module.parameters(), *tensors_in([optimizer.state_dict()["state"] for optimizer in trainer.optimizers])]


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def fit(trainer, module):
    trainer.fit(module)
    return trainer


class TestManual:
    def test_only_the_optimizer_with_the_spike_skips(self, make_trainer):
        guard = SpikeGuard("skip")
        guarded = fit(make_trainer(guard), Pair(bad_loss_of="two"))
        [action] = guard.actions
        assert action.evidence["series"] == "train/loss/optimizer_1"
        assert action.step == 81  # two steps per batch
        assert same(everything(guarded), everything(fit(make_trainer(), LeavesOut())))

    def test_without_a_guard_the_spike_is_in_the_weights(self, make_trainer):
        spoilt = fit(make_trainer(), Pair(bad_loss_of="two"))
        assert not same(everything(spoilt), everything(fit(make_trainer(), LeavesOut())))

    def test_without_event_it_is_left_alone(self, make_trainer):
        guard = SpikeGuard("stop")
        guarded = fit(make_trainer(guard), Pair())
        assert guard.actions == ()
        assert same(everything(guarded), everything(fit(make_trainer(), Pair())))

    def test_rollback_takes_both_optimizers_back(self, make_trainer):
        class Passes(Pair):
            def skips(self, name, batch_idx):
                return 30 <= batch_idx <= 40

        guard = SpikeGuard("rollback", max_skips=0, snapshot_every_n_steps=20)
        guarded = fit(make_trainer(guard), Pair(bad_loss_of="two"))
        assert [a.evidence["restored_step"] for a in guard.actions] == [60]  # 30 batches
        assert same(everything(guarded), everything(fit(make_trainer(), Passes())))

    def test_a_loss_that_is_changed_after_backward_is_judged_as_it_was(self, make_trainer, tmp_path):
        class Clears(Pair):
            def manual_backward(self, loss):
                super().manual_backward(loss)
                loss.detach().zero_()

        guard, as_it_is = SpikeGuard("skip"), SpikeGuard("skip")
        fit(make_trainer(guard, StabilityMonitor()), Clears(bad_loss_of="two"))
        recorded = read_run(tmp_path)["train/loss/optimizer_1"].values
        fit(make_trainer(as_it_is), Pair(bad_loss_of="two"))
        assert [action.value for action in guard.actions] == [action.value for action in as_it_is.actions]
        assert (recorded > 0.0).all()

    @pytest.mark.parametrize("rise", [0.02, 0.0])
    def test_a_slow_turn_of_one_loss_takes_both_optimizers_back(self, make_trainer, rise):
        class Turning(Pair):
            passed_over = range(0)

            def skips(self, name, batch_idx):
                return batch_idx in self.passed_over

            def manual_backward(self, loss):
                _, index = divmod(self.trainer.global_step, 2)
                batch_idx = self.trainer.fit_loop.batch_idx
                super().manual_backward(loss * (1.0 + index * rise * max(batch_idx - 200, 0)))

            def train_dataloader(self):
                return DataLoader(dataset(2400), batch_size=8)

        guard = SpikeGuard("rollback", max_skips=0, max_rollbacks=1, snapshot_every_n_steps=40)
        guarded = fit(make_trainer(guard), Turning())
        if rise == 0.0:
            assert guard.actions == ()
            return
        first = guard.actions[0]
        assert (first.key, first.evidence["series"]) == ("guard/rollback", "train/loss/optimizer_1")
        assert first.evidence["restored_step"] <= 400 <= first.evidence["onset_step"]  # two steps per batch
        reference = Turning()
        reference.passed_over = range(first.evidence["restored_step"] // 2, first.step // 2 + 1)
        assert same(everything(guarded), everything(fit(make_trainer(), reference)))

    def test_a_scaler_is_left_where_it_was(self, make_trainer):
        def plugin():
            scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=9)
            return MixedPrecision("16-mixed", "cpu", scaler=scaler)

        guard = SpikeGuard("skip")
        guarded = fit(make_trainer(guard, plugins=plugin()), Pair(bad_loss_of="two"))
        reference = fit(make_trainer(plugins=plugin()), LeavesOut())
        assert len(guard.actions) == 1
        assert same(everything(guarded), everything(reference))
        assert guarded.precision_plugin.state_dict() == reference.precision_plugin.state_dict()


class Plain(LightningModule):
    """One linear layer."""

    def __init__(self, make_optimizer=None, loader=None):
        super().__init__()
        self.net = nn.Linear(4, 1)
        self.make_optimizer = make_optimizer or (lambda parameters: torch.optim.SGD(parameters, lr=0.01))
        self.loader = loader or DataLoader(dataset(), batch_size=8)

    def training_step(self, batch, batch_idx):
        return nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return self.make_optimizer(self.parameters())

    def train_dataloader(self):
        return self.loader


class TestRefused:
    def test_lbfgs(self, make_trainer):
        with pytest.raises(MisconfigurationException, match="LBFGS"):
            make_trainer(SpikeGuard()).fit(Plain(torch.optim.LBFGS))

    def test_a_fused_optimizer_under_a_scaler(self, make_trainer):
        plugin = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))
        with pytest.raises(MisconfigurationException, match="fused"):
            make_trainer(SpikeGuard(), plugins=plugin).fit(Plain(lambda p: torch.optim.AdamW(p, fused=True)))

    def test_an_unknown_strategy(self, make_trainer, monkeypatch):
        monkeypatch.setattr("stabilimeter.callbacks.guard.requirements._STRATEGIES", (int,))
        with pytest.raises(MisconfigurationException, match=SingleDeviceStrategy.__name__):
            make_trainer(SpikeGuard()).fit(Plain())

    def test_two_guards(self, make_trainer):
        with pytest.raises(RuntimeError, match="more than one stateful callback of type `SpikeGuard`"):
            make_trainer(SpikeGuard(), SpikeGuard("warn"))

    @pytest.mark.parametrize(
        ("make_loader", "message"),
        [
            (lambda _: DataLoader(dataset(), batch_size=8), "needs a training DataLoader"),
            (lambda path: DataLoader(dataset(), sampler=SkippingSampler(range(480), path.parent / "b")), "same path"),
            (lambda path: DataLoader(dataset(), None, sampler=SkippingSampler(range(480), path)), "batch_size"),
        ],
    )
    def test_a_loader_that_would_not_honour_the_skip_list(self, make_trainer, tmp_path, make_loader, message):
        path = tmp_path / "a"
        with pytest.raises(MisconfigurationException, match=message):
            make_trainer(SpikeGuard(skip_list=path)).fit(Plain(loader=make_loader(path)))


class HostReads(TorchDispatchMode):
    """Counts copies of a number from the device to the host."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function)
        self.count += "_local_scalar_dense" in name or "_to_copy" in name
        return function(*args, **(kwargs or {}))


class TestCost:
    def reads(self, make_trainer, *callbacks):
        torch.manual_seed(0)
        module = Plain(lambda parameters: torch.optim.SGD(parameters, lr=0.01))
        trainer = make_trainer(*callbacks)
        with HostReads() as reads:
            trainer.fit(module)
        return reads.count

    def test_host_reads(self, make_trainer, monkeypatch):
        """`tolist` is one copy on a GPU, whatever the number of values; on the CPU it is none that can be counted."""
        read = []
        tolist = torch.Tensor.tolist
        monkeypatch.setattr(torch.Tensor, "tolist", lambda t: (read.append(t.shape), tolist(t))[1])
        unguarded = self.reads(make_trainer)
        assert read == []
        assert self.reads(make_trainer, SpikeGuard("skip")) == unguarded
        assert read == [torch.Size([1, 2])] * 60  # 60 steps, one read each
        read.clear()
        assert self.reads(make_trainer, SpikeGuard("warn", read_every_n_steps=25)) == unguarded
        assert read == [torch.Size([25, 2])] * 2 + [torch.Size([10, 2])]


class TestSkipList:
    def test_bad_samples_are_listed_and_not_drawn_on_resume(self, make_trainer, tmp_path):
        path = tmp_path / "skip.json"
        data = dataset()
        data.tensors[0][13] = math.nan

        class Seeing(Plain):
            def training_step(self, batch, batch_idx):
                self.is_finite = getattr(self, "is_finite", []) + [bool(batch[0].isfinite().all())]
                return super().training_step(batch, batch_idx)

        def loader():
            return DataLoader(data, batch_size=8, sampler=SkippingSampler(range(480), path))

        guard = SpikeGuard("skip", skip_list=path)
        first = Seeing(loader=loader())
        trainer = fit(make_trainer(guard, accumulate_grad_batches=2, max_epochs=2), first)
        assert guard.actions[0].evidence["samples"] == list(range(16))  # both batches of the step
        assert read_skip_list(path) == set(range(16))
        assert first.is_finite == [True, False] + [True] * 118  # not drawn in the second epoch
        trainer.save_checkpoint(tmp_path / "c.ckpt")
        resumed = Seeing(loader=loader())
        again = SpikeGuard("skip", skip_list=path)
        trainer = make_trainer(again, accumulate_grad_batches=2, max_epochs=3)
        trainer.fit(resumed, ckpt_path=tmp_path / "c.ckpt", weights_only=True)
        assert resumed.is_finite == [True] * 60
        assert again.actions == ()

    def test_batches_of_later_epochs_are_told_apart(self, make_trainer, tmp_path):
        path = tmp_path / "skip.json"

        class Late(Plain):
            def training_step(self, batch, batch_idx):
                bad = self.trainer.current_epoch == 1 and batch_idx == 5
                return super().training_step(batch, batch_idx) * (1e4 if bad else 1.0)

        loader = DataLoader(dataset(), batch_size=8, sampler=SkippingSampler(range(480), path))
        guard = SpikeGuard("skip", skip_list=path)
        make_trainer(guard, max_epochs=2).fit(Late(loader=loader))
        assert [(a.step, a.evidence["samples"]) for a in guard.actions] == [(65, list(range(40, 48)))]

    def test_a_list_that_exists_is_honoured_from_the_first_batch(self, make_trainer, tmp_path):
        path = tmp_path / "skip.json"
        extend_skip_list(path, [3])
        data = dataset()
        data.tensors[0][3] = math.nan
        loader = DataLoader(data, batch_size=8, sampler=SkippingSampler(range(480), path))
        guard = SpikeGuard("skip", skip_list=path)
        make_trainer(guard).fit(Plain(loader=loader))
        assert guard.actions == ()
