"""Group labels short enough for a table: what all groups share is said once, keys lose their path."""

from collections.abc import Sequence

from stabilimeter.present.wording import printable


def short_labels(labels: Sequence[str]) -> tuple[list[str], str]:
    """Labels without what they have in common, and what they have in common.

    A label made of ``key=value`` parts joined by commas, as Hydra writes overrides, loses the parts that every label
    has; ``model.lr`` becomes ``lr`` unless another key would be called the same. Other labels stay as they are.

    >>> short_labels(["experiment=gpt,model.lr=0.1", "experiment=gpt,model.lr=1.0"])
    (['lr=0.1', 'lr=1.0'], 'experiment=gpt')
    >>> short_labels(["opt.lr=1,ema.lr=2", "opt.lr=2,ema.lr=2"])
    (['lr=1', 'lr=2'], 'ema.lr=2')
    >>> short_labels(["base", "tuned"])
    (['base', 'tuned'], '')
    """
    parts = [[part.strip() for part in printable(label).split(",")] for label in labels]
    if len(parts) < 2 or not all("=" in part for label in parts for part in label):
        return [printable(label) for label in labels], ""
    common = [part for part in parts[0] if all(part in label for label in parts)]
    own = [[part for part in label if part not in common] for label in parts]
    keys = {part.partition("=")[0] for label in own for part in label}
    short = {key: key.rpartition(".")[2] for key in keys}
    names = list(short.values())
    short = {key: name if names.count(name) == 1 else key for key, name in short.items()}
    texts = []
    for label in own:
        pairs = [part.partition("=") for part in label]
        texts.append(" ".join(f"{short[key]}={value}" for key, _, value in pairs) or "(no more overrides)")
    return texts, ", ".join(common)
