import pytest
import torch
from torch import nn

from stabilimeter.callbacks.capture.update_sketch import UpdateSketch


def sketch(*parameters, holders=1.0):
    return UpdateSketch(parameters, [holders] * len(parameters))


def moved(made, parameters, update):
    before = [p.detach().clone() for p in parameters]
    made.before_step()
    with torch.no_grad():
        for p in parameters:
            update(p)
    made.after_step()
    change = torch.sqrt(sum(((p - q).double() ** 2).sum() for p, q in zip(parameters, before, strict=True)))
    size = torch.sqrt(sum((q.double() ** 2).sum() for q in before))
    return made.update_norm.item(), made.weight_norm.item(), change.item(), size.item()


def test_hand_worked():
    parameter = nn.Parameter(torch.tensor([3.0, 4.0]))
    update, weight, *_ = moved(sketch(parameter), [parameter], lambda p: p.add_(torch.tensor([6.0, 8.0])))
    assert (update, weight) == (10.0, 5.0)


def test_exact_for_small_tensors_of_any_layout():
    torch.manual_seed(0)
    parameters = [
        nn.Parameter(torch.randn(200, 300)),
        nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)),
        nn.Parameter(torch.randn(30, 20).t()),
        nn.Parameter(torch.tensor(2.0)),
        nn.Parameter(torch.empty(0)),
        nn.Parameter(torch.randn(5, dtype=torch.float64)),
        nn.Parameter(torch.randn(5, dtype=torch.complex64)),
    ]
    made = sketch(*parameters)
    made.before_step()
    before = [torch.view_as_real(p).clone() if p.is_complex() else p.clone() for p in parameters]
    with torch.no_grad():
        for p in parameters:
            p.mul_(1.01).add_(0.001)
    made.after_step()
    after = [torch.view_as_real(p) if p.is_complex() else p for p in parameters]
    change = sum(((p - q).double() ** 2).sum() for p, q in zip(after, before, strict=True)).sqrt().item()
    assert made.update_norm.item() == pytest.approx(change, rel=1e-6)


def test_tiny_updates_of_large_weights_do_not_drown():
    parameter = nn.Parameter(torch.full((100,), 1000.0, dtype=torch.float64))
    update, *_ = moved(sketch(parameter), [parameter], lambda p: p.add_(1e-9))
    assert update == pytest.approx(1e-8, rel=1e-3)


@pytest.mark.parametrize("shape", [(1024, 1024), (300, 300), (2_000_000,), (256, 128, 3, 3), (70_001, 1), (1, 70_001)])
def test_estimate_for_large_tensors(shape):
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.randn(shape))
    noise = torch.randn(shape)
    update, weight, change, size = moved(sketch(parameter), [parameter], lambda p: p.add_(noise, alpha=1e-3))
    assert update == pytest.approx(change, rel=0.02)
    assert weight == pytest.approx(size, rel=0.02)


@pytest.mark.parametrize("axis", [0, 1])
def test_estimate_is_fair_to_rows_and_columns(axis):
    """Half of the rows, or of the columns, move: a sample of always the same columns would see all or none."""
    parameter = nn.Parameter(torch.ones(1024, 1024))
    mask = torch.zeros(1024, 1024)
    mask.narrow(axis, 0, 512).fill_(1.0)
    update, _, change, _ = moved(sketch(parameter), [parameter], lambda p: p.add_(mask))
    assert update == pytest.approx(change, rel=0.05)


def test_storage_that_was_exchanged_is_followed():
    parameter = nn.Parameter(torch.ones(10))
    made = sketch(parameter)
    moved(made, [parameter], lambda p: p.add_(1.0))
    parameter.data = torch.zeros(10)
    update, *_ = moved(made, [parameter], lambda p: p.add_(2.0))
    assert update == pytest.approx(2.0 * 10**0.5)


def test_elements_held_by_several_ranks_count_their_share():
    parameter = nn.Parameter(torch.tensor([3.0, 4.0]))
    update, *_ = moved(sketch(parameter, holders=4.0), [parameter], lambda p: p.mul_(3.0))
    assert update == pytest.approx(5.0)
