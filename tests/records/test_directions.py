import pytest

from stabilimeter.records.directions import HIGHER_IS_BETTER, LOWER_IS_BETTER, mode_of, words


@pytest.mark.parametrize(
    ("tag", "mode"),
    [
        ("loss", "min"),
        ("train/loss", "min"),
        ("validation/ctc_loss", "min"),
        ("valLoss", "min"),
        ("val_perplexity", "min"),
        ("Test/WER", "min"),
        ("eval/top1_error", "min"),
        ("accuracy_loss", "min"),
        ("val/cross_entropy", "min"),
        ("validation/accuracy", "max"),
        ("val_acc", "max"),
        ("validation/bleu", "max"),
        ("validation/mean_average_precision", "max"),
        ("val/mAP", "max"),
        ("val/mAP50", None),
        ("val_f1", "max"),
        ("val/F1", "max"),
        ("AUROC", "max"),
        ("validation/ssim", "max"),
        ("episode_return", "max"),
        ("grad_norm", "min"),
        ("grad/norm_clipped", "min"),
        ("score", None),
        ("lossless_ratio", None),
        ("roadmap", None),
        ("", None),
    ],
)
def test_mode_is_told_from_whole_words(tag, mode):
    assert mode_of(tag) == mode


def test_no_word_is_in_both_tables():
    assert not set(LOWER_IS_BETTER) & set(HIGHER_IS_BETTER)


@pytest.mark.parametrize("word", [*LOWER_IS_BETTER, *HIGHER_IS_BETTER])
def test_every_word_of_the_tables_is_found_in_a_tag(word):
    assert words(f"val/{word}") == ["val", word]
