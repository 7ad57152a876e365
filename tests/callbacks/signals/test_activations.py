"""Statistics of activations against SciPy and NumPy, on outputs that the test catches itself."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch._dynamo.utils import counters
from torchmetrics import MeanMetric

from stabilimeter.callbacks.capture.watched_modules import feature_dimension, watched_modules
from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.signals.activations import _sampled_rows, mean_kurtosis

SCALARS = ("activation/rms_max", "activation/kurtosis_max", "activation/dead_fraction_max")
VECTORS = ("activation/module_rms", "activation/module_kurtosis", "activation/module_dead_fraction")


def monitor(stride=1, **kwargs):
    return StabilityMonitor(["default", "activations"], strided_every_n_steps=stride, **kwargs)


def test_kurtosis_is_that_of_scipy():
    rows = torch.from_numpy(np.random.default_rng(0).standard_t(4, size=(50, 30)))
    expected = stats.kurtosis(rows.numpy(), axis=1, fisher=False).mean()
    assert mean_kurtosis(rows).item() == pytest.approx(expected, rel=1e-10)
    assert mean_kurtosis(1e6 * rows.float() + 3).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7e8])
def test_constant_rows_are_left_out(constant):
    rows = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
    with_constant = torch.cat([rows, torch.full((3, 16), constant)])
    assert mean_kurtosis(with_constant).item() == pytest.approx(mean_kurtosis(rows).item(), rel=1e-6)
    assert torch.isnan(mean_kurtosis(torch.full((3, 16), constant)))
    assert torch.isnan(mean_kurtosis(torch.randn(5, 1)))


class Net(nn.Module):
    """A convolution, a branch that is not called, a ReLU with dead channels, and a head."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 5, 2)
        self.body = nn.Sequential(nn.ReLU(), nn.Dropout(0.1), nn.Flatten())
        self.idle = nn.Linear(2, 2)
        self.head = nn.Linear(10, 2)
        with torch.no_grad():
            self.conv.bias[:2] = -100.0

    def forward(self, x):
        return self.head(self.body(self.conv(x.view(-1, 1, 2, 3))))


@pytest.fixture
def seen_class(probe_class):
    class Seen(probe_class):
        def __init__(self, net=None):
            super().__init__()
            self.net = net or Net()
            self.mean = MeanMetric()
            self.outputs = []

        def training_step(self, batch, batch_idx):
            x, y = batch
            twin = copy.deepcopy(self.net)
            caught = {}
            for name, module in twin.named_modules():
                module.register_forward_hook(lambda m, i, o, name=name: caught.__setitem__(name, o.detach()))
            with torch.random.fork_rng():
                twin(x)
            self.outputs.append(caught)
            return nn.functional.cross_entropy(self.net(x), y)

    return Seen


def statistics(outputs, feature_axis):
    """Of one module: outputs of several micro-batches."""
    rows = [np.moveaxis(o.numpy().astype(float), feature_axis, -1) for o in outputs]
    rows = [r.reshape(-1, r.shape[-1]) for r in rows]
    rms = np.sqrt(np.mean(np.concatenate(rows) ** 2))
    kurtosis = np.mean([np.nanmean(stats.kurtosis(r[r.std(axis=1) > 0], axis=1, fisher=False)) for r in rows])
    return rms, kurtosis, np.mean((np.concatenate(rows) == 0).all(axis=0))


