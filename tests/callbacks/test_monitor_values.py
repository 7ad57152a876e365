"""Every signal against what the module measures itself with plain PyTorch, in the settings where others go wrong."""

import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import nn

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "nesterov, fused loops": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, foreach=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw with decay": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.5),
}


def check(run, module, *, clipped=False, rtol=1e-5):
    steps = np.arange(len(module.norms))
    expected = {
        "train/loss": module.losses,
        "grad/norm": module.norms,
        "update/norm": module.update_norms,
        "update/ratio": np.divide(module.update_norms, module.weight_norms),
    }
    if clipped:
        expected["grad/norm_clipped"] = module.clipped_norms
    for key, values in expected.items():
        np.testing.assert_array_equal(run[key].steps, steps, err_msg=key)
        np.testing.assert_allclose(run[key].values, values, rtol=rtol, err_msg=key)
    at, vectors, names = run.vectors("grad/layer_norms")
    np.testing.assert_array_equal(at, steps)
    np.testing.assert_allclose(vectors, module.layer_norms, rtol=rtol)
    assert names == tuple(name for name, _ in module.named_parameters())


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_signals_equal_plain_measurements(recorded, probe_class, optimizer):
    module = probe_class(optimizer)
    run = recorded(module, max_epochs=2)
    check(run, module)
    assert len(module.norms) == 24
    assert "grad/norm_clipped" not in run
    np.testing.assert_allclose(run["optim/lr"].values, module.optimizers().param_groups[0]["lr"], rtol=1e-6)
    assert (run["time/step_s"].values > 0).all()


def test_several_parameter_groups_count_together(recorded, probe_class):
    def two_groups(_):
        return torch.optim.SGD(
            [{"params": module.net[0].parameters(), "lr": 0.5}, {"params": module.net[2].parameters()}], lr=0.01
        )

    module = probe_class(two_groups)
    check(recorded(module), module)


@pytest.mark.parametrize("value", [0.05, 100.0])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_norms_on_both_sides_of_clipping(recorded, probe_class, algorithm, value):
    module = probe_class()
    run = recorded(module, gradient_clip_val=value, gradient_clip_algorithm=algorithm)
    check(run, module, clipped=True)
    bites = value < 1
    assert (run["grad/norm_clipped"].values < run["grad/norm"].values).all() == bites
    np.testing.assert_array_equal(run["grad/clip_fraction"].values, float(bites))


def test_clipping_by_a_module_that_configures_it_itself(recorded, probe_class):
    class Own(probe_class):
        def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
            if self.global_step % 2:
                self.clip_gradients(optimizer, gradient_clip_val=0.05, gradient_clip_algorithm="norm")

    module = Own()
    run = recorded(module)
    odd = np.arange(12) % 2 == 1
    np.testing.assert_allclose(run["grad/norm"].values, module.norms, rtol=1e-5)
    np.testing.assert_array_equal(run["grad/norm_clipped"].steps, np.flatnonzero(odd))
    np.testing.assert_allclose(run["grad/norm_clipped"].values, np.array(module.clipped_norms)[odd], rtol=1e-5)


def test_gradients_changed_by_another_hook_are_measured_as_they_reach_the_clipping(recorded, probe_class):
    class Noisy(probe_class):
        def on_before_optimizer_step(self, optimizer):
            for p in self.parameters():
                p.grad.mul_(3.0)
            super().on_before_optimizer_step(optimizer)

    module = Noisy()
    check(recorded(module, gradient_clip_val=0.1), module, clipped=True)


