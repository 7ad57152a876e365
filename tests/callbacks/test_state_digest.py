import random

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter.analysis.determinism import parting
from stabilimeter.callbacks.state_digest import StateDigest, digest
from stabilimeter.records.digests import BEFORE, Kind, read_digests

MASK = 2**64 - 1


def reference(words):
    """The digest in whole numbers, without PyTorch; shifts to the right keep the sign, as those of int64 do."""

    def signed(x):
        x &= MASK
        return x - 2**64 if x >> 63 else x

    total = len(words)
    for place, word in enumerate(words, start=1):
        mixed = signed((word ^ signed(word << 32)) + place * 0x1E3779B97F4A7C15)
        mixed = signed((mixed ^ (mixed >> 30)) * 0x3F58476D1CE4E5B9)
        total += mixed ^ (mixed >> 27)
    return signed(total)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.float16])
def test_digest_is_what_it_says(kind):
    values = (100 * np.random.default_rng(0).normal(size=(3, 5))).astype(kind)
    words = values.view({2: np.int16, 4: np.int32, 8: np.int64}[values.itemsize]).reshape(-1).tolist()
    assert int(digest(torch.from_numpy(values))) == reference(words)


def test_digest_sees_a_single_bit_order_and_sign_and_not_the_layout():
    base = torch.arange(1.0, 13.0).reshape(3, 4)
    changed = base.clone()
    changed[1, 2] = float(np.nextafter(np.float32(changed[1, 2]), np.float32(9e9)))
    others = [changed, base.flip(0), -base, base.double(), torch.cat([base, torch.zeros(1, 4)])]
    assert len({int(digest(other)) for other in (base, *others)}) == 6
    assert digest(base) == digest(base.t().contiguous().t())
    assert digest(torch.tensor([0.0])) != digest(torch.tensor([-0.0]))
    for other in (torch.tensor([True, False]), torch.tensor([1 + 2j]), torch.tensor([1.0]).bfloat16(), torch.empty(0)):
        assert digest(other) == digest(other.clone())


class Planted(LightningModule):
    """With ``fault`` one thing happens in batch 3 that no seed governs."""

    def __init__(self, fault=None):
        super().__init__()
        self.fault = fault
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
        if fault == "init":
            torch.nn.init.constant_(self.net[2].bias, np.random.default_rng().normal())

    def _strikes(self, fault):
        return self.fault == fault and self.global_step == 3

    def training_step(self, batch, batch_idx):
        (x,) = batch
        loss = self.net(torch.nn.functional.dropout(x, 0.5)).square().mean()
        return loss + np.random.default_rng().random() if self._strikes("loss") else loss

    def on_after_backward(self):
        if self._strikes("gradient"):
            self.net[0].weight.grad += np.random.default_rng().random()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        if self.fault == "draws" and self.global_step == 3:
            torch.rand(int(np.random.default_rng().integers(1, 10**6)))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(folder, fault=None, digests=True):
    seed_everything(3, verbose=False)
    module = Planted(fault)
    data = TensorDataset(torch.arange(32.0).reshape(16, 2))
    trainer = Trainer(
        max_steps=6,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[StateDigest(folder)] if digests else [],
    )
    trainer.fit(module, DataLoader(data, batch_size=4, shuffle=True))
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("fault", "batch", "name"),
    [
        ("init", BEFORE, "weight net.2.bias"),
        ("loss", 3, "loss"),
        ("gradient", 3, "gradient net.0.weight"),
        ("draws", 3, "random state torch"),
    ],
)
def test_the_first_thing_that_differs_is_found(tmp_path, fault, batch, name):
    for run in ("a", "b"):
        train(tmp_path / run, fault)
    found = parting(read_digests(tmp_path / "a"), read_digests(tmp_path / "b"))
    assert (found.batch, found.name) == (batch, name)
    assert found.n_same == max(0, batch)


@pytest.mark.filterwarnings("ignore")
def test_a_training_that_its_seed_governs_is_the_same(tmp_path):
    for run in ("a", "b"):
        train(tmp_path / run)
    first = read_digests(tmp_path / "a")
    assert parting(first, read_digests(tmp_path / "b")) is None
    assert [line.batch for line in first] == [-1, 0, 1, 2, 3, 4, 5]
    kinds = [name.split(" ")[0] for name in first[2].digests]
    assert list(dict.fromkeys(kinds)) == ["random", "batch", "loss", "gradient", "weight", "buffer"]
    assert next(name for name in first[2].digests if name.startswith(Kind.GRADIENT.value)) == "gradient net.2.bias"


@pytest.mark.filterwarnings("ignore")
def test_looking_changes_nothing(tmp_path):
    states = []
    for digests in (True, False):
        weights = [p.detach() for p in train(tmp_path, digests=digests).parameters()]
        states.append((weights, torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()))  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(states[0][0], states[1][0], strict=True))
    assert torch.equal(states[0][1], states[1][1])
    assert states[0][2:] == states[1][2:]
