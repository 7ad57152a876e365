"""Is a change better? Baseline and candidate with the same seeds, pair by pair, until the answer is clear.

python recipes/compare.py --multirun 'candidate={model.lr:0.01}'
python recipes/compare.py --multirun 'baseline={model.lr:0.003}' 'candidate={model.lr:0.01}' pairs=20

Everything that can be set, and how to train your own module: conf/compare.yaml. What the answer means: docs/recipes.md.
"""

import hydra
from omegaconf import DictConfig

from stabilimeter.multirun import claim, refuse_incomplete


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
def main(config: DictConfig) -> None:
    """Trains one seed of one side; Hydra calls this once per job."""
    refuse_incomplete(config)
    if claim(config.seed):
        from stabilimeter.experiments.fit import fit  # here, because Lightning takes seconds: mistakes are told at once

        fit(config)


if __name__ == "__main__":
    main()
