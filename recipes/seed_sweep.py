"""Train one recipe with several seeds, and say how stable it is.

python recipes/seed_sweep.py --multirun                                     five seeds of the default experiment
python recipes/seed_sweep.py --multirun 'seed=range(0,10)' experiment=char_gpt trainer.max_steps=500 model.lr=0.01,0.1

Everything that can be set, and how to train your own module: conf/seed_sweep.yaml.
"""

import hydra
from omegaconf import DictConfig

from stabilimeter.multirun import claim, refuse_incomplete


@hydra.main(version_base="1.3", config_path="../conf", config_name="seed_sweep")
def main(config: DictConfig) -> None:
    """Trains one seed; Hydra calls this once per job."""
    refuse_incomplete(config)
    if claim(config.seed):
        from stabilimeter.experiments.fit import fit  # here, because Lightning takes seconds: mistakes are told at once

        fit(config)


if __name__ == "__main__":
    main()