@pytest.mark.parametrize("parts", [1, 3])
def test_statistics_of_each_module(recorded, seen_class, parts):
    module = seen_class()
    run = recorded(module, monitor=monitor(stride=2), accumulate_grad_batches=parts)
    names = ("net", "net.conv", "net.body.0", "net.idle", "net.head")
    axes = {"": 1, "conv": 1, "body.0": 1, "head": 1}
    at = list(range(0, 12 // parts, 2))
    expected = np.full((3, len(at), len(names)), np.nan)
    for row, step in enumerate(at):
        batches = module.outputs[step * parts : (step + 1) * parts]
        for column, name in enumerate(names):
            short = name.removeprefix("net").removeprefix(".")
            if short in axes:
                expected[:, row, column] = statistics([caught[short] for caught in batches], axes[short])
    for key, values in zip(VECTORS, expected, strict=True):
        steps, vectors, of = run.vectors(key)
        assert (steps.tolist(), of) == (at, names)
        np.testing.assert_allclose(vectors, values, rtol=1e-4, atol=1e-6, err_msg=key)
    for key, values in zip(SCALARS, expected, strict=True):
        np.testing.assert_allclose(run[key].values, np.nanmax(values, axis=1), rtol=1e-4, err_msg=key)
    assert run["activation/dead_fraction_max"].values[0] == pytest.approx(0.4)


@pytest.mark.parametrize(("shape", "dimension"), [((20_000, 7), -1), ((300, 40, 7), -1), ((64, 7, 20, 30), 1)])
def test_rows_of_large_outputs_are_sampled(shape, dimension):
    output = torch.arange(float(np.prod(shape))).view(shape)
    rows = _sampled_rows(output, dimension)
    assert 2000 <= len(rows) <= 4096
    every = output.movedim(dimension, -1).reshape(-1, 7)
    assert (torch.isin(rows[:, 0], every[:, 0])).all()
    assert rows[:, 0].diff().gt(0).all()
    assert rows[-1, 0] > 0.95 * every[-1, 0]


def test_hooks_are_there_only_while_they_are_needed(recorded, probe_class):
    class Counting(probe_class):
        def __init__(self):
            super().__init__()
            self.hooked = []

        def training_step(self, batch, batch_idx):
            self.hooked.append(sum(len(m._forward_hooks) for m in self.modules()))
            return super().training_step(batch, batch_idx)

        def on_train_batch_end(self, *_):
            self.hooked[-1] += 100 * sum(len(m._forward_hooks) for m in self.modules())

    module = Counting()
    recorded(module, monitor=monitor(stride=4), limit_val_batches=2, val_check_interval=3)
    assert module.hooked == [3, 0, 0, 0] * 3
    assert "training_step" not in vars(module)


def test_outputs_that_are_not_one_tensor(recorded, probe_class):
    class Pair(nn.Module):
        def forward(self, x):
            return x * 2, {"rest": x}

    class Words(nn.Module):
        def forward(self, x):
            return "words"

    class Module(probe_class):
        def __init__(self):
            super().__init__()
            self.pair, self.words = Pair(), Words()

        def training_step(self, batch, batch_idx):
            self.words(batch[0])
            return super().training_step((self.pair(batch[0])[0], batch[1]), batch_idx)

    _, vectors, names = recorded(Module(), monitor=monitor()).vectors("activation/module_rms")
    found = dict(zip(names, vectors[0], strict=True))
    assert found["pair"] > 0
    assert np.isnan(found["words"])


@pytest.mark.filterwarnings("ignore:StabilityMonitor")
def test_a_network_that_has_blown_up(recorded, probe_class):
    module = probe_class()
    with torch.no_grad():
        module.net[0].weight.fill_(np.inf)
    run = recorded(module, monitor=monitor())
    assert not np.isfinite(run["activation/rms_max"].values).any()


@pytest.mark.parametrize("how", ["wrapper", "method", "function"])
def test_compiled_code_stays_in_one_piece(recorded, probe_class, how):
    """No hook within it, no graph break, no compilation at each stride; a wrapper is seen from outside."""

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 2)

        def forward(self, x):
            return self.linear(x)

    class Compiled(probe_class):
        def __init__(self):
            super().__init__()
            self.net = Body()
            if how == "wrapper":
                self.net = torch.compile(self.net, backend="eager", fullgraph=True)
            elif how == "method":
                self.net.compile(backend="eager", fullgraph=True)
            else:
                self.call = torch.compile(lambda x: self.net(x), backend="eager", fullgraph=True)
            self.head = nn.Linear(2, 2)

        def training_step(self, batch, batch_idx):
            x, y = batch
            out = self.call(x) if how == "function" else self.net(x)
            return nn.functional.cross_entropy(self.head(out), y)

    torch._dynamo.reset()
    counters.clear()
    _, vectors, names = recorded(Compiled(), monitor=monitor(stride=2)).vectors("activation/module_rms")
    seen = [name for name, value in zip(names, vectors[-1], strict=True) if not np.isnan(value)]
    assert seen == (["net", "head"] if how == "wrapper" else ["head"])
    assert counters["stats"]["unique_graphs"] <= 2
    assert not counters["graph_break"]


def test_what_is_watched(probe_class):
    module = probe_class()
    module.net = nn.Sequential(
        nn.Linear(6, 8), nn.Dropout(), nn.Identity(), nn.utils.parametrizations.weight_norm(nn.Linear(8, 2))
    )
    module.metric = MeanMetric()
    module.loss = nn.MSELoss()
    assert list(watched_modules(module)) == ["net.0", "net.3", "loss"]
    assert [feature_dimension(nn.Conv1d(1, 1, 1), n) for n in (2, 3)] == [1, 1]
    assert [feature_dimension(nn.GELU(), n) for n in (2, 3, 4, 5)] == [-1, -1, 1, 1]
    assert feature_dimension(nn.LayerNorm(3), 4) == -1
