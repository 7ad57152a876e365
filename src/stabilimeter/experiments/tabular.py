"""Breast cancer (scikit-learn, 569 patients, 30 measurements of cell nuclei) and a small perceptron."""

import torch
from lightning import LightningDataModule, LightningModule
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]
ValidationBatch = tuple[Tensor, Tensor, Tensor]


class TabularMLP(LightningModule):
    """Two hidden layers with dropout. Logs ``val/accuracy`` and ``val/loss``.

    Args:
        lr: Learning rate of AdamW.
        width: Features of each hidden layer.
        dropout: Share of the hidden features dropped, in [0, 1).
    """

    def __init__(self, lr: float = 0.001, width: int = 64, dropout: float = 0.2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.net = nn.Sequential(
            nn.Linear(30, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits (num_patients,) of the tumour being benign, from features (num_patients, 30)."""
        logits: Tensor = self.net(features).squeeze(1)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean cross-entropy of one batch, in nats."""
        features, benign = batch
        return binary_cross_entropy_with_logits(self(features), benign)

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> dict[str, Tensor]:
        """Logs the mean over the validation patients, and returns the outcome of each; a slice is a diagnosis."""
        features, benign, index = batch
        logits = self(features)
        losses = binary_cross_entropy_with_logits(logits, benign, reduction="none")
        predicted, diagnosis = (logits > 0).int(), benign.int()
        correct = predicted == diagnosis
        self.log("val/loss", losses.mean(), batch_size=len(benign), sync_dist=True)
        self.log("val/accuracy", correct.float().mean(), batch_size=len(benign), prog_bar=True, sync_dist=True)
        return {"index": index, "correct": correct, "loss": losses, "prediction": predicted, "slice": diagnosis}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW at a constant learning rate."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class BreastCancerData(LightningDataModule):
    """The patients, split once and for all; features standardised by the training patients.

    Args:
        batch_size: Patients per training batch.
        split_seed: Seed of the stratified split into 75 % training and 25 % validation patients.
    """

    def __init__(self, batch_size: int = 32, split_seed: int = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.split_seed = split_seed

    def setup(self, stage: str) -> None:
        """Loads, splits and standardises."""
        data = load_breast_cancer()
        train, val = train_test_split(
            range(len(data.target)), test_size=0.25, random_state=self.split_seed, stratify=data.target
        )
        mean, sd = data.data[train].mean(axis=0), data.data[train].std(axis=0)
        features = torch.tensor((data.data - mean) / sd, dtype=torch.float32)
        benign = torch.tensor(data.target, dtype=torch.float32)
        self.train = TensorDataset(features[train], benign[train])
        self.val = TensorDataset(features[val], benign[val], torch.arange(len(val)))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Shuffled by the run's seed."""
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """In fixed order."""
        return DataLoader(self.val, batch_size=512)
