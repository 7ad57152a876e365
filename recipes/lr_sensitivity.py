"""How much does the learning rate matter, and where do seeds begin to fail?

python recipes/lr_sensitivity.py --multirun experiment=char_gpt                 nine learning rates x three seeds
python recipes/lr_sensitivity.py --multirun 'seed=range(0,5)' lr=0.001,0.01,0.1

Everything that can be set, and how to train your own module: conf/lr_sensitivity.yaml. What the answer means:
docs/recipes.md.
"""

import hydra
from omegaconf import DictConfig

from stabilimeter.multirun import claim, refuse_incomplete


@hydra.main(version_base="1.3", config_path="../conf", config_name="lr_sensitivity")
def main(config: DictConfig) -> None:
    """Trains one seed at one learning rate; Hydra calls this once per job."""
    refuse_incomplete(config)
    if claim(config.seed):
        from stabilimeter.experiments.fit import fit  # here, because Lightning takes seconds: mistakes are told at once

        fit(config)


if __name__ == "__main__":
    main()
