import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision

from stabilimeter.callbacks.capture.micro_batches import MicroBatchLoss, without_loss_scale


def test_mean_of_undivided_losses():
    losses = MicroBatchLoss()
    assert losses.take() is None
    for loss in (2.0, 4.0, 9.0):
        losses.add(torch.tensor(loss / 4), divided_by=4)  # the last step of an epoch: three batches instead of four
    assert losses.take().item() == pytest.approx(5.0)
    assert losses.take() is None


def test_interrupted_between_micro_batches():
    first, second = MicroBatchLoss(), MicroBatchLoss()
    first.add(torch.tensor(1.0))
    second.load_state_dict(first.state_dict())
    second.add(torch.tensor(3.0))
    assert second.take().item() == 2.0


def scaler(scale):
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=10_000)


def test_loss_scale_is_undone():
    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler(1024.0))
    assert without_loss_scale(plugin.scaler.scale(torch.tensor(3.0)), plugin).item() == 3.0
    assert without_loss_scale(torch.tensor(3.0), object()).item() == 3.0


@pytest.mark.parametrize("automatic", [True, False])
def test_scaled_training_records_unscaled_values(recorded, probe_class, automatic):
    class Scaled(probe_class):
        automatic_optimization = automatic

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            if not automatic:
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
                self.losses.append(loss.item())
            return loss

    module = Scaled()
    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler(512.0))
    run = recorded(module, plugins=[plugin])
    assert len(module.losses) == len(module.norms) == 12
    torch.testing.assert_close(run["train/loss"].values.tolist(), module.losses, rtol=1e-4, atol=0)
    torch.testing.assert_close(run["grad/norm"].values.tolist(), module.norms, rtol=1e-5, atol=0)


def test_a_step_that_the_scaler_skips_moves_nothing(recorded, probe_class):
    class Overflows(probe_class):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * 1e38 * 1e38 if batch_idx == 3 else loss

    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler(512.0))
    with pytest.warns(UserWarning, match="is not finite"):
        run = recorded(Overflows(lambda p: torch.optim.SGD(p, lr=0.1)), plugins=[plugin])
    updates = run["update/norm"].values
    assert updates[3] == 0.0
    assert (updates[:3] > 0).all()
    assert (updates[4:] > 0).all()
