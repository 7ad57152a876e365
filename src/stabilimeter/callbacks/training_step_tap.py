"""Sees what goes into `training_step` and what comes out of it, micro-batch by micro-batch."""

import functools
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule


class TrainingStepTap:
    """Wraps ``module.training_step`` on the instance, between `install` and `remove`.

    Args:
        module: The module that is trained.
        listener: Gets the function that was wrapped, its positional and keyword arguments, and what it returned.
    """

    def __init__(
        self,
        module: LightningModule,
        listener: Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None],
    ) -> None:
        self._module = module
        self._listener = listener
        self._own: Any = None
        self._is_installed = False

    def install(self) -> None:
        """Wrap; nothing if that is done already."""
        if self._is_installed:
            return
        self._own = self._module.__dict__.get("training_step")
        inner: Any = self._module.training_step

        @functools.wraps(inner)  # Lightning looks at the names of the arguments
        def training_step(*args: Any, **kwargs: Any) -> Any:
            output = inner(*args, **kwargs)
            self._listener(inner, args, kwargs, output)
            return output

        self._module.training_step = training_step  # type: ignore[method-assign]
        self._is_installed = True

    def remove(self) -> None:
        """Give the module its own method back."""
        if not self._is_installed:
            return
        if self._own is None:
            del self._module.training_step
        else:
            self._module.training_step = self._own
        self._is_installed = False
