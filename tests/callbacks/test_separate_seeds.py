"""Each seed changes its own source of chance, and nothing else."""

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from torch.utils.data import DataLoader, Sampler, TensorDataset, WeightedRandomSampler, random_split

from stabilimeter.callbacks.separate_seeds import SeparateSeeds

SOURCES = ("init", "order", "noise", "split")


class Chancy(LightningModule):
    """Weights in ``__init__`` and in ``configure_model``; noise from PyTorch and NumPy; keeps what it sees."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(1, 2)
        self.seen = {"init": [], "order": [], "noise": [], "split": []}

    def configure_model(self):
        self.second = torch.nn.Linear(2, 1)

    def on_train_start(self):
        self.seen["init"] = [p.detach().clone() for p in self.parameters()]
        self.seen["split"] = sorted(float(x) for (x,) in self.trainer.datamodule.train)

    def training_step(self, batch, batch_idx):
        (x,) = batch
        self.seen["order"].append(x.flatten().tolist())
        self.seen["noise"].append((torch.rand(3).tolist(), float(np.random.rand())))  # noqa: NPY002
        return self.second(self.first(x)).square().mean()

    def validation_step(self, batch, batch_idx):
        torch.rand(5)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Chance(LightningDataModule):
    """Splits by the global random state, as many do."""

    def __init__(self, sampler=None):
        super().__init__()
        self.sampler = sampler

    def setup(self, stage):
        self.train, self.val = random_split(TensorDataset(torch.arange(24.0).unsqueeze(1)), [16, 8])

    def train_dataloader(self):
        sampler = None if self.sampler is None else self.sampler(self.train)
        return DataLoader(self.train, batch_size=4, shuffle=sampler is None, sampler=sampler)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=4)


def seen(tmp_path, data=None, **changed):
    """What a run sees, by source, with seed 1 for every source but those given."""
    seeds = {**dict.fromkeys(SOURCES, 1), **changed}
    seed_everything(seeds["init"], verbose=False)
    module = Chancy()
    seed_everything(seeds["split"], verbose=False)
    data = data or Chance()
    trainer = Trainer(
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=tmp_path,
        callbacks=[SeparateSeeds(seeds["init"], seeds["order"], seeds["noise"])],
    )
    trainer.fit(module, datamodule=data)
    return module.seen


def same(first, second):
    flat = [torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(first, second, strict=True)]
    return all(flat)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("source", SOURCES)
def test_a_seed_changes_its_source_and_nothing_else(tmp_path, source):
    base, changed = seen(tmp_path), seen(tmp_path, **{source: 2})
    for other in SOURCES:
        if other == "order" and source == "split":
            continue  # other samples, in the same order of their places in random_split's own indices
        assert same(base[other], changed[other]) is (other != source), other
    assert len(base["noise"]) == 8


@pytest.mark.filterwarnings("ignore")
def test_the_order_of_an_unshuffled_split_follows_the_split_alone(tmp_path):
    """The sampler's permutation is of positions; it is the same whatever samples the split has put there."""
    first, second = Chance(), Chance()
    one, two = seen(tmp_path, first), seen(tmp_path, second, split=2)
    places = [
        [data.train.indices.index(int(x)) for batch in run["order"] for x in batch]
        for data, run in ((first, one), (second, two))
    ]
    assert places[0] == places[1]
    assert places[0][:16] != places[0][16:]  # another order in the second epoch


@pytest.mark.filterwarnings("ignore")
def test_samplers_with_a_generator_are_seeded_too(tmp_path):
    def weighted(samples):
        return WeightedRandomSampler([1.0] * len(samples), num_samples=16)

    orders = [seen(tmp_path, Chance(weighted), order=order)["order"] for order in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.filterwarnings("ignore")
def test_a_second_fit_on_the_same_datamodule_has_the_seeds_of_its_own_callback(tmp_path):
    data = Chance()
    orders = [seen(tmp_path, data, order=order)["order"] for order in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


class Augmented(Chance):
    """Noise is added to the samples in a worker process."""

    def train_dataloader(self):
        def noisy(samples):
            return [torch.stack([x for (x,) in samples]) + 0.1 * torch.rand(len(samples), 1)]

        return DataLoader(self.train, batch_size=4, shuffle=True, num_workers=1, collate_fn=noisy)


@pytest.mark.filterwarnings("ignore")
def test_augmentation_in_workers_is_noise_and_not_order(tmp_path, monkeypatch):
    monkeypatch.setattr(Chancy, "on_train_start", lambda self: None)  # its record of the split would start a worker
    first, again, other = (seen(tmp_path, Augmented(), noise=noise)["order"] for noise in (1, 1, 2))
    assert first == again != other
    assert np.array_equal(np.floor(first), np.floor(other))


class Own(Sampler):
    def __init__(self, samples):
        self.n = len(samples)

    def __iter__(self):
        return iter(torch.randperm(self.n).tolist())

    def __len__(self):
        return self.n


@pytest.mark.filterwarnings("ignore")
def test_an_order_that_cannot_be_seeded_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the order of Own has no seed of its own"):
        seen(tmp_path, Chance(Own))


@pytest.mark.filterwarnings("ignore")
def test_loaders_out_of_reach_are_refused(tmp_path):
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, accelerator="cpu", callbacks=[SeparateSeeds(1, 1, 1)]
    )
    with pytest.raises(ValueError, match="needs train_dataloader"):
        trainer.fit(Chancy(), DataLoader(TensorDataset(torch.zeros(4, 1))))
