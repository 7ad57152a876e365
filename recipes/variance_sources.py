"""Where does the spread between seeds come from: initial weights, order of the data, noise, or the split?

python recipes/variance_sources.py --multirun experiment=char_gpt               eight seeds, five runs each
python recipes/variance_sources.py --multirun 'seed=range(0,20)'

Everything that can be set, and how to train your own module: conf/variance_sources.yaml. What the answer means:
docs/recipes.md.
"""

import hydra
from omegaconf import DictConfig

from stabilimeter.multirun import claim, refuse_incomplete


@hydra.main(version_base="1.3", config_path="../conf", config_name="variance_sources")
def main(config: DictConfig) -> None:
    """Trains one seed, with one of the sources varied; Hydra calls this once per job."""
    refuse_incomplete(config)
    if claim(config.seed):
        from stabilimeter.experiments.fit import fit  # here, because Lightning takes seconds: mistakes are told at once

        fit(config)


if __name__ == "__main__":
    main()
