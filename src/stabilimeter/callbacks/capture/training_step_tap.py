"""Stands around `training_step`, for signals that need what goes into it or happens inside."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

from lightning.pytorch import LightningModule


class Around(Protocol):
    """Calls ``call`` once with the arguments, and returns what it returned."""

    def __call__(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do something before it, after it, or with what it returned."""


class TrainingStepTap:
    """Wraps ``module.training_step`` on the instance as long as somebody stands around it.

    Args:
        module: The module that is trained.
    """

    def __init__(self, module: LightningModule) -> None:
        self._module: Any = module
        self._around: list[Around] = []
        self._wrapper: Any = None
        self._own: Any = None

    @property
    def original(self) -> Callable[..., Any]:
        """The module's own `training_step`, around which nobody stands."""
        original: Callable[..., Any] = (
            self._module.training_step if self._wrapper is None else self._wrapper.__wrapped__
        )
        return original

    def add(self, around: Around) -> None:
        """From now on; nothing if it is there already."""
        if around not in self._around:
            self._around.append(around)
        if self._wrapper is None:
            self._install()

    def discard(self, around: Around) -> None:
        """No longer; the last one to leave gives the module its own method back."""
        if around in self._around:
            self._around.remove(around)
        if self._wrapper is not None and not self._around:
            self._uninstall()

    def _install(self) -> None:
        self._own = self._module.__dict__.get("training_step")

        @functools.wraps(self._module.training_step)  # Lightning looks at the names of the arguments
        def training_step(*args: Any, **kwargs: Any) -> Any:
            call: Callable[..., Any] = self.original
            for around in self._around:
                call = functools.partial(_stand, around, call)
            return call(*args, **kwargs)

        self._module.training_step = self._wrapper = training_step

    def _uninstall(self) -> None:
        mine: Any = self._wrapper
        self._wrapper = None
        outer: Any = self._module.__dict__.get("training_step")
        if outer is mine:
            if self._own is None:
                del self._module.training_step
            else:
                self._module.training_step = self._own
            return
        while outer is not None:  # another monitor has wrapped on top: it goes on without this one
            inner: Any = getattr(outer, "__wrapped__", None)
            if inner is mine:
                outer.__wrapped__ = mine.__wrapped__
            outer = inner


def _stand(around: Around, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return around(call, args, kwargs)
