"""A seed of its own for each source of chance in a training run."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from lightning import seed_everything
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import CombinedLoader
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler


class SeparateSeeds(Callback):
    """Lets one source of chance be varied while the others stay, bit for bit, what they were.

    ======  ====================================================  ==============================================
    seed    what it decides                                       when it is applied
    ======  ====================================================  ==============================================
    init    weights made in ``setup`` and ``configure_model``     before both of them
    order   order of the training samples                         generator of the training loader's sampler
    noise   dropout, augmentation, and whatever else is random    global random state when training starts, and
            during training                                       the random states of the loader's workers
    ======  ====================================================  ==============================================

    Weights made in ``__init__`` and data split by a datamodule are there before a callback is asked: call
    ``seed_everything(init)`` before you make the module, and ``seed_everything(split)`` before you make the datamodule
    (or give the datamodule the seed of its split as an argument). The recipes do both.

    The training loader comes from ``train_dataloader`` of the datamodule or the module; its sampler has to draw from a
    ``generator``, as PyTorch's own do, or have a ``seed``. One process: between ranks Lightning draws the order itself.

    Args:
        init: Seed of the weights.
        order: Seed of the order of the data.
        noise: Seed of everything else.
    """

    def __init__(self, init: int, order: int, noise: int) -> None:
        super().__init__()
        self._init, self._order, self._noise = init, order, noise
        self._let_go: Callable[[], None] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """After the datamodule's ``setup``, before the module's: seeds the weights, takes hold of the loader.

        Raises:
            ValueError: if there are several ranks, or no hook that makes the training loader.
        """
        if stage != "fit":
            return
        if trainer.world_size > 1:
            raise ValueError(f"SeparateSeeds works in one process, got {trainer.world_size}: set trainer.devices=1")
        source: Any = trainer.datamodule if trainer.datamodule is not None else pl_module  # type: ignore[attr-defined]
        if not is_overridden("train_dataloader", source):
            raise ValueError(
                "SeparateSeeds needs train_dataloader of a datamodule or of the module: loaders given to Trainer.fit "
                "are out of its reach"
            )
        # Of the instance, not the class: no hook of a callback lies between making a loader and drawing from it.
        self._let_go = partial(setattr, source, "train_dataloader", source.train_dataloader)
        source.train_dataloader = partial(self._seeded, source.train_dataloader)
        seed_everything(self._init, workers=True, verbose=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seeds what is random during training."""
        seed_everything(self._noise, workers=True, verbose=False)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lets go of the loader."""
        self._release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Lets go of the loader."""
        self._release()

    def _release(self) -> None:
        if self._let_go is not None:
            self._let_go()
            self._let_go = None

    def _seeded(self, make: Any) -> Any:
        loaders = make()
        generator = torch.Generator().manual_seed(self._order)
        workers = torch.Generator().manual_seed(self._noise)
        for loader in CombinedLoader(loaders, "max_size").flattened:
            if isinstance(loader, DataLoader):
                _seed_order(loader, generator, self._order)
                loader.generator = workers
        return loaders


def _seed_order(loader: DataLoader[Any], generator: torch.Generator, seed: int) -> None:
    """Lets a loader's sampler draw from ``generator``.

    Raises:
        ValueError: if the order may be random in a way that cannot be seeded.
    """
    found = False
    for sampler in _samplers(loader):
        if hasattr(sampler, "generator"):
            sampler.generator = generator
            found = True
        elif isinstance(getattr(sampler, "seed", None), int):
            sampler.seed = seed
            found = True
    if not found and not isinstance(loader.sampler, SequentialSampler):
        raise ValueError(
            f"the order of {type(loader.sampler).__name__} has no seed of its own: give it an attribute generator or "
            f"seed, or shuffle with PyTorch's {RandomSampler.__name__} (DataLoader(shuffle=True))"
        )


def _samplers(loader: DataLoader[Any]) -> Iterator[Any]:
    """The samplers of a loader, from the outside in."""
    yield loader.sampler
    batch_sampler: Any = loader.batch_sampler
    if batch_sampler is not None:
        yield batch_sampler
        yield getattr(batch_sampler, "sampler", None)
