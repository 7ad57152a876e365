import numpy as np
import pytest

from stabilimeter.analysis.roles import is_loss, is_validation, only_validation_loss, roles_in


def series(build, n, last):
    return build.points(np.linspace(2, 1, n), np.linspace(0, last, n).astype(int))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"loss": (1000, 99_900), "train/loss": (50, 99_950), "validation/loss": (50, 99_950)}, "loss"),
        ({"train_loss": (1000, 999), "val_loss": (20, 990)}, "train_loss"),
        ({"train_loss_step": (100, 999), "train_loss_epoch": (10, 999)}, "train_loss_step"),
        ({"train_loss_epoch": (10, 999), "val_loss": (10, 999)}, "train_loss_epoch"),
        ({"train/loss": (100, 999), "eval/loss": (10, 999)}, "train/loss"),
        ({"Loss/train": (100, 999)}, "Loss/train"),
        ({"val_loss": (10, 999)}, None),
    ],
)
def test_training_loss_by_name(build, tags, expected):
    run = build.log({tag: series(build, *size) for tag, size in tags.items()})
    assert roles_in([run]).train_loss == expected


def test_a_loss_of_the_first_steps_only_gives_way(build):
    run = build.log({"loss": series(build, 100, 99), "train/loss": series(build, 185, 180_000)})
    assert roles_in([run]).train_loss == "train/loss"
    alone = build.log({"loss": series(build, 100, 99), "lr": series(build, 185, 180_000)})
    assert roles_in([alone]).train_loss == "loss"


def test_our_own_signal_wins_in_our_own_records(build):
    run = build.ours(loss=build.points(build.loss()))
    assert roles_in([run]).train_loss == "train/loss"
    assert roles_in([run]).training_losses == ("train/loss",)


def test_roles_of_a_whole_log(build):
    tags = [
        "train/accuracy",
        "train/loss",
        "validation/bleu",
        "validation/num_examples",
        "test/loss",
        "grad_norm",
        "score",
    ]
    run = build.log({tag: build.points([2.0, 1.0]) for tag in ("loss", *tags, "validation/loss")})
    roles = roles_in([run])
    assert roles.training_losses == ("loss", "train/loss")
    assert roles.losses == ("loss", "test/loss", "train/loss", "validation/loss")
    assert roles.validation_metrics == ("validation/bleu", "validation/loss")
    assert roles.grad_norm == "grad_norm"


def test_a_tag_of_one_run_counts_for_the_group(build):
    roles = roles_in([build.foreign(0), build.foreign(1, val_f1=build.points([0.1, 0.2]))])
    assert roles.validation_metrics == ("val_f1", "val_loss")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["val_loss", "loss"], "val_loss"),
        (["validation/ctc_loss", "test/ctc_loss", "train/ctc_loss"], "validation/ctc_loss"),
        (["val/loss", "val/aux_loss"], "val/loss"),
        (["eval/loss", "eval/accuracy"], "eval/loss"),
        (["val/loss_a", "val/loss_b"], None),
        (["val_loss", "dev_loss"], None),
        (["val/accuracy"], None),
        ([], None),
    ],
)
def test_the_only_validation_loss(tags, expected):
    assert only_validation_loss(tags) == expected


def test_what_is_a_loss_and_what_is_not():
    assert [tag for tag in ("train/loss_var", "train/loss_noise", "loss_scale", "val/perplexity") if is_loss(tag)] == [
        "val/perplexity"
    ]
    assert not is_validation("interval_loss")
    assert is_validation("dev/f1")
