"""Handwritten digits (scikit-learn, 1,797 images of 8 x 8 pixels) and a small convolutional network."""

import torch
from lightning import LightningDataModule, LightningModule
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]
ValidationBatch = tuple[Tensor, Tensor, Tensor]


class DigitsCNN(LightningModule):
    """Two 3 x 3 convolutions with batch normalisation, then one linear layer.

    Logs ``val/accuracy`` and ``val/loss``.

    Args:
        lr: Peak learning rate of AdamW; falls to 0 along a half cosine over the run.
        width: Channels of the first convolution; the second has twice as many.
        dropout: Share of the features dropped before the linear layer, in [0, 1).
    """

    def __init__(self, lr: float = 0.003, width: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.net = nn.Sequential(
            nn.Conv2d(1, width, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * width * 4, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (num_images, 10) of images (num_images, 1, 8, 8)."""
        logits: Tensor = self.net(images)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean cross-entropy of one batch, in nats."""
        images, labels = batch
        return cross_entropy(self(images), labels)

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> dict[str, Tensor]:
        """Logs the mean over the validation images, and returns the outcome of each; a slice is a digit."""
        images, labels, index = batch
        logits = self(images)
        losses, predicted = cross_entropy(logits, labels, reduction="none"), logits.argmax(dim=1)
        correct = predicted == labels
        self.log("val/loss", losses.mean(), batch_size=len(labels), sync_dist=True)
        self.log("val/accuracy", correct.float().mean(), batch_size=len(labels), prog_bar=True, sync_dist=True)
        return {"index": index, "correct": correct, "loss": losses, "prediction": predicted, "slice": labels}

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """AdamW with a cosine schedule per step."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class DigitsData(LightningDataModule):
    """The digits, split once and for all: what differs between seeds is initialisation, data order and dropout.

    Args:
        batch_size: Images per training batch.
        split_seed: Seed of the stratified split into 80 % training and 20 % validation images.
    """

    def __init__(self, batch_size: int = 64, split_seed: int = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.split_seed = split_seed

    def setup(self, stage: str) -> None:
        """Loads, scales to [0, 1] and splits."""
        digits = load_digits()
        images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
        labels = torch.tensor(digits.target)
        train, val = train_test_split(
            range(len(labels)), test_size=0.2, random_state=self.split_seed, stratify=digits.target
        )
        self.train = TensorDataset(images[train], labels[train])
        self.val = TensorDataset(images[val], labels[val], torch.arange(len(val)))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Shuffled by the run's seed."""
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """In fixed order."""
        return DataLoader(self.val, batch_size=512)
