"""stabilimeter: is this training recipe stable?

Public names load on first use, so that importing the package, or running its command line, imports neither torch nor
lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stabilimeter.analysis.compare import compare as compare
    from stabilimeter.analysis.summarize import summarize as summarize
    from stabilimeter.analysis.summary import Summary as Summary
    from stabilimeter.callbacks.checkpoint_regression import CheckpointRegression as CheckpointRegression
    from stabilimeter.callbacks.monitor import StabilityMonitor as StabilityMonitor
    from stabilimeter.callbacks.seed_spread import SeedSpread as SeedSpread
    from stabilimeter.callbacks.skip_list import SkippingSampler as SkippingSampler
    from stabilimeter.callbacks.spike_guard import SpikeGuard as SpikeGuard
    from stabilimeter.records.run import read_run as read_run
    from stabilimeter.records.sweep import read_sweep as read_sweep
    from stabilimeter.stats.detection import detect as detect

__version__ = "0.1.0"

_HOMES = {
    "CheckpointRegression": "stabilimeter.callbacks.checkpoint_regression",
    "SeedSpread": "stabilimeter.callbacks.seed_spread",
    "SkippingSampler": "stabilimeter.callbacks.skip_list",
    "SpikeGuard": "stabilimeter.callbacks.spike_guard",
    "StabilityMonitor": "stabilimeter.callbacks.monitor",
    "Summary": "stabilimeter.analysis.summary",
    "compare": "stabilimeter.analysis.compare",
    "detect": "stabilimeter.stats.detection",
    "read_run": "stabilimeter.records.run",
    "read_sweep": "stabilimeter.records.sweep",
    "summarize": "stabilimeter.analysis.summarize",
}

__all__ = [
    "CheckpointRegression",
    "SeedSpread",
    "SkippingSampler",
    "SpikeGuard",
    "StabilityMonitor",
    "Summary",
    "__version__",
    "compare",
    "detect",
    "read_run",
    "read_sweep",
    "summarize",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
