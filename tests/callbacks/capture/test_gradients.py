import math

import pytest
import torch
from torch import nn

from stabilimeter.callbacks.capture.gradients import Gradients


def with_gradients(*gradients):
    parameters = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(gradient.shape, dtype=gradient.dtype))
        parameter.grad = gradient
        parameters.append(parameter)
    return parameters


def measured(parameters):
    return Gradients(parameters, [1.0] * len(parameters), parameters)


def test_hand_worked():
    gradients = measured(with_gradients(torch.tensor([3.0, 0.0]), torch.tensor([[4.0]]), torch.tensor(12.0)))
    assert gradients.norm().item() == pytest.approx(13.0)
    assert gradients.norm_per_tensor().tolist() == pytest.approx([3.0, 4.0, 12.0])


def test_small_and_large_tensors_add_up():
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(size, generator=generator) for size in (3, 8191, 8192, 100_000)]
    expected = math.sqrt(sum((t.double() ** 2).sum().item() for t in tensors))
    assert measured(with_gradients(*tensors)).norm().item() == pytest.approx(expected, rel=1e-6)


def test_parameters_without_gradient():
    parameters = with_gradients(torch.tensor([3.0]), torch.tensor([4.0]))
    parameters[0].grad = None
    assert measured(parameters).norm().item() == 4.0
    assert measured(parameters).norm_per_tensor().tolist() == [0.0, 4.0]
    parameters[1].grad = None
    assert measured(parameters).norm() is None
    assert measured(parameters).norm_per_tensor() is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [64, 512])
def test_half_precision_is_accumulated_in_single(dtype, size):
    gradients = measured(with_gradients(torch.full((size, size), 200.0, dtype=dtype)))
    assert gradients.norm().item() == pytest.approx(200.0 * size, rel=1e-3)
    assert gradients.norm_per_tensor().tolist() == pytest.approx([200.0 * size], rel=1e-3)


def test_types_may_be_mixed():
    tensors = [torch.tensor([3.0]), torch.tensor([4.0], dtype=torch.float64), torch.tensor([12.0], dtype=torch.float16)]
    assert measured(with_gradients(*tensors)).norm().item() == pytest.approx(13.0)


def test_complex_gradients_count_both_parts():
    assert measured(with_gradients(torch.tensor([3.0 + 4.0j]))).norm().item() == pytest.approx(5.0)


def test_repeated_rows_of_a_sparse_gradient_are_summed_first():
    sparse = torch.sparse_coo_tensor([[1, 1]], torch.tensor([[1.0], [2.0]]), (4, 1), check_invariants=True)
    with_sparse = with_gradients(torch.tensor([4.0]))
    table = nn.Parameter(torch.zeros(4, 1))
    table.grad = sparse
    assert measured([*with_sparse, table]).norm().item() == pytest.approx(5.0)  # not sqrt(1 + 4 + 16)


def test_not_finite_stays_not_finite():
    assert math.isnan(measured(with_gradients(torch.tensor([1.0, math.nan]))).norm().item())
    assert math.isinf(measured(with_gradients(torch.tensor([1.0, -math.inf]))).norm().item())


def test_elements_held_by_several_ranks_count_their_share():
    (parameter,) = with_gradients(torch.tensor([6.0, 8.0]))
    gradients = Gradients([parameter], [4.0], [parameter])
    assert gradients.norm().item() == pytest.approx(5.0)  # four ranks: sqrt(4 * 25) = 10
    assert gradients.norm_per_tensor().tolist() == pytest.approx([5.0])


def test_second_order_gradients_leave_no_graph():
    parameter = nn.Parameter(torch.tensor([2.0]))
    with pytest.warns(UserWarning, match="create_graph"):
        (parameter**3).sum().backward(create_graph=True)
    with torch.no_grad():
        norm = measured([parameter]).norm()
    assert not norm.requires_grad
    assert norm.item() == pytest.approx(12.0)
    parameter.grad = None
