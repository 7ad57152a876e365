"""A character-level transformer on the English text of Python's own help topics (about 460,000 characters)."""

from pydoc_data.topics import topics  # type: ignore[import-untyped,unused-ignore]

import torch
from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]
ValidationBatch = tuple[Tensor, Tensor, Tensor]
ALPHABET_SIZE = 128
"""Characters are their ASCII codes; the few others (dashes, curly quotes) share code 0."""


class Block(nn.Module):
    """One pre-norm transformer block: causal attention, then a two-layer perceptron.

    Args:
        width: Features per position, divisible by ``num_heads``.
        num_heads: Attention heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Features in, features out (batch, length, width)."""
        x = x + self.attention(self.attention_norm(x))
        mixed: Tensor = x + self.mlp(self.mlp_norm(x))
        return mixed

    def attention(self, x: Tensor) -> Tensor:
        """Causal attention among the positions (batch, length, width)."""
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, width // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed: Tensor = self.attention_out(attended.transpose(1, 2).reshape(batch, length, width))
        return mixed


class CharGPT(LightningModule):
    """A small GPT over characters. Logs ``val/loss`` in nats per character.

    Args:
        lr: Learning rate of AdamW after the warm-up. 0.003 is stable; from about 0.1 on the loss spikes.
        warmup_steps: Optimizer steps of linear warm-up.
        weight_decay: Of the weight matrices; norms, biases and embeddings are not decayed.
        width: Features per position.
        depth: Number of blocks.
        num_heads: Attention heads per block.
        max_length: Longest text window the model can see, in characters.
    """

    def __init__(
        self,
        lr: float = 0.003,
        warmup_steps: int = 50,
        weight_decay: float = 0.1,
        width: int = 64,
        depth: int = 2,
        num_heads: int = 4,
        max_length: int = 64,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.warmup_steps = warmup_steps
        self.weight_decay = weight_decay
        self.characters = nn.Embedding(ALPHABET_SIZE, width)
        self.positions = nn.Embedding(max_length, width)
        self.blocks = nn.Sequential(*[Block(width, num_heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, ALPHABET_SIZE, bias=False)

    def forward(self, text: Tensor) -> Tensor:
        """Logits (batch, length, 128) of the next character, from character codes (batch, length)."""
        position = torch.arange(text.shape[1], device=text.device)
        x = self.blocks(self.characters(text) + self.positions(position))
        logits: Tensor = self.head(self.norm(x))
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean cross-entropy of one batch, in nats per character."""
        return self._loss(batch)

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> dict[str, Tensor]:
        """Logs the mean over the validation text, and returns the mean loss of each window."""
        text, following, index = batch
        losses = functional.cross_entropy(self(text).flatten(0, 1), following.flatten(), reduction="none")
        losses = losses.view(following.shape).mean(dim=1)
        self.log("val/loss", losses.mean(), batch_size=len(text), prog_bar=True, sync_dist=True)
        return {"index": index, "loss": losses}

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """AdamW with linear warm-up, then constant."""
        matrices = [p for name, p in self.named_parameters() if p.ndim == 2 and "blocks" in name]
        others = [p for name, p in self.named_parameters() if p.ndim != 2 or "blocks" not in name]
        optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=self.lr,
            betas=(0.9, 0.95),
        )
        warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / self.warmup_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": warmup, "interval": "step"}}

    def _loss(self, batch: Batch) -> Tensor:
        text, following = batch
        return functional.cross_entropy(self(text).flatten(0, 1), following.flatten())


class HelpTopics(LightningDataModule):
    """The text cut into windows, a tenth of which are for validation.

    Args:
        batch_size: Windows per training batch.
        length: Characters per window.
        split_seed: Seed of the choice of those windows; None for every tenth.
    """

    def __init__(self, batch_size: int = 32, length: int = 64, split_seed: int | None = None) -> None:
        super().__init__()
        self.split_seed = split_seed
        self.batch_size = batch_size
        self.length = length

    def setup(self, stage: str) -> None:
        """Encodes the text and cuts it; the target of a window is the window one character later."""
        text = "\n".join(topics[name] for name in sorted(topics))
        codes = torch.tensor([ord(c) if ord(c) < ALPHABET_SIZE else 0 for c in text])
        end = (len(codes) - 1) // self.length * self.length
        windows, following = codes[:end].view(-1, self.length), codes[1 : end + 1].view(-1, self.length)
        position = torch.arange(len(windows))
        if self.split_seed is not None:
            position = torch.randperm(len(windows), generator=torch.Generator().manual_seed(self.split_seed))
        is_val = position % 10 == 9
        self.train = TensorDataset(windows[~is_val], following[~is_val])
        self.val = TensorDataset(windows[is_val], following[is_val], torch.arange(int(is_val.sum())))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Shuffled by the run's seed."""
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """In fixed order."""
        return DataLoader(self.val, batch_size=256)