@pytest.mark.parametrize("num_micro_batches", [3, 5])
def test_loss_is_the_mean_over_micro_batches(recorded, probe_class, num_micro_batches):
    module = probe_class()
    run = recorded(module, accumulate_grad_batches=num_micro_batches, max_epochs=2)
    check(run, module)
    assert len(run["train/loss"].steps) == 2 * -(-12 // num_micro_batches)  # the last step of an epoch may be short


@pytest.mark.filterwarnings("ignore:When using .Trainer.accumulate_grad_batches")
def test_scheduled_accumulation(recorded, probe_class):
    module = probe_class()
    scheduler = GradientAccumulationScheduler({0: 4, 1: 1})
    run = recorded(module, scheduler, max_epochs=2)
    check(run, module)
    assert len(run["train/loss"].steps) == 3 + 12
    assert run.manifest.planned_steps == 15
    assert run.incidents == ()


def test_frozen_and_unused_parameters(recorded, probe_class):
    module = probe_class()
    module.unused = nn.Linear(3, 3)
    module.net[0].weight.requires_grad_(False)
    check(recorded(module), module)


def test_shared_parameters_count_once(recorded, probe_class):
    module = probe_class()
    module.net[2] = nn.Linear(8, 2)
    module.net.insert(2, nn.Linear(8, 8))
    module.net.insert(3, nn.Linear(8, 8))
    module.net[3].weight = module.net[2].weight
    check(recorded(module), module)


def test_sparse_gradients(recorded, probe_class):
    class Sparse(probe_class):
        def __init__(self):
            super().__init__(lambda p: torch.optim.SGD(p, lr=0.5))
            self.table = nn.Embedding(10, 6, sparse=True)

        def training_step(self, batch, batch_idx):
            x, y = batch
            return super().training_step((x + self.table(torch.tensor([1, 1, 3, 7])), y), batch_idx)

        def gradients(self):
            return [g.to_dense() for g in super().gradients()]

        def on_before_optimizer_step(self, optimizer):
            self.norms.append(plain(self.gradients()))
            self.layer_norms.append([plain([p.grad.to_dense()]) for p in self.parameters()])

    def plain(tensors):
        return sum(float((t.double() ** 2).sum()) for t in tensors) ** 0.5

    module = Sparse()
    check(recorded(module), module)


def test_half_precision_gradients_do_not_overflow(recorded, probe_class):
    class Half(probe_class):
        def __init__(self):
            super().__init__(lambda p: torch.optim.SGD(p, lr=1e-6))
            self.net = nn.Linear(512, 512, bias=False).half()

        def training_step(self, batch, batch_idx):
            loss = (self.net.weight * 200.0).sum(dtype=torch.float32)
            self.batches_of_step[-1].append(loss.item())
            return loss

    run = recorded(Half(), max_steps=3)
    np.testing.assert_allclose(run["grad/norm"].values, 102_400.0, rtol=1e-3)
    np.testing.assert_allclose(run.vectors("grad/layer_norms")[1], 102_400.0, rtol=1e-3)


@pytest.mark.parametrize(("precision", "rtol"), [("bf16-mixed", 1e-5), ("64-true", 1e-5), ("bf16-true", 0.02)])
@pytest.mark.parametrize("clip", [None, 0.05])
def test_precisions(recorded, probe_class, precision, rtol, clip):
    class InItsOwnType(probe_class):
        def training_step(self, batch, batch_idx):
            x, y = batch
            return super().training_step((x.to(self.dtype), y), batch_idx)

    module = InItsOwnType(lambda p: torch.optim.SGD(p, lr=0.5))
    check(recorded(module, precision=precision, gradient_clip_val=clip), module, clipped=clip is not None, rtol=rtol)


def test_a_module_compiled_in_place(recorded, probe_class):
    module = probe_class(OPTIMIZERS["adamw with decay"])
    module.net.compile(backend="eager")
    check(recorded(module), module)


def test_names_of_compiled_submodules_are_those_of_the_source(recorded, probe_class):
    module = probe_class()
    module.net = torch.compile(module.net, backend="eager")
    run = recorded(module)
    np.testing.assert_allclose(run["grad/norm"].values, module.norms, rtol=1e-5)
    assert run.vectors("grad/layer_norms")[2] == ("net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias")


@pytest.mark.parametrize("rate", [1.0, torch.tensor(1.0)], ids=["number", "tensor"])
def test_learning_rate_is_the_one_the_step_used(recorded, probe_class, rate):
    class Scheduled(probe_class):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=rate.clone() if isinstance(rate, torch.Tensor) else rate)
            return [optimizer], [
                {"scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5), "interval": "step"}
            ]

    run = recorded(Scheduled())
    np.testing.assert_allclose(run["optim/lr"].values, 0.5 ** np.arange(12), rtol=1e-6)


def test_training_step_may_return_a_dict_or_nothing(recorded, probe_class):
    class Sometimes(probe_class):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return None if batch_idx == 4 else {"loss": loss, "extra": 1}

    module = Sometimes()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`training_step` returned `None`")  # Lightning says it once per process
        run = recorded(module)
    kept = np.arange(12) != 4
    np.testing.assert_array_equal(run["train/loss"].steps, np.flatnonzero(kept))
    np.testing.assert_allclose(run["train/loss"].values, np.array(module.losses)[kept], rtol=1e-5)
    np.testing.assert_array_equal(run["grad/norm"].steps, np.flatnonzero(kept))
    assert run["update/norm"].values[4] == 0.0


def test_closures_are_evaluated_many_times_and_counted_once(recorded, probe_class):
    class Closure(probe_class):
        def on_before_optimizer_step(self, optimizer):
            if len(self.norms) == len(self.update_norms):  # before the first evaluation changes anything
                super().on_before_optimizer_step(optimizer)

    module = Closure(lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=4))
    run = recorded(module)
    np.testing.assert_array_equal(run["grad/norm"].steps, np.arange(12))
    np.testing.assert_allclose(run["grad/norm"].values, module.norms, rtol=1e-5)
    np.testing.assert_allclose(run["update/norm"].values, module.update_norms, rtol=1e-5)


class TestLargeTensors:
    """Tensors above the size that is copied whole: an estimate, from the same elements before and after."""

    def test_estimate_is_close(self, recorded, probe_class):
        module = probe_class(lambda p: torch.optim.AdamW(p, lr=1e-3))
        module.net = nn.Sequential(nn.Linear(6, 300), nn.Tanh(), nn.Linear(300, 300), nn.Tanh(), nn.Linear(300, 2))
        run = recorded(module)
        check(run, module, rtol=0.01)
        assert not np.allclose(run["update/norm"].values, module.update_norms, rtol=1e-6)  # else it was not sampled
