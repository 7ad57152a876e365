import pytest
import torch
from lightning import Trainer, seed_everything

from stabilimeter.experiments.digits import DigitsCNN, DigitsData

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


def trained(seed: int, steps: int) -> tuple[DigitsCNN, Trainer]:
    seed_everything(seed, verbose=False)
    model = DigitsCNN()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        val_check_interval=steps,
        check_val_every_n_epoch=None,
        log_every_n_steps=10,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DigitsData())
    return model, trainer


def test_split_is_stratified_complete_and_the_same_for_every_seed():
    seed_everything(1, verbose=False)
    first = DigitsData()
    first.setup("fit")
    seed_everything(2, verbose=False)
    second = DigitsData()
    second.setup("fit")

    images, labels = first.train.tensors
    val_images, val_labels, _ = first.val.tensors
    assert (len(images), len(val_images)) == (1437, 360)
    assert (float(images.min()), float(images.max())) == (0, 1)
    shares = torch.bincount(val_labels, minlength=10) / (torch.bincount(labels) + torch.bincount(val_labels))
    assert torch.allclose(shares, torch.full((10,), 0.2), atol=0.005)
    assert torch.equal(first.val.tensors[0], second.val.tensors[0])
    other = DigitsData(split_seed=1)
    other.setup("fit")
    assert not torch.equal(first.val.tensors[0], other.val.tensors[0])


def test_the_seed_decides_the_order_of_the_data():
    data = DigitsData()
    data.setup("fit")

    def first_labels(seed: int) -> torch.Tensor:
        seed_everything(seed, verbose=False)
        return next(iter(data.train_dataloader()))[1]

    assert torch.equal(first_labels(0), first_labels(0))
    assert not torch.equal(first_labels(0), first_labels(1))


def test_learns_the_digits_and_repeats_itself_exactly():
    model, trainer = trained(seed=0, steps=200)
    accuracy = float(trainer.callback_metrics["val/accuracy"])
    assert accuracy > 0.97
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)  # end of the half cosine

    model.eval()
    images, labels, _ = trainer.datamodule.val.tensors
    assert float((model(images).argmax(dim=1) == labels).float().mean()) == pytest.approx(accuracy)

    again, _ = trained(seed=0, steps=200)
    other, _ = trained(seed=1, steps=200)
    weights, same, different = (m.net[-1].weight for m in (model, again, other))
    assert torch.equal(weights, same)
    assert not torch.equal(weights, different)
