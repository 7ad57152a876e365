"""A guarded run must be, bit for bit, the run that never saw the bad batches."""

import logging
import math

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn
from torch.utils.data import DataLoader

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.spike_guard import SpikeGuard
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import read_run
from stabilimeter.stats.incident import Kind

BATCH = 8
NUM_BATCHES = 60


def batches(num=NUM_BATCHES, bad=(), value=float("nan"), turns_at=None):
    """Batches of one regression problem; those in ``bad`` have targets of ``value``, or inputs if it is NaN.

    From batch ``turns_at`` on the targets move away, slowly.
    """
    generator = torch.Generator().manual_seed(3)
    made = []
    for number in range(num):
        x = torch.randn(BATCH, 4, generator=generator)
        y = x.sum(1, keepdim=True) + 0.5 * torch.randn(BATCH, 1, generator=generator)
        if turns_at is not None:
            y = y - 0.05 * max(number - turns_at, 0) * x.sum(1, keepdim=True)
        if number in bad:
            x, y = (x * value, y) if math.isnan(value) else (x, y * 0 + value)
        made.append((x, y))
    return made


class Resumable(DataLoader):
    """Starts where a checkpoint left it."""

    skip = 0

    def state_dict(self):
        return {"drawn": self.drawn}

    def load_state_dict(self, state):
        self.skip = state["drawn"]

    def __iter__(self):
        self.drawn, self.skip = self.skip, 0
        for batch in list(self.dataset)[self.drawn :]:
            self.drawn += 1
            yield batch


class Learner(LightningModule):
    """Batch normalisation, Adam, and a schedule that changes at every step."""

    def __init__(self, data, resumable=False, draws=False):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
        self.data, self.resumable, self.draws = data, resumable, draws
        self.drawn = []

    def training_step(self, batch, batch_idx):
        x, y = batch
        if self.draws:
            self.drawn.append(torch.rand(()).item())
        return nn.functional.mse_loss(self.net(x), y)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", nn.functional.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.02, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=200)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self):
        return (Resumable if self.resumable else DataLoader)(self.data, batch_size=None)

    def val_dataloader(self):
        return DataLoader(self.data[:2], batch_size=None)


def tensors_in(item):
    if isinstance(item, torch.Tensor):
        return [item]
    if isinstance(item, dict):
        return [t for key in sorted(item, key=str) for t in tensors_in(item[key])]
    if isinstance(item, list | tuple):
        return [t for part in item for t in tensors_in(part)]
    return [torch.tensor(float(item))] if isinstance(item, int | float) else []


def everything(trainer):
    """Parameters, buffers, optimizer states, schedules and scaler, as one list of tensors."""
    module = trainer.lightning_module
    return [
        *module.parameters(),
        *module.buffers(),
        *tensors_in([optimizer.state_dict() for optimizer in trainer.optimizers]),
        *tensors_in([config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]),
        *tensors_in(trainer.precision_plugin.state_dict()),
    ]


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def scaler():
    return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=7))


@pytest.fixture
def fitted(make_trainer):
    def fit(data, *callbacks, module=Learner, ckpt_path=None, **kwargs):
        torch.manual_seed(1)
        built = module(data)
        if "plugins" in kwargs:
            kwargs["plugins"] = kwargs["plugins"]()
        trainer = make_trainer(*callbacks, **{"limit_val_batches": 0, **kwargs})
        trainer.fit(built, ckpt_path=ckpt_path)
        return trainer

    return fit


def done(guard):
    """What was done at each step; an action may take in several steps in a row."""
    return [
        (action.evidence["action"], action.step + i, action.evidence["series"])
        for action in guard.actions
        for i in range(action.evidence["steps"])
    ]


SETUPS = [
    pytest.param({}, id="plain"),
    pytest.param({"gradient_clip_val": 0.5}, id="clipped"),
    pytest.param({"precision": "bf16-mixed"}, id="bf16"),
    pytest.param({"plugins": scaler, "gradient_clip_val": 0.5}, id="fp16 scaler"),
]


