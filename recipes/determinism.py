"""Does the same seed give the same training, bit for bit? If not: what differs first, and which flag would help?

python recipes/determinism.py                                    fifty batches of the default experiment, twice
python recipes/determinism.py experiment=char_gpt trainer.max_steps=200

Everything that can be set, and how to train your own module: conf/determinism.yaml. What the answer means:
docs/recipes.md.
"""

import contextlib
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from stabilimeter.multirun import determinism, refuse_incomplete


@hydra.main(version_base="1.3", config_path="../conf", config_name="determinism")
def main(config: DictConfig) -> None:
    """Starts the attempts, each in a process of its own, or is one of them."""
    refuse_incomplete(config)
    folder = Path(HydraConfig.get().runtime.output_dir)
    if config.attempt is None:
        sys.exit(determinism(folder, list(HydraConfig.get().overrides.task)))

    from stabilimeter.experiments.fit import fit
    from stabilimeter.experiments.seeded_generators import seeded_generators

    with seeded_generators(config.seed) if config.seed_generators else contextlib.nullcontext([]) as places:
        fit(config)
    (folder / "unseeded_generators.txt").write_text("".join(f"{place}\n" for place in places), encoding="utf-8")


if __name__ == "__main__":
    main()
