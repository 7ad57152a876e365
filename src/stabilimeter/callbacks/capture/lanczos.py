"""Largest eigenvalue of a symmetric operator that can only be applied to vectors."""

from collections.abc import Callable

import torch
from torch import Tensor


def largest_eigenvalue(product: Callable[[Tensor], Tensor], start: Tensor, num_iterations: int) -> Tensor:
    """Largest Ritz value after some iterations of Lanczos: never above the largest eigenvalue, up to rounding.

    Three vectors are kept and none is re-orthogonalised: what is lost are the multiplicities, not the extreme values
    (Paige 1972; Golub and Van Loan, "Matrix computations", section 10.3). Not finite if a product is not.

    Args:
        product: Applies the operator; float tensors of shape (n,).
        start: Start vector, shape (n,), not zero; a random one is almost never orthogonal to what is looked for.
        num_iterations: Number of products, at least 1.

    Returns:
        0-d tensor on the CPU, float64. The operator's device is read once.

    >>> matrix = torch.diag(torch.tensor([3.0, -5.0, 1.0]))
    >>> round(largest_eigenvalue(matrix.mv, torch.ones(3), 3).item(), 5)
    3.0
    """
    vector = start / torch.linalg.vector_norm(start)
    previous = torch.zeros_like(vector)
    beta = torch.zeros((), dtype=vector.dtype, device=vector.device)
    is_over = torch.zeros((), dtype=torch.bool, device=vector.device)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for _ in range(num_iterations):
        image = product(vector)
        size = torch.linalg.vector_norm(image)
        alpha = torch.dot(image, vector)
        # past the end of the Krylov space: a value that is in the spectrum's range already changes no maximum
        diagonal.append(torch.where(is_over, diagonal[0], alpha) if diagonal else alpha)
        image = image - alpha * vector - beta * previous
        beta = torch.linalg.vector_norm(image)
        is_over = is_over | (beta <= 10 * torch.finfo(vector.dtype).eps * size)
        beta = torch.where(is_over, 0.0, beta)
        beside.append(beta)
        previous, vector = vector, torch.where(is_over, 0.0, image / beta)
    on, off = torch.stack([torch.stack(diagonal), torch.stack(beside)]).double().cpu()
    tridiagonal = torch.diag(on) + torch.diag(off[:-1], 1) + torch.diag(off[:-1], -1)
    eigenvalues: Tensor = torch.linalg.eigvalsh(tridiagonal.nan_to_num())
    return eigenvalues[-1] + 0.0 * tridiagonal.sum()
