"""The largest attention logit against the full matrix of logits, for each way in which attention is called."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.signals import attention_logits
from stabilimeter.callbacks.signals.attention_logits import largest_logit
from stabilimeter.experiments.char_gpt import CharGPT, HelpTopics
from stabilimeter.records.run import read_run

KEY = "attention/logit_max"


def monitor(stride=1):
    return StabilityMonitor(["default", "attention_logits"], strided_every_n_steps=stride)


@pytest.mark.parametrize("chunk", [2**24, 100, 1])
@pytest.mark.parametrize("masking", ["none", "causal", "bool", "added", "per key"])
def test_equals_the_full_matrix(monkeypatch, chunk, masking):
    monkeypatch.setattr(attention_logits, "_CHUNK", chunk)
    generator = torch.Generator().manual_seed(3)
    query, key = torch.randn(2, 4, 7, 3, generator=generator), torch.randn(2, 2, 9, 3, generator=generator)
    full = torch.einsum("bhle,bhse->bhls", query, key.repeat_interleave(2, dim=1)) / math.sqrt(3)
    forbidden = torch.rand(2, 1, 7, 9, generator=generator) < 0.8
    mask = {
        "bool": ~forbidden,
        "added": torch.where(forbidden, -math.inf, 0.25),
        "per key": ~forbidden[:, :, :1],
    }.get(masking)
    if masking == "causal":
        full = full[..., torch.ones(7, 9).tril().bool()]
    elif masking == "added":
        full = full + mask
    elif mask is not None:
        full = full[mask.expand_as(full)]
    found = largest_logit(query, key, mask, is_causal=masking == "causal")
    assert found.item() == pytest.approx(full.max().item(), rel=1e-5)
    assert largest_logit(query, key, mask, masking == "causal", 1.0).item() >= found.item()


class Plain(nn.Module):
    """One head whose query and key are the input: the logits are ``x x^T / sqrt(6)``."""

    def __init__(self, causal):
        super().__init__()
        self.out = nn.Linear(6, 2)
        self.causal = causal

    def forward(self, x):
        return self.out(functional.scaled_dot_product_attention(x, x, x, is_causal=self.causal))


@pytest.mark.parametrize("causal", [True, False])
def test_scaled_dot_product_attention(recorded, probe_class, causal):
    class Attends(probe_class):
        def __init__(self):
            super().__init__()
            self.net, self.largest = Plain(causal), []

        def training_step(self, batch, batch_idx):
            x = batch[0].unsqueeze(0) * (1 + batch_idx)
            logits = (x @ x.mT)[0] / math.sqrt(6)
            self.largest.append((logits.tril() if causal else logits).max().item())  # the diagonal is positive
            functional.softmax(1e6 * x, dim=-1)  # no attention
            return self.net(x).square().mean()

    module = Attends()
    original = functional.scaled_dot_product_attention, functional.softmax
    run = recorded(module, monitor=monitor(stride=2), accumulate_grad_batches=2)
    pairs = np.reshape(module.largest, (6, 2)).max(axis=1)
    assert run[KEY].steps.tolist() == [0, 2, 4]
    np.testing.assert_allclose(run[KEY].values, pairs[::2], rtol=1e-5)
    assert (functional.scaled_dot_product_attention, functional.softmax) == original


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention(recorded, probe_class, need_weights):
    class Attends(probe_class):
        def __init__(self):
            super().__init__()
            self.net, self.largest = nn.MultiheadAttention(6, 2, batch_first=True), []

        def training_step(self, batch, batch_idx):
            x = 3 * batch[0].unsqueeze(0)
            blocked = torch.ones(4, 4).triu(1).bool()
            query, key, _ = (x @ self.net.in_proj_weight.T + self.net.in_proj_bias).chunk(3, dim=-1)
            heads = [part.view(4, 2, 3).transpose(0, 1) for part in (query, key)]
            logits = (heads[0] @ heads[1].mT / math.sqrt(3)).masked_fill(blocked, -math.inf)
            self.largest.append(logits.max().item())
            return self.net(x, x, x, need_weights=need_weights, attn_mask=blocked)[0].square().mean()

    module = Attends()
    run = recorded(module, monitor=monitor())
    np.testing.assert_allclose(run[KEY].values, module.largest, rtol=1e-4)


def test_without_attention_nothing_is_recorded(recorded, probe_class):
    assert KEY not in recorded(probe_class(), monitor=monitor())


def test_in_the_character_transformer(make_trainer, tmp_path):
    make_trainer(monitor(), max_steps=3, limit_val_batches=0).fit(
        CharGPT(width=16, depth=1, num_heads=2), datamodule=HelpTopics(batch_size=2)
    )
    assert len(read_run(tmp_path)[KEY].values) == 3


@pytest.mark.parametrize("compiled", ["torch.compile", "compile"])
def test_compiled_code_stays_in_one_piece_and_unseen(recorded, probe_class, compiled):
    class Attends(probe_class):
        def __init__(self):
            super().__init__()
            self.net = Plain(False)
            if compiled == "compile":
                self.net.compile(backend="eager", fullgraph=True)
            else:
                self.net = torch.compile(self.net, backend="eager", fullgraph=True)

        def training_step(self, batch, batch_idx):
            return self.net(batch[0].unsqueeze(0)).square().mean()

    assert KEY not in recorded(Attends(), monitor=monitor(stride=3))
