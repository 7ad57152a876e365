import math

import pytest
import torch
from torch import nn

from stabilimeter.callbacks.capture.gradients import Gradients, by_layer


def with_gradients(*gradients):
    parameters = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(gradient.shape, dtype=gradient.dtype))
        parameter.grad = gradient
        parameters.append(parameter)
    return parameters


def measured(parameters):
    return Gradients(parameters, [1.0] * len(parameters), parameters)


def per_layer(gradients):
    norms = gradients.norms()
    return None if norms is None else by_layer(norms.values.double().numpy()[None, :], norms.order)[0].tolist()


def test_hand_worked():
    gradients = measured(with_gradients(torch.tensor([3.0, 0.0]), torch.tensor([[4.0]]), torch.tensor(12.0)))
    assert gradients.norm().item() == pytest.approx(13.0)
    assert per_layer(gradients) == pytest.approx([3.0, 4.0, 12.0])


def test_small_and_large_tensors_add_up():
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(size, generator=generator) for size in (3, 8191, 8192, 100_000)]
    expected = math.sqrt(sum((t.double() ** 2).sum().item() for t in tensors))
    assert measured(with_gradients(*tensors)).norm().item() == pytest.approx(expected, rel=1e-6)


def test_parameters_without_gradient():
    parameters = with_gradients(torch.tensor([3.0]), torch.tensor([4.0]))
    parameters[0].grad = None
    assert measured(parameters).norm().item() == 4.0
    assert per_layer(measured(parameters)) == [0.0, 4.0]
    parameters[1].grad = None
    assert measured(parameters).norm() is None
    assert per_layer(measured(parameters)) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [64, 512])
def test_half_precision_is_accumulated_in_single(dtype, size):
    gradients = measured(with_gradients(torch.full((size, size), 200.0, dtype=dtype)))
    assert gradients.norm().item() == pytest.approx(200.0 * size, rel=1e-3)
    assert per_layer(gradients) == pytest.approx([200.0 * size], rel=1e-3)


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
    assert per_layer(gradients) == pytest.approx([5.0])


def test_second_order_gradients_leave_no_graph():
    parameter = nn.Parameter(torch.tensor([2.0]))
    with pytest.warns(UserWarning, match="create_graph"):
        (parameter**3).sum().backward(create_graph=True)
    with torch.no_grad():
        norm = measured([parameter]).norm()
    assert not norm.requires_grad
    assert norm.item() == pytest.approx(12.0)
    parameter.grad = None


@pytest.mark.parametrize("shape", [(3, 2), (16, 4, 5, 5), (7,), ()])
def test_many_small_gradients_of_one_shape(shape):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=generator) for _ in range(20)]
    if len(shape) == 4:
        tensors[3:] = [t.to(memory_format=torch.channels_last) for t in tensors[3:]]
    gradients = measured(with_gradients(*tensors))
    assert per_layer(gradients) == pytest.approx([t.double().norm().item() for t in tensors], rel=1e-6)


def test_gradients_that_come_and_go():
    tensors = [torch.full((3, 2), float(i + 1)) for i in range(12)]
    parameters = with_gradients(*tensors)
    gradients = measured(parameters)
    root = math.sqrt(6)
    for absent in ([], [0, 5], [0, 5, 6], [], [11]):
        for i, (parameter, tensor) in enumerate(zip(parameters, tensors, strict=True)):
            parameter.grad = None if i in absent else tensor
        expected = [0.0 if i in absent else root * (i + 1) for i in range(12)]
        assert per_layer(gradients) == pytest.approx(expected, rel=1e-6)
        assert gradients.norm().item() == pytest.approx(math.hypot(*expected), rel=1e-6)


def test_a_gradient_turns_sparse():
    parameters = with_gradients(*[torch.full((4, 1), 2.0) for _ in range(10)])
    gradients = measured(parameters)
    assert per_layer(gradients) == pytest.approx([4.0] * 10)
    parameters[3].grad = torch.sparse_coo_tensor([[1, 1]], torch.tensor([[1.0], [2.0]]), (4, 1), check_invariants=True)
    assert per_layer(gradients) == pytest.approx([4.0] * 3 + [3.0] + [4.0] * 6)
