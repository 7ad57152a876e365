"""Whether runs of two groups belong together in pairs, because they share their seeds."""

from stabilimeter.analysis.side import Side
from stabilimeter.stats.power import MIN_PAIRS


def seeds_are_shared(baseline: Side, candidate: Side) -> bool:
    """Whether both sides consist of the same seeds, each once.

    Only seeds that a run states itself count (manifest or Hydra override), never folder names such as ``study_0``.
    """
    first, second = ([run.seed for run in side.finished] for side in (baseline, candidate))
    if not all(isinstance(seed, int) for seed in (*first, *second)):
        return False
    return len(set(first)) == len(first) and len(set(second)) == len(second) and set(first) == set(second)


def pairs_of(baseline: Side, candidate: Side, tag: str) -> list[tuple[float, float]] | None:
    """Final values of a metric of each seed that both sides have and that failed on neither; None if unpaired.

    Fewer than six pairs are not treated as such: their signs cannot give ``p <= 0.05`` (2 / 2^5 = 0.0625). The unpaired
    test holds its level for pairs too; it only errs on the safe side the more alike the runs of a pair are. Which of
    the two is used depends on the seeds alone, never on the values.
    """
    if not seeds_are_shared(baseline, candidate):
        return None
    first, second = _by_seed(baseline, tag), _by_seed(candidate, tag)
    common = sorted(set(first) & set(second))
    return [(first[seed], second[seed]) for seed in common] if len(common) >= MIN_PAIRS else None


def _by_seed(side: Side, tag: str) -> dict[int, float]:
    finals = side.finals(tag)
    return {int(run.seed): finals[run.path] for run in side.survivors if run.path in finals}
