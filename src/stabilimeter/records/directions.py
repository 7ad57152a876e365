"""Whether higher or lower is better, told from the name of a metric."""

import re

LOWER_IS_BETTER = (
    *("loss", "losses", "error", "err", "wer", "cer", "ter", "perplexity", "ppl", "nll", "mse", "rmse", "mae", "mape"),
    *("xent", "bpb", "bpc", "fid", "kl", "regret"),
)
HIGHER_IS_BETTER = (
    *("accuracy", "acc", "top1", "top5", "bleu", "rouge", "ssim", "psnr", "map", "f1", "auc", "auroc", "auprc", "ap"),
    *("precision", "recall", "iou", "miou", "dice", "ndcg", "mrr", "r2", "return", "reward"),
)
"""Words of a metric's name. Printed with a summary; what they do not decide, the user says with ``--mode``."""

_TWO_WORDS = {
    ("cross", "entropy"): "min",
    ("average", "precision"): "max",
    ("grad", "norm"): "min",
    ("gradient", "norm"): "min",
}
_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


def words(tag: str) -> list[str]:
    """Words of a tag in lower case, split at punctuation and capitals.

    >>> words("validation/mean_average_precision"), words("valLoss"), words("val/F1")
    (['validation', 'mean', 'average', 'precision'], ['val', 'loss'], ['val', 'f1'])
    """
    return [word.lower() for word in _WORD.findall(tag)]


def mode_of(tag: str) -> str | None:
    """``"min"`` or ``"max"`` from the last word of a tag that tells; None if no word does.

    >>> [mode_of(tag) for tag in ("val_loss", "validation/wer", "test/top1_error", "val/AUROC", "grad_norm", "score")]
    ['min', 'min', 'min', 'max', 'min', None]
    """
    parts = words(tag)
    for position in reversed(range(len(parts))):
        two = _TWO_WORDS.get((parts[position - 1], parts[position])) if position else None
        if two is not None:
            return two
        if parts[position] in LOWER_IS_BETTER:
            return "min"
        if parts[position] in HIGHER_IS_BETTER:
            return "max"
    return None
