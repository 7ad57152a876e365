"""One training run as its configuration says."""

import logging
import warnings

from hydra.utils import instantiate
from lightning import seed_everything
from omegaconf import DictConfig


def fit(config: DictConfig) -> None:
    """Trains ``config.model`` on ``config.datamodule`` with ``config.trainer`` and ``config.callbacks``.

    ``config.seeds.init`` is the seed when the model is made. ``config.seeds.split``, unless null, is the seed when the
    datamodule is made and when it prepares and splits the data. What separates the other sources of chance, if wanted,
    is the callback `SeparateSeeds`.
    """
    logging.getLogger("lightning").handlers.clear()  # it has the run's log file already
    warnings.formatwarning = lambda message, *_: f"{message}\n"  # a line each, without its place in the code
    # Data in memory needs no workers; the other comes from Lightning's use of PyTorch.
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")

    seed_everything(config.seeds.init, workers=True)
    model = instantiate(config.model)
    callbacks = [instantiate(callback) for callback in config.callbacks.values()]
    trainer = instantiate(config.trainer, callbacks=callbacks)
    if config.seeds.split is not None:
        seed_everything(config.seeds.split, workers=True)
    datamodule = instantiate(config.datamodule)
    trainer.fit(model, datamodule=datamodule)
