import pytest
import torch
from lightning import Trainer, seed_everything

from stabilimeter.experiments.tabular import BreastCancerData, TabularMLP

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


def test_only_training_patients_set_the_scale():
    data = BreastCancerData()
    data.setup("fit")
    features, benign = data.train.tensors
    val_features, val_benign, _ = data.val.tensors
    assert (features.shape, val_features.shape) == ((426, 30), (143, 30))
    assert torch.allclose(features.mean(dim=0), torch.zeros(30), atol=1e-5)
    assert torch.allclose(features.std(dim=0, correction=0), torch.ones(30), atol=1e-5)
    assert not torch.allclose(val_features.mean(dim=0), torch.zeros(30), atol=1e-2)
    assert float(benign.mean()) == pytest.approx(357 / 569, abs=0.005)
    assert float(val_benign.mean()) == pytest.approx(357 / 569, abs=0.005)


def test_learns_to_tell_tumours_apart():
    seed_everything(0, verbose=False)
    trainer = Trainer(
        accelerator="cpu",
        max_steps=200,
        max_epochs=-1,
        val_check_interval=200,
        check_val_every_n_epoch=None,
        log_every_n_steps=10,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model, data = TabularMLP(), BreastCancerData()
    trainer.fit(model, data)
    accuracy = float(trainer.callback_metrics["val/accuracy"])
    assert accuracy > 0.93  # always answering "benign" gives 0.63
    features, benign, _ = data.val.tensors
    assert float(((model.eval()(features) > 0) == benign.bool()).float().mean()) == pytest.approx(accuracy)
