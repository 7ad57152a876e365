"""Which modules of a network have an output worth a look."""

from lightning.pytorch import LightningModule
from torch import nn
from torchmetrics import Metric, MetricCollection

_PASS_ON = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.ParameterList,
    nn.ParameterDict,
    nn.Identity,
    nn.Flatten,
    nn.Unflatten,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
"""Containers, and what puts out what was put in."""

_CHANNELS_FIRST = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.GroupNorm,
)
_FEATURES_LAST = (nn.Linear, nn.Bilinear, nn.LayerNorm, nn.Embedding, nn.MultiheadAttention)


def watched_modules(module: LightningModule) -> dict[str, nn.Module]:
    """Name -> module, in the order of their registration.

    All but ``module`` itself, containers, dropout, metrics, parametrizations, and what lies within code compiled by
    ``torch.compile``: a hook there would be compiled too, and other kernels mean other roundings. A compiled module in
    whole is watched if it was compiled as ``torch.compile(net)``, not as ``net.compile()``.
    """
    hidden: set[int] = set()
    found: dict[str, nn.Module] = {}
    for name, child in module.named_modules():
        is_wrapper = hasattr(child, "_orig_mod")
        if is_wrapper or getattr(child, "_compiled_call_impl", None) is not None:
            hidden |= {id(inner) for inner in child.modules() if inner is not child or not is_wrapper}
        if isinstance(child, Metric | MetricCollection) or "parametrizations" in name.split("."):
            hidden |= {id(inner) for inner in child.modules()}
        if child is not module and id(child) not in hidden and not isinstance(child, _PASS_ON):
            found[name] = child
    return found


def feature_dimension(module: nn.Module, num_dimensions: int) -> int:
    """Which dimension of an output counts features: 1 for channels, -1 otherwise.

    Channels are those of convolutions, and of batch and group norm; and, unless the module is linear, a layer norm, an
    embedding or attention, those of any output of four dimensions or more.

    >>> feature_dimension(nn.ReLU(), 4), feature_dimension(nn.ReLU(), 3), feature_dimension(nn.Linear(2, 2), 4)
    (1, -1, -1)
    """
    if isinstance(module, _CHANNELS_FIRST):
        return 1 if num_dimensions > 1 else -1
    return 1 if num_dimensions >= 4 and not isinstance(module, _FEATURES_LAST) else -1
