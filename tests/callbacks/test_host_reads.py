"""Between two flushes nothing is read back from the device; at a flush, one copy, however much was measured."""

import collections
import contextlib

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.callbacks.monitor import StabilityMonitor

FLUSH_EVERY = 5
DEVICES = ["cpu", "gpu"] if torch.cuda.is_available() else ["cpu"]
_READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero", "aten::item"}
_METHODS = {"tolist", "cpu", "numpy", "__repr__", "__array__", "item", "__bool__", "__float__", "__int__"}


class CountOps(TorchDispatchMode):
    """Counts kernels that hand a value to the host."""

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split(".")[0]
        if name in _READS:
            self.reads[name] += 1
        return func(*args, **(kwargs or {}))


class CountMethods(TorchFunctionMode):
    """Counts copies to the host, which are no kernel on a CPU but would be one on a GPU."""

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in _METHODS:
            self.reads[name] += 1
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def counting(reads, *, may_wait=True):
    """Both counters; where there is a GPU, an error at whatever waits for it, unless that is allowed."""
    if torch.cuda.is_available() and not may_wait:
        torch.cuda.set_sync_debug_mode("error")
    try:
        with CountOps(reads), CountMethods(reads):
            yield
    finally:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")


class Counted(Callback):
    """Runs the hooks of another callback under both counters, batch by batch."""

    def __init__(self, inner):
        self.inner = inner
        self.reads = collections.Counter()
        self.per_batch = []

    def state_dict(self):
        return {}

    def setup(self, *args, **kwargs):
        self.inner.setup(*args, **kwargs)

    def on_train_start(self, *args):
        self.inner.on_train_start(*args)

    def on_before_optimizer_step(self, *args):
        with counting(self.reads, may_wait=False):
            if self.inner.on_before_optimizer_step is not None:  # clipping brings the gradients
                self.inner.on_before_optimizer_step(*args)

    def on_train_batch_end(self, *args):
        with counting(self.reads, may_wait=(len(self.per_batch) + 1) % FLUSH_EVERY == 0):
            self.inner.on_train_batch_end(*args)
        self.per_batch.append(sum(self.reads.values()))
        self.reads.clear()

    def on_train_end(self, *args):
        self.inner.on_train_end(*args)

    def on_fit_end(self, *args):
        self.inner.on_fit_end(*args)


class CountedSteps(Counted):
    """Also the part that runs inside the optimizer's own hook and inside clipping."""

    def on_train_start(self, trainer, module):
        super().on_train_start(trainer, module)
        for track in self.inner._instruments._tracks.values():
            for name in ("after_step", "around_clipping"):
                setattr(track, name, self.counted(getattr(track, name)))

    def counted(self, function):
        def call(*args):
            with counting(self.reads, may_wait=False):
                return function(*args)

        return call


class Reader(StabilityMonitor):
    """The positive control: looks at the loss once."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        float(outputs["loss"])
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


def reads_per_batch(make_trainer, probe_class, monitor, num_tensors, make_optimizer=None, **kwargs):
    module = probe_class(make_optimizer)
    module.net = nn.Sequential(
        nn.Linear(6, 8), *[nn.Linear(8, 8, bias=False) for _ in range(num_tensors - 4)], nn.Linear(8, 2)
    )
    counted = CountedSteps(monitor)
    make_trainer(counted, limit_val_batches=0, **kwargs).fit(module)
    return counted.per_batch


@pytest.mark.parametrize(
    "clipping", [{}, {"gradient_clip_val": 0.1}, {"gradient_clip_val": 0.1, "gradient_clip_algorithm": "value"}]
)
@pytest.mark.parametrize("num_tensors", [10, 1000])
@pytest.mark.parametrize("device", DEVICES)
def test_no_read_off_the_flush_and_few_at_it(make_trainer, probe_class, num_tensors, clipping, device):
    monitor = StabilityMonitor(flush_every_n_steps=FLUSH_EVERY, strided_every_n_steps=2)
    reads = reads_per_batch(make_trainer, probe_class, monitor, num_tensors, accelerator=device, **clipping)
    flushes = {4, 9}
    assert [count for batch, count in enumerate(reads) if batch not in flushes] == [0] * 10
    assert all(0 < reads[batch] <= 2 for batch in flushes)  # one copy: .cpu() and .numpy() of the same tensor


def test_no_read_by_what_looks_into_training_step(make_trainer, probe_class):
    reads = collections.Counter()

    class Counting(probe_class):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), nn.Linear(6, 2))

        def training_step(self, batch, batch_idx):
            x, y = batch
            with CountOps(reads), CountMethods(reads):
                return nn.functional.cross_entropy(self.net(x.unsqueeze(1)).squeeze(1), y)

    monitor = StabilityMonitor(["activations", "attention_logits", "loss_spread"], strided_every_n_steps=1)
    make_trainer(monitor, limit_val_batches=0).fit(Counting())
    assert not reads


@pytest.mark.parametrize("num_tensors", [6, 100])
def test_no_read_either_with_other_signals(make_trainer, probe_class, num_tensors):
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    signals = [name for name in CATALOGUE if not name.startswith("hessian")]  # these read, and say so
    monitor = StabilityMonitor(signals, flush_every_n_steps=5, strided_every_n_steps=2)
    reads = reads_per_batch(
        make_trainer,
        probe_class,
        monitor,
        num_tensors,
        make_optimizer=torch.optim.AdamW,
        accumulate_grad_batches=2,
        max_epochs=2,
        plugins=MixedPrecision("16-mixed", "cpu", scaler=scaler),
    )
    flushes = {9, 19}
    assert [count for batch, count in enumerate(reads) if batch not in flushes] == [0] * 22
    assert all(0 < reads[batch] <= 2 for batch in flushes)


def test_the_counters_see_a_read(make_trainer, probe_class):
    reads = reads_per_batch(make_trainer, probe_class, Reader(), 1)
    assert all(count >= 1 for count in reads)


def test_the_counters_see_each_kind_of_read():
    reads = collections.Counter()
    tensor = torch.arange(3.0)
    with CountOps(reads), CountMethods(reads):
        for read in (lambda: tensor[0].item(), lambda: float(tensor[1]), tensor.tolist, tensor.cpu, tensor.numpy):
            before = sum(reads.values())
            read()
            assert sum(reads.values()) > before