class TestSkip:
    @pytest.mark.parametrize("kwargs", SETUPS)
    @pytest.mark.parametrize("value", [float("nan"), 300.0], ids=["nan", "spike"])
    def test_is_the_run_without_the_batch(self, fitted, kwargs, value):
        guard = SpikeGuard("skip")
        guarded = fitted(batches(bad=[40], value=value), guard, **kwargs)
        clean = batches()
        without = fitted(clean[:40] + clean[41:], **kwargs)
        assert done(guard) == [("skip", 40, "train/loss")]
        assert guarded.global_step == without.global_step + 1
        assert same(everything(guarded), everything(without))

    @pytest.mark.parametrize("kwargs", SETUPS)
    def test_without_a_guard_the_batch_leaves_its_mark(self, fitted, kwargs):
        spoilt = fitted(batches(bad=[40]), **kwargs)
        clean = batches()
        assert not same(everything(spoilt), everything(fitted(clean[:40] + clean[41:], **kwargs)))

    @pytest.mark.parametrize("action", ["warn", "skip", "rollback", "stop"])
    @pytest.mark.parametrize("kwargs", SETUPS)
    def test_a_run_without_event_is_left_alone(self, fitted, action, kwargs):
        guard = SpikeGuard(action, snapshot_every_n_steps=10)
        guarded = fitted(batches(), guard, **kwargs)
        state = torch.get_rng_state()
        assert guard.actions == ()
        assert same(everything(guarded), everything(fitted(batches(), **kwargs)))
        assert torch.equal(state, torch.get_rng_state())

    @pytest.mark.parametrize("kwargs", [{}, {"plugins": scaler}], ids=["plain", "fp16 scaler"])
    def test_accumulation_skips_all_micro_batches_of_the_step(self, fitted, kwargs):
        guard = SpikeGuard("skip")
        data = batches(num=120, bad=[81], value=300.0)
        guarded = fitted(data, guard, accumulate_grad_batches=3, **kwargs)
        without = fitted(data[:81] + data[84:], accumulate_grad_batches=3, **kwargs)
        assert done(guard) == [("skip", 27, "train/loss")]
        assert guard.actions[0].value == pytest.approx(300.0**2 / 3, rel=0.02)  # mean over micro-batches, undivided
        assert same(everything(guarded), everything(without))

    def test_a_spike_of_the_gradient_alone(self, fitted):
        class Steep(Learner):
            def training_step(self, batch, batch_idx):
                loss = super().training_step(batch, batch_idx)
                return loss + (1000.0 * (self.net[0].weight - self.net[0].weight.detach()).sum() * (batch_idx == 40))

        guard = SpikeGuard("skip")
        guarded = fitted(batches(), guard, module=Steep)
        clean = batches()
        assert done(guard) == [("skip", 40, "grad/norm")]
        assert guard.actions[0].value > 1000.0
        assert same(everything(guarded), everything(fitted(clean[:40] + clean[41:])))

    def test_a_nan_in_one_gradient_only(self, fitted):
        class Broken(Learner):
            def on_after_backward(self):
                if self.trainer.global_step == 40:
                    self.net[0].bias.grad[0] = math.nan

        guard = SpikeGuard("skip")
        guarded = fitted(batches(), guard, module=Broken)
        clean = batches()
        assert [(a.kind, a.step) for a in guard.actions] == [(Kind.NONFINITE, 40)]
        assert same(everything(guarded), everything(fitted(clean[:40] + clean[41:])))

    @pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step:UserWarning")  # the scaler skips step 0
    def test_an_overflow_is_left_to_the_scaler(self, fitted):
        def high():
            return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=2.0**60))

        guard = SpikeGuard("skip")
        guarded = fitted(batches(), guard, plugins=high)
        unguarded = fitted(batches(), plugins=high)
        assert guard.actions == ()
        assert same(everything(guarded), everything(unguarded))
        assert guarded.precision_plugin.scaler.get_scale() < 2.0**60

    def test_an_epoch_schedule_goes_on(self, fitted):
        class ByEpoch(Learner):
            def configure_optimizers(self):
                optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]

        guard = SpikeGuard("skip")
        trainer = fitted(batches(bad=[59], value=300.0), guard, module=ByEpoch, max_epochs=1)
        assert done(guard) == [("skip", 59, "train/loss")]
        assert trainer.optimizers[0].param_groups[0]["lr"] == 0.05
        assert trainer.lr_scheduler_configs[0].frequency == 1

    def test_the_budget_lets_finite_steps_through_and_never_others(self, fitted):
        guard = SpikeGuard("skip", max_skips=2)
        fitted(batches(bad=range(40, 45), value=300.0), guard)
        assert [rung for rung, *_ in done(guard)] == ["skip", "skip", "warn", "warn", "warn"]
        guard = SpikeGuard("skip", max_skips=2)
        trainer = fitted(batches(bad=range(40, 45)), guard)
        assert [rung for rung, *_ in done(guard)] == ["skip"] * 5
        assert [(a.step, a.end_step) for a in guard.actions] == [(40, 44)]
        assert all(t.isfinite().all() for t in trainer.lightning_module.parameters())


