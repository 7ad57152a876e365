import math

import numpy as np
import torch

from stabilimeter.callbacks.capture.buffer import Buffer
from stabilimeter.callbacks.capture.gradients import Order, TensorNorms
from stabilimeter.callbacks.capture.signal import Reduction

MEAN, NORM, VARIANCE = Reduction.MEAN, Reduction.ROOT_SUM_SQUARE, Reduction.VARIANCE
CPU = torch.device("cpu")


def test_a_missing_value_is_not_nan():
    buffer = Buffer([MEAN, MEAN, MEAN], device=CPU)
    buffer.add([torch.tensor(math.nan), 2.0, None])
    buffer.add([None, math.nan, torch.tensor(3.0)])
    assert len(buffer) == 2
    values, measured, vectors = buffer.take(combine=True)
    np.testing.assert_array_equal(values, [[math.nan, 2.0, math.nan], [math.nan, math.nan, 3.0]])
    np.testing.assert_array_equal(measured, [[True, True, False], [False, True, True]])
    assert not vectors
    assert len(buffer) == 0
    assert buffer.take(combine=True).values.shape == (0, 3)


def test_kinds_of_numbers_may_be_mixed():
    buffer = Buffer([MEAN, MEAN], device=CPU)
    buffer.add([torch.tensor(1.5, dtype=torch.bfloat16), torch.tensor(1e300, dtype=torch.float64)])
    buffer.add([torch.tensor(3), torch.tensor(2.5, requires_grad=True)])
    assert buffer.take(combine=True).values.tolist() == [[1.5, 1e300], [3.0, 2.5]]


def test_norms_give_a_total_and_a_vector_in_the_order_of_the_layers():
    together = Order(np.array([2, 0, 3]), num_own=2)  # three layers: the last has no gradient, one norm is of no layer
    apart = Order(np.array([0, 1, 1]), num_own=1)
    steps = [
        TensorNorms([torch.tensor([3.0, 4.0, 12.0])], together),
        TensorNorms([torch.tensor(5.0)], apart),
        TensorNorms([torch.tensor(6.0), torch.tensor(8.0), torch.tensor(1.0)], together),
    ]
    buffer = Buffer([NORM], [NORM], device=CPU)
    for norms in steps:
        buffer.add([norms], [(0, norms)])
    values, _, vectors = buffer.take(combine=True)
    assert values[:, 0].tolist() == [5.0, 5.0, 10.0]
    assert vectors[0].rows.tolist() == [0, 1, 2]
    assert vectors[0].values.tolist() == [[12.0, 3.0, 0.0], [5.0, 0.0, 0.0], [1.0, 6.0, 0.0]]


def test_norms_of_two_moments_are_kept_apart():
    order = Order(np.array([0]), num_own=1)
    before, after = TensorNorms([torch.tensor([4.0])], order), TensorNorms([torch.tensor([2.0])], order)
    buffer = Buffer([NORM, NORM], [NORM], device=CPU)
    buffer.add([before, after], [(0, before)])
    buffer.add([after, after], [(0, before)])
    values, _, vectors = buffer.take(combine=True)
    assert values.tolist() == [[4.0, 2.0], [2.0, 2.0]]
    assert vectors[0].values.tolist() == [[4.0], [4.0]]


def test_vectors_at_a_stride():
    buffer = Buffer([MEAN], [MEAN, MEAN], device=CPU)
    for step in range(5):
        vectors = [(0, torch.full((2,), float(step)))] + ([(1, torch.tensor([10.0 * step]))] if step % 2 == 0 else [])
        buffer.add([torch.tensor(float(step))], vectors)
    values, _, found = buffer.take(combine=True)
    assert values[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert found[0].values.tolist() == [[step, step] for step in range(5)]
    assert (found[1].rows.tolist(), found[1].values.tolist()) == ([0, 2, 4], [[0.0], [20.0], [40.0]])


def test_one_rank_has_no_variance_over_ranks():
    buffer = Buffer([VARIANCE, MEAN], device=CPU)
    buffer.add([torch.tensor(1.0), torch.tensor(1.0)])
    values, measured, _ = buffer.take(combine=True)
    assert measured.tolist() == [[False, True]]
    assert math.isnan(values[0, 0])
