"""Every experiment says which metric decides about its checkpoints, and returns the outcome of each example."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import stabilimeter.multirun  # noqa: F401  (the resolvers of the configs)
from stabilimeter import CheckpointRegression
from stabilimeter.callbacks.checkpoints.outcome_collector import OutcomeCollector

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("experiment", "monitor", "mode", "outcomes"),
    [
        ("digits_cnn", "val/accuracy", "max", {"correct", "loss", "prediction"}),
        ("tabular_mlp", "val/accuracy", "max", {"correct", "loss", "prediction"}),
        ("char_gpt", "val/loss", "min", {"loss"}),
    ],
)
def test_an_experiment_can_be_judged(experiment, monitor, mode, outcomes):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("seed_sweep", [f"experiment={experiment}", "seed=0", "+checkpoints=judged"])
    made = instantiate(config.callbacks.checkpoint_regression)
    assert made.state_key == CheckpointRegression(monitor, mode).state_key
    assert (config.callbacks.checkpoint.monitor, config.callbacks.checkpoint.mode) == (monitor, mode)

    module, data = instantiate(config.model), instantiate(config.datamodule)
    data.setup("fit")
    module.log = lambda *args, **kwargs: None
    module.eval()
    collector = OutcomeCollector()
    with torch.no_grad():
        for number, batch in enumerate(data.val_dataloader()):
            collector.add(module.validation_step(batch, number), 0)
    found = collector.take(world_size=1)
    assert set(found.values) == outcomes
    assert found.keys.tolist() == list(range(len(data.val)))