class TestWarn:
    def test_reports_and_changes_nothing(self, fitted, caplog):
        guard = SpikeGuard("warn", read_every_n_steps=25)
        with caplog.at_level(logging.WARNING, "stabilimeter"):
            guarded = fitted(batches(bad=[40], value=300.0), guard)
        unguarded = fitted(batches(bad=[40], value=300.0))
        assert done(guard)[0] == ("warn", 40, "train/loss")
        assert same(everything(guarded), everything(unguarded))
        assert "step 40: train/loss is 9.005e+04 (0.5785 expected)" in caplog.text
        assert "nothing done" in caplog.text

    def test_sees_what_skip_sees(self, fitted):
        warned, skipped = SpikeGuard("warn", read_every_n_steps=7), SpikeGuard("skip")
        fitted(batches(bad=[59]), warned)
        fitted(batches(bad=[59]), skipped)
        assert [(a.step, a.kind, a.baseline, a.scale) for a in warned.actions] == [
            (a.step, a.kind, a.baseline, a.scale) for a in skipped.actions
        ]
        assert len(warned.actions) == 1


class TestRollback:
    @pytest.mark.parametrize("kwargs", SETUPS)
    def test_is_the_run_that_passed_over_the_batches_since_the_snapshot(self, fitted, kwargs):
        guard = SpikeGuard("rollback", max_skips=0, snapshot_every_n_steps=10)
        guarded = fitted(batches(bad=[47], value=300.0), guard, **kwargs)
        clean = batches()
        without = fitted(clean[:30] + clean[48:], **kwargs)  # the snapshot of step 40 has not proved healthy yet
        assert done(guard) == [("rollback", 47, "train/loss")]
        assert guard.actions[0].evidence["restored_step"] == 30
        assert same(everything(guarded), everything(without))

    def test_skips_come_first(self, fitted):
        guard = SpikeGuard("rollback", max_skips=2, max_rollbacks=1, snapshot_every_n_steps=10)
        fitted(batches(bad=range(41, 47), value=300.0), guard)
        assert [rung for rung, *_ in done(guard)] == ["skip", "skip", "rollback", "skip", "skip", "warn"]

    def test_a_snapshot_that_a_flagged_step_follows_is_not_trusted(self, fitted):
        guard = SpikeGuard("rollback", max_skips=1, snapshot_every_n_steps=10)
        guarded = fitted(batches(bad=[44, 52], value=300.0), guard)
        clean = batches()
        assert [rung for rung, *_ in done(guard)] == ["skip", "rollback"]
        assert guard.actions[1].evidence["restored_step"] == 30  # not 40, although ten steps have followed it
        assert same(everything(guarded), everything(fitted(clean[:30] + clean[53:])))

    def test_before_the_first_interval_it_goes_back_to_the_start(self, fitted):
        guard = SpikeGuard("rollback", max_skips=0, snapshot_every_n_steps=100)
        guarded = fitted(batches(bad=[47]), guard)
        assert same(everything(guarded), everything(fitted(batches()[48:])))

    def test_random_numbers_are_drawn_again(self, fitted):
        def drawing(data):
            return Learner(data, draws=True)

        guard = SpikeGuard("rollback", max_skips=0, snapshot_every_n_steps=10)
        module = fitted(batches(bad=[47]), guard, module=drawing).lightning_module
        assert module.drawn[48:] == module.drawn[30:42]

    def test_a_damage_that_no_skip_undoes(self, fitted):
        """The weights are spoilt without a gradient, so that every later batch is bad."""

        class Spoiler(Callback):
            def on_train_batch_start(self, trainer, module, batch, batch_idx):
                if batch_idx == 40:
                    for parameter in module.parameters():
                        parameter.data.mul_(30.0)

        data = batches(num=100)
        guard = SpikeGuard("rollback", max_skips=3, snapshot_every_n_steps=10)
        helped = fitted(data, Spoiler(), guard)
        skipped = fitted(data, Spoiler(), SpikeGuard("skip"))
        alone = fitted(data, Spoiler())
        losses = [_loss(trainer, data) for trainer in (helped, skipped, alone)]
        assert [rung for rung, *_ in done(guard)] == ["skip", "skip", "skip", "rollback"]
        assert losses[0] < 1.0 < min(losses[1:])


