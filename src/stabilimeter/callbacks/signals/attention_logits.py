"""The largest attention logit: attention that sharpens without bound is a known way to diverge."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

_CHUNK = 2**24
"""About so many logits are held at once: 64 MB."""


def largest_logit(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Largest element of ``scale * query @ key.T`` (plus mask) among those that are not masked out.

    Args:
        query: Shape (..., L, E).
        key: Shape (..., S, E), or with a whole fraction of the heads (grouped queries).
        attn_mask: Broadcasts to (..., L, S): False forbids, or a number is added.
        is_causal: Only keys up to the position of the query count.
        scale: None for ``1 / sqrt(E)``.

    >>> largest_logit(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[1.0], [9.0]]]), is_causal=True).item()
    18.0
    """
    length, source = query.shape[-2], key.shape[-2]
    if query.dim() > 2 and key.shape[-3] != query.shape[-3]:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    largest = torch.full((), -math.inf, device=query.device)
    rows = max(1, _CHUNK // max(query.shape[:-2].numel() * source, 1))
    for top in range(0, length, rows):
        logits = factor * query[..., top : top + rows, :].float() @ key.float().mT
        if attn_mask is not None:
            mask = attn_mask if attn_mask.shape[-2] == 1 else attn_mask[..., top : top + rows, :]
            logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask
        if is_causal:
            ahead = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1 + top)
            logits = logits.masked_fill(ahead, -math.inf)
        largest = torch.maximum(largest, logits.max())
    return largest


class AttentionLogits:
    """Looks at each call of attention while `training_step` runs, in the steps at the stride.

    Three functions of ``torch.nn.functional`` are replaced for that time by ones that look and then call them.
    """

    def __init__(self, site: Site) -> None:
        self._tap = site.training_step
        self._largest: Tensor | None = None
        self._is_in_multi_head = False

    @property
    def largest(self) -> Tensor | None:
        """Over all calls of the step; None if there was none."""
        return self._largest

    def prepare(self, *, stride_index: int | None) -> None:
        """Stand around `training_step`, or do not."""
        self._largest = None
        if stride_index is None:
            self._tap.discard(self._watch)
        else:
            self._tap.add(self._watch)

    def pause(self) -> None:
        """Nothing here depends on time."""

    def remove(self) -> None:
        """Step aside."""
        self._tap.discard(self._watch)

    def _watch(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        own: dict[str, Any] = {
            "scaled_dot_product_attention": self._seeing_attention,
            "multi_head_attention_forward": self._seeing_multi_head,
            "softmax": self._seeing_softmax,
        }
        found = {name: getattr(functional, name) for name in own}
        for name, seeing in own.items():
            setattr(functional, name, seeing(found[name]))
        try:
            return call(*args, **kwargs)
        finally:
            for name, function in found.items():
                setattr(functional, name, function)

    def _seeing_attention(self, attention: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def scaled_dot_product_attention(
            query: Tensor,
            key: Tensor,
            value: Tensor,
            attn_mask: Tensor | None = None,
            dropout_p: float = 0.0,
            is_causal: bool = False,
            scale: float | None = None,
            **kwargs: Any,
        ) -> Tensor:
            if not torch.compiler.is_compiling():
                with torch.no_grad():
                    self._note(largest_logit(query, key, attn_mask, is_causal, scale))
            return attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **kwargs)

        return scaled_dot_product_attention

    def _seeing_multi_head(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def multi_head_attention_forward(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():
                return forward(*args, **kwargs)
            self._is_in_multi_head = True
            try:
                return forward(*args, **kwargs)
            finally:
                self._is_in_multi_head = False

        return multi_head_attention_forward

    def _seeing_softmax(self, softmax: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def logits_to_weights(logits: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if self._is_in_multi_head and not torch.compiler.is_compiling():
                self._note(logits.detach().max())
            return softmax(logits, *args, **kwargs)

        return logits_to_weights

    def _note(self, largest: Tensor) -> None:
        largest = largest.float()
        self._largest = largest if self._largest is None else torch.maximum(self._largest, largest)


def attention_logit_max(view: StepView) -> Tensor | None:
    """Largest attention logit of the step, after scaling and masks, over layers, heads, positions and examples.

    Where it grows into the hundreds, attention puts all weight on one key and training becomes unstable (Dehghani et
    al. 2023, "Scaling vision transformers to 22 billion parameters", section 2; Wortsman et al. 2023, "Small-scale
    proxies for large-scale transformer training instabilities", section 3.1.1).

    Seen are, in eager code, ``nn.MultiheadAttention`` (so also ``nn.TransformerEncoderLayer`` and its kin), with and
    without ``need_weights``, and every call of ``torch.nn.functional.scaled_dot_product_attention`` by that path; not a
    copy of the function imported by name, flex attention, flash-attn, xformers, logits computed by hand, or code
    compiled by ``torch.compile``. Mean over ranks of the largest of each. Cost: the product of queries and keys once
    more, at the stride, in blocks of 64 MB; nothing elsewhere.
    """
    return view.probe(AttentionLogits).largest


ATTENTION_LOGIT_MAX = Signal(
    SignalSpec(keys.ATTENTION_LOGIT_MAX, unit="", moment=Moment.GRADIENT, reduction=Reduction.MEAN, positive=False),
    measure=attention_logit_max,
    strided=True,
    probe=AttentionLogits,
)
