import math
from pydoc_data.topics import topics

import pytest
import torch
from lightning import seed_everything

from stabilimeter.experiments.char_gpt import CharGPT, HelpTopics


def text_of(codes: torch.Tensor) -> str:
    return "".join(map(chr, codes.tolist()))


def test_targets_are_the_text_one_character_later():
    data = HelpTopics(length=64)
    data.setup("fit")
    windows, following = data.train.tensors
    assert torch.equal(windows[:, 1:], following[:, :-1])
    n_characters = sum(map(len, topics.values())) + len(topics) - 1
    assert len(data.train) + len(data.val) == (n_characters - 1) // 64
    assert len(data.val) == (len(data.train) + len(data.val)) // 10
    known = text_of(windows[0]) + chr(following[0, -1])
    assert topics[min(topics)].startswith(known)


def test_training_text_is_not_validation_text():
    data = HelpTopics()
    data.setup("fit")
    position = {text_of(window) for window in data.train.tensors[0]}
    unseen = [text_of(window) not in position for window in data.val.tensors[0]]
    assert sum(unseen) / len(unseen) > 0.98  # tables and rules of the text repeat themselves


def test_predictions_do_not_see_the_future():
    seed_everything(0, verbose=False)
    model = CharGPT(width=32, num_heads=2, max_length=16).eval()
    text = torch.randint(0, 128, (3, 16))
    changed = text.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % 128
    before, after = model(text), model(changed)
    assert before.shape == (3, 16, 128)
    assert torch.allclose(before[:, :10], after[:, :10], atol=1e-6)
    assert not torch.allclose(before[:, 10:], after[:, 10:], atol=1e-2)


def test_untrained_it_guesses_among_all_characters():
    seed_everything(0, verbose=False)
    model = CharGPT()
    text, following = torch.randint(0, 128, (64, 64)), torch.randint(0, 128, (64, 64))
    assert float(model.training_step((text, following), 0).detach()) == pytest.approx(math.log(128), abs=0.4)


def test_only_weight_matrices_decay_and_the_rate_warms_up_linearly():
    model = CharGPT(lr=0.1, warmup_steps=4, weight_decay=0.5)
    configured = model.configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.5, 0.0)
    assert len(decayed["params"]) == 2 * 4  # per block: qkv, attention out, two of the perceptron
    assert sum(p.numel() for g in optimizer.param_groups for p in g["params"]) == sum(
        p.numel() for p in model.parameters()
    )
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