def _loss(trainer, data):
    net = trainer.lightning_module.net.eval()
    with torch.no_grad():
        return sum(nn.functional.mse_loss(net(x), y).item() for x, y in data) / len(data)


class TestStop:
    def test_ends_the_fit_before_the_step(self, fitted):
        guard = SpikeGuard("stop", max_skips=0, max_rollbacks=0)
        stopped = fitted(batches(bad=[47], value=300.0), guard)
        assert stopped.global_step == 48
        assert "step 47: train/loss" in guard.stop_reason
        assert "training stopped" in guard.stop_reason
        assert same(everything(stopped), everything(fitted(batches()[:47])))

    def test_the_ladder_ends_there(self, fitted):
        guard = SpikeGuard("stop", max_skips=1, max_rollbacks=2, snapshot_every_n_steps=10)
        stopped = fitted(batches(bad=range(31, 60)), guard)
        assert [rung for rung, *_ in done(guard)] == ["skip", "rollback"] * 2 + ["skip", "stop"]
        assert stopped.global_step == 37

    def test_a_good_end_has_no_reason(self, fitted):
        guard = SpikeGuard("stop")
        fitted(batches(bad=[47]), guard)
        assert done(guard) == [("skip", 47, "train/loss")]
        assert guard.stop_reason is None


class TestRecord:
    def test_the_record_tells_what_was_done(self, make_trainer, tmp_path):
        guard = SpikeGuard("stop", max_skips=1, max_rollbacks=0)
        module = Learner(batches(bad=[40, 43], value=300.0))
        make_trainer(StabilityMonitor(), guard, limit_val_batches=0).fit(module)
        run = read_run(tmp_path)
        acts = [incident for incident in run.incidents if incident.key.startswith("guard/")]
        assert [(a.key, a.step, a.evidence["series"]) for a in acts] == [
            ("guard/skip", 40, "train/loss"),
            ("guard/stop", 43, "train/loss"),
        ]
        seen = run["train/loss"].values[run["train/loss"].steps == 40][0]
        assert acts[0].value == pytest.approx(seen, rel=1e-6)
        assert acts[0].baseline < 10 < acts[0].value
        assert (run.status, run.manifest.reason) == (RunStatus.DIVERGED, guard.stop_reason)
        assert guard.stop_reason.startswith("SpikeGuard: step 43: train/loss")
        assert run["train/loss"].steps[-1] == 43

    @pytest.mark.parametrize("clip", [None, 0.5])
    def test_a_monitor_sees_no_gradient_where_the_guard_has_taken_it_away(self, make_trainer, tmp_path, clip):
        module = Learner(batches(bad=[40], value=300.0))
        guard = SpikeGuard("skip")
        make_trainer(guard, StabilityMonitor(), limit_val_batches=0, gradient_clip_val=clip).fit(module)
        series = read_run(tmp_path)["grad/norm"]
        assert series.steps.tolist() == [step for step in range(60) if step != 40]
        assert (series.values > 0.1).all()
        assert guard.actions[0].evidence["norm"] > 100.0

    @pytest.mark.filterwarnings("ignore:StabilityMonitor.*not finite:UserWarning")
    def test_a_long_action_is_told_now_and_then(self, make_trainer, tmp_path, caplog):
        module = Learner(batches(bad=range(30, 60)))
        make_trainer(StabilityMonitor(), SpikeGuard("skip"), limit_val_batches=0).fit(module)
        told = [record.getMessage() for record in caplog.records if "SpikeGuard" in record.getMessage()]
        assert [text.rpartition(", ")[2] for text in told[1:]] == [f"{n} in a row" for n in (2, 4, 8, 16, 30)]
        [act] = [incident for incident in read_run(tmp_path).incidents if incident.key.startswith("guard/")]
        assert (act.key, act.kind, act.step, act.end_step) == ("guard/skip", Kind.NONFINITE, 30, 59)
        assert act.evidence["steps"] == 30
        assert math.isnan(act.evidence["loss"])

    def test_nothing_is_written_without_a_record(self, make_trainer, tmp_path):
        guard = SpikeGuard("skip")
        make_trainer(guard, limit_val_batches=0).fit(Learner(batches(bad=[40])))
        assert len(guard.actions) == 1
        assert not (tmp_path / "stability").exists()


class SaveAndLeave(Callback):
    def __init__(self, path, batch):
        self.path, self.batch = path, batch

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == self.batch:
            trainer.save_checkpoint(self.path)
            raise ZeroDivisionError


