import io

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter.callbacks import progress
from stabilimeter.callbacks.progress import RunProgress

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Line(LightningModule):
    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.fails_at = fails_at

    def training_step(self, batch, batch_idx):
        if self.global_step == self.fails_at:
            raise ValueError("boom")
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("val/answer", 42.0, prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(callback: RunProgress, model: Line) -> None:
    data = DataLoader(TensorDataset(torch.ones(12, 1)), batch_size=2)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=3,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    trainer.fit(model, data, data)


def on_terminal(monkeypatch) -> Terminal:
    """From inside the test: pytest puts its own stderr in place before each phase."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "REFRESH_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return terminal


def test_counts_steps_across_epochs_and_leaves_the_terminal_clean(monkeypatch):
    terminal = on_terminal(monkeypatch)
    fit(RunProgress(), Line())
    shown = terminal.getvalue()
    for step in (1, 7, 18):
        assert f"{step:2d}/18" in shown
    assert "Epoch" not in shown
    assert "val/answer 42" in shown
    assert shown.endswith("\x1b[2K")  # the line is erased


def test_is_removed_when_training_raises(monkeypatch):
    terminal = on_terminal(monkeypatch)
    callback = RunProgress()
    with pytest.raises(ValueError, match="boom"):
        fit(callback, Line(fails_at=4))
    assert " 4/18" in terminal.getvalue()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back
    assert callback._progress is None


def test_writes_nothing_into_a_file(capsys):
    fit(RunProgress(), Line())
    captured = capsys.readouterr()
    assert "18" not in captured.err + captured.out
