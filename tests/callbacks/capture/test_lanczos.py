import math

import numpy as np
import pytest
import torch

from stabilimeter.callbacks.capture.lanczos import largest_eigenvalue


def symmetric(size, seed, dtype=torch.float64):
    matrix = torch.randn(size, size, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return (matrix + matrix.T) / 2


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equals_the_dense_eigenvalue(dtype, rtol):
    matrix = symmetric(200, 0, dtype)
    found = largest_eigenvalue(matrix.mv, torch.ones(200, dtype=dtype), 100)
    assert found.item() == pytest.approx(np.linalg.eigvalsh(matrix.double().numpy())[-1], rel=rtol)


def test_the_largest_not_the_largest_in_size():
    spectrum = torch.tensor([-100.0, -3.0, 2.0, 5.0])
    assert largest_eigenvalue(lambda v: spectrum * v, torch.ones(4), 4).item() == pytest.approx(5.0, rel=1e-5)


def test_is_a_lower_bound_that_grows():
    matrix = symmetric(100, 1)
    values = [largest_eigenvalue(matrix.mv, torch.ones(100, dtype=torch.float64), n).item() for n in (1, 3, 10, 30)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(matrix.mean().item() * 100)  # one iteration: the Rayleigh quotient of the start
    assert values[-1] <= np.linalg.eigvalsh(matrix.numpy())[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_space_that_ends_early_adds_no_eigenvalue(dtype, scale):
    """All eigenvalues -3 or -2: the space has two dimensions, and 0 would be larger than both."""
    spectrum = scale * torch.tensor([-3.0, -2.0, -3.0, -2.0, -3.0], dtype=dtype)
    found = largest_eigenvalue(lambda v: spectrum * v, torch.arange(1, 6, dtype=dtype), 20)
    assert found.item() == pytest.approx(-2.0 * scale, rel=1e-5)


def test_zero_and_not_finite():
    assert largest_eigenvalue(torch.zeros_like, torch.ones(3), 5).item() == 0.0
    assert math.isnan(largest_eigenvalue(lambda v: v * math.nan, torch.ones(3), 5).item())
    assert not math.isfinite(largest_eigenvalue(lambda v: v * math.inf, torch.ones(3), 5).item())