class TestResume:
    @pytest.mark.parametrize(
        "kwargs",
        [{}, {"accumulate_grad_batches": 3}, {"plugins": scaler}],
        ids=["plain", "accumulation", "fp16 scaler"],
    )
    @pytest.mark.parametrize("action", ["warn", "skip", "rollback"])
    @pytest.mark.parametrize("at", [19, 36, 41])
    def test_interrupted_and_resumed_is_uninterrupted(self, make_trainer, tmp_path, action, at, kwargs):
        micro = kwargs.get("accumulate_grad_batches", 1)
        data = batches(num=60 * micro, bad=[37 * micro, 40 * micro, 41 * micro, 50 * micro], value=300.0)

        def fit(*callbacks, ckpt_path=None):
            torch.manual_seed(1)
            budget = 3 if action == "rollback" else 10
            guard = SpikeGuard(action, max_skips=budget, snapshot_every_n_steps=3, read_every_n_steps=8)
            more = {**kwargs, "plugins": scaler()} if "plugins" in kwargs else kwargs
            trainer = make_trainer(guard, *callbacks, limit_val_batches=0, **more)
            trainer.fit(Learner(data, resumable=True), ckpt_path=ckpt_path, weights_only=True)
            return trainer, guard

        whole, guard = fit()
        path = tmp_path / "between.ckpt"
        with pytest.raises(ZeroDivisionError):
            fit(SaveAndLeave(path, (at + 1) * micro - 1))  # a checkpoint holds no gradients: at the end of a step
        resumed, second = fit(ckpt_path=path)
        assert same(everything(resumed), everything(whole))
        first_unread = (at + 1) // 8 * 8 if action == "warn" else at + 1
        later = [act for act in done(guard) if act[1] >= first_unread]
        assert done(second) == later
        assert (action, 50, "train/loss") in later

    @pytest.mark.parametrize(
        ("action", "at"),
        [("warn", 100), ("warn", 146), ("skip", 146), ("stop", 100), ("stop", 146), ("rollback", 100)],
    )
    def test_a_slow_turn_is_found_at_the_same_step_and_answered_alike(self, make_trainer, tmp_path, action, at):
        data = batches(num=200, turns_at=130)

        def fit(*callbacks, ckpt_path=None):
            torch.manual_seed(1)
            rollbacks = int(action == "rollback")
            guard = SpikeGuard(
                action, max_skips=0, max_rollbacks=rollbacks, snapshot_every_n_steps=10, read_every_n_steps=8
            )
            trainer = make_trainer(guard, *callbacks, limit_val_batches=0)
            trainer.fit(Learner(data, resumable=True), ckpt_path=ckpt_path, weights_only=True)
            return trainer, guard

        whole, guard = fit()
        with pytest.raises(ZeroDivisionError):
            fit(SaveAndLeave(tmp_path / "between.ckpt", at))
        resumed, second = fit(ckpt_path=tmp_path / "between.ckpt")
        turn = guard.actions[0]
        assert (turn.key, turn.evidence["flagged"]) == (f"guard/{'warn' if action == 'skip' else action}", [])
        assert turn.evidence["onset_step"] <= 146 < turn.step
        assert second.actions == guard.actions
        assert same(everything(resumed), everything(whole))

    def test_configuration_is_not_restored(self, make_trainer, tmp_path):
        data = batches(bad=[40], value=300.0)
        with pytest.raises(ZeroDivisionError):
            make_trainer(SpikeGuard("warn"), SaveAndLeave(tmp_path / "c.ckpt", 30)).fit(Learner(data, resumable=True))
        guard = SpikeGuard("skip", alarm_rate=1e-3)
        make_trainer(guard).fit(Learner(data, resumable=True), ckpt_path=tmp_path / "c.ckpt")
        assert done(guard)[0] == ("skip", 40, "train/loss")
        assert all(state.rule.alarm_rate == 1e-3 for state in guard._panel._judges[0]._states.values())


class TestArguments:
    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"action": "panic"}, "action must be one of"),
            ({"max_skips": -1}, "max_skips"),
            ({"cooldown_steps": 0}, "cooldown_steps"),
            ({"alarm_rate": 0.5}, "alarm_rate"),
            ({"action": "warn", "skip_list": "x.json"}, "skip_list"),
        ],
    )
    def test_bad_ones_are_refused(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            SpikeGuard(**kwargs)
