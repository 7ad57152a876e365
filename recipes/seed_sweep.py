"""Train one recipe with several seeds, and say how stable it is.

python recipes/seed_sweep.py --multirun                                     five seeds of the default experiment
python recipes/seed_sweep.py --multirun 'seed=range(0,10)' experiment=char_gpt trainer.max_steps=500 model.lr=0.01,0.1

Everything that can be set, and how to train your own module: conf/seed_sweep.yaml.
"""

import logging
import sys
import warnings

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from stabilimeter.multirun import claim


@hydra.main(version_base="1.3", config_path="../conf", config_name="seed_sweep")
def main(config: DictConfig) -> None:
    """Trains one seed; Hydra calls this once per job."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        sys.exit(f"nothing to train: give a value to {', '.join(missing)}; conf/experiment/own.yaml shows how")
    if not claim(config.seed):
        return

    from lightning import seed_everything  # here, because it takes seconds: mistakes above are answered at once

    logging.getLogger("lightning").handlers.clear()  # it has the run's log file already
    warnings.formatwarning = lambda message, *_: f"{message}\n"  # a line each, without its place in the code
    # Data in memory needs no workers; the other comes from Lightning's use of PyTorch.
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")

    seed_everything(config.seed, workers=True)
    model = instantiate(config.model)
    datamodule = instantiate(config.datamodule)
    callbacks = [instantiate(callback) for callback in config.callbacks.values()]
    trainer = instantiate(config.trainer, callbacks=callbacks)
    trainer.fit(model, datamodule=datamodule)


if __name__ == "__main__":
    main()
