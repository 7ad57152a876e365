"""The top of the spectrum against a dense Hessian by `torch.func`, closed forms, and a run that nobody looked at."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev
from torchmetrics import MeanMetric

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.signals.hessian import hessian_max, hessian_preconditioned_max
from stabilimeter.records.run import read_run

PLAIN, PRECONDITIONED = "hessian/max_eigenvalue", "hessian/preconditioned_max_eigenvalue"


def monitor(every_n_strides=1, num_iterations=60, **kwargs):
    signals = [
        hessian_max(every_n_strides, num_iterations),
        hessian_preconditioned_max(every_n_strides, num_iterations),
    ]
    return StabilityMonitor(["default", *signals], **{"strided_every_n_steps": 1, **kwargs})


@pytest.fixture
def dense_class(probe_class):
    class Dense(probe_class):
        """Computes the whole Hessian of its loss before each step."""

        def __init__(self, make_optimizer):
            super().__init__(make_optimizer)
            self.plain, self.preconditioned = [], []

        def training_step(self, batch, batch_idx):
            self.batch = batch
            return self.loss(self.net, batch)

        def loss(self, net, batch):
            return nn.functional.cross_entropy(net(batch[0]), batch[1])

        def on_before_optimizer_step(self, optimizer):
            parameters = {name: p.detach() for name, p in self.net.named_parameters()}
            shapes = [p.shape for p in parameters.values()]
            flat = torch.cat([p.flatten() for p in parameters.values()])

            def of(vector):
                parts = vector.split([shape.numel() for shape in shapes])
                named = {name: part.view(s) for name, part, s in zip(parameters, parts, shapes, strict=True)}
                return self.loss(lambda x: functional_call(self.net, named, (x,)), self.batch)

            matrix = jacrev(jacrev(of))(flat).double()
            self.plain.append(torch.linalg.eigvalsh(matrix)[-1].item())
            state = [self.optimizers().state[p] for p in self.net.parameters()]
            if state[0]:
                t = state[0]["step"].item()
                v = torch.cat([s["exp_avg_sq"].flatten() for s in state]).double()
                p = (1 - 0.9**t) * ((v / (1 - 0.999**t)).sqrt() + 1e-8)
                similar = matrix / p[:, None]  # P^-1 H has the eigenvalues of P^-1/2 H P^-1/2
                self.preconditioned.append(torch.linalg.eigvals(similar).real.max().item())

    return Dense


def test_equals_the_dense_hessian(recorded, dense_class):
    module = dense_class(lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1))
    run = recorded(module, monitor=monitor(num_iterations=74))
    np.testing.assert_allclose(run[PLAIN].values, module.plain, rtol=1e-4)
    assert run[PRECONDITIONED].steps.tolist() == list(range(1, 12))
    np.testing.assert_allclose(run[PRECONDITIONED].values, module.preconditioned, rtol=1e-3)


class Bowl:
    """``0.5 sum(a w^2)``, one batch after the other, whatever is in it."""

    CURVATURES = (1.0, 5.0, 2.0, -30.0)
    START = (1.0, 2.0, 0.5, 0.1)


@pytest.fixture
def bowl_class(probe_class):
    class Quadratic(probe_class):
        def __init__(self, make_optimizer, scale=1.0):
            super().__init__(make_optimizer)
            self.net = nn.Identity()
            self.unused = nn.Parameter(torch.ones(3))
            self.w = nn.Parameter(torch.tensor(Bowl.START))
            self.scale = scale

        def training_step(self, batch, batch_idx):
            loss = 0.5 * self.scale * (torch.tensor(Bowl.CURVATURES) * self.w.square()).sum()
            return {"loss": loss}

    return Quadratic


def test_closed_form(recorded, bowl_class):
    run = recorded(bowl_class(lambda p: torch.optim.Adam(p, lr=1e-9)), monitor=monitor())
    np.testing.assert_allclose(run[PLAIN].values, 5.0, rtol=1e-5)
    # after equal gradients a w: v = (a w)^2, so that a / (0.1 |a w|) = 10 / |w| at the first, where a > 0
    t = np.arange(1, 12)
    np.testing.assert_array_equal(run[PRECONDITIONED].steps, t)
    np.testing.assert_allclose(run[PRECONDITIONED].values, 1 / 0.5 / (1 - 0.9**t), rtol=1e-4)


def test_other_optimizers_have_no_preconditioner(recorded, bowl_class):
    run = recorded(bowl_class(lambda p: torch.optim.SGD(p, lr=1e-9)), monitor=monitor())
    assert PRECONDITIONED not in run
    assert len(run[PLAIN].steps) == 12


def test_a_loss_without_curvature(recorded, probe_class):
    class Slope(probe_class):
        def training_step(self, batch, batch_idx):
            return sum(p.sum() for p in self.parameters())

    run = recorded(Slope(), monitor=monitor())
    np.testing.assert_array_equal(run[PLAIN].values, 0.0)


@pytest.mark.filterwarnings("ignore:StabilityMonitor")
def test_a_run_that_has_diverged_goes_on(recorded, bowl_class):
    run = recorded(bowl_class(lambda p: torch.optim.SGD(p, lr=0.1), scale=np.inf), monitor=monitor())
    assert len(run[PLAIN].steps) == 12
    assert not np.isfinite(run[PLAIN].values).any()


def test_schedule(recorded, bowl_class):
    signals = monitor(every_n_strides=3, strided_every_n_steps=2)
    run = recorded(bowl_class(lambda p: torch.optim.SGD(p, lr=1e-9)), monitor=signals, max_epochs=2)
    assert run[PLAIN].steps.tolist() == [2, 8, 14, 20]  # strides 1, 4, 7 and 10


@pytest.mark.parametrize("plugin", [{}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 3}])
def test_leaves_no_trace(make_trainer, probe_class, tmp_path, plugin):
    class Everything(probe_class):
        def __init__(self):
            super().__init__(lambda p: torch.optim.Adam(p, lr=0.01))
            self.net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))
            self.mean = MeanMetric()

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = nn.functional.cross_entropy(self.net(x + 0.01 * torch.rand_like(x)), y)
            self.mean(loss)
            self.log("mean", self.mean, on_step=False, on_epoch=True)
            self.log_dict({"sum": loss.detach()}, on_step=False, on_epoch=True, reduce_fx="sum")
            return loss

    def outcome(signals):
        torch.manual_seed(5)
        module = Everything()
        own = StabilityMonitor(signals, strided_every_n_steps=1, dirpath=tmp_path)
        trainer = make_trainer(own, limit_val_batches=0, max_epochs=2, **plugin)
        trainer.fit(module)
        assert not {"training_step", "log", "log_dict"} & set(vars(module))
        metrics = {key: value.item() for key, value in trainer.callback_metrics.items()}
        return [*module.state_dict().values(), torch.get_rng_state()], metrics

    bare, bare_metrics = outcome(["default"])
    seen, seen_metrics = outcome(["default", hessian_max(1), hessian_preconditioned_max(1)])
    assert len(read_run(tmp_path)[PLAIN].steps) >= 8
    assert len(bare) == len(seen) == 10
    assert all(torch.equal(a, b) for a, b in zip(bare, seen, strict=True))
    assert bare_metrics == seen_metrics


def test_attention(recorded, probe_class):
    class Attends(probe_class):
        def __init__(self):
            super().__init__()
            self.net = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)

        def training_step(self, batch, batch_idx):
            return self.net(batch[0].unsqueeze(0)).square().mean()

    assert (recorded(Attends(), monitor=monitor(5, 5))[PLAIN].values > 0).all()


class TestRefusals:
    def test_manual_optimization(self, recorded, probe_class):
        class Manual(probe_class):
            automatic_optimization = False

        with pytest.raises(ValueError, match="manual optimization"):
            recorded(Manual(), monitor=monitor())

    def test_half_precision_weights(self, recorded, probe_class):
        with pytest.raises(ValueError, match="not float32 or float64"):
            recorded(probe_class(), monitor=monitor(), precision="bf16-true")

    def test_operations_without_a_second_derivative(self, recorded, probe_class):
        class Once(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.clone()

            @staticmethod
            @torch.autograd.function.once_differentiable
            def backward(ctx, gradient):
                return gradient.clone()

        class Custom(probe_class):
            def training_step(self, batch, batch_idx):
                return Once.apply(self.net(batch[0])).square().mean()

        with pytest.raises(RuntimeError, match=r"has no second derivative.* Leave them out"):
            recorded(Custom(), monitor=monitor())

    @pytest.mark.parametrize("argument", ["every_n_strides", "num_iterations"])
    def test_arguments(self, argument):
        with pytest.raises(ValueError, match=f"{argument} must be at least 1, got 0"):
            hessian_max(**{argument: 0})

    def test_whoever_was_attached_before_a_refusal_is_taken_off(self, make_trainer, probe_class):
        trainer = make_trainer(StabilityMonitor(["data_wait", "loss_spread", "hessian"]), precision="bf16-true")
        module = probe_class()
        with pytest.raises(ValueError, match="not float32"):
            trainer.fit(module)
        assert not {"start", "stop"} & set(vars(trainer.profiler))
        assert "training_step" not in vars(module)
