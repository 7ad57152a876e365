"""The answer of a comparison in one plain sentence, and its numbers as people write them."""

import math

from stabilimeter.analysis.comparison import Answer, Comparison, Margin, MetricComparison, Pair
from stabilimeter.present.wording import MISSING, count, number, points, printable
from stabilimeter.stats.power import ALPHA


def sentence(comparison: Comparison) -> str:
    """The answer in one sentence for a reader who reads nothing else."""
    failures = comparison.failures
    reasons = []
    if failures.new or failures.p <= ALPHA:
        reasons.append(f"{_failed(comparison, 1)} failed, {_failed(comparison, 0)}")
    reasons += [_metric_in_words(tag, comparison) for tag in comparison.deciding]
    if not comparison.deciding:
        reasons.append("too few seeds survived to compare a metric")
    reasons += _steadiness(comparison)
    return f"{comparison.verdict.value.capitalize()}: {'; '.join(reasons)}."


def _failed(comparison: Comparison, side: int) -> str:
    k, n = comparison.failures.k[side], comparison.failures.n[side]
    return f"{k} of {n} seeds of the {('baseline', 'candidate')[side]}"


def _metric_in_words(tag: str, comparison: Comparison) -> str:
    metric, name, p = comparison.metrics[tag], printable(tag), p_value(decisive_p(comparison, tag))
    seeds = f"{metric.n[0]} pairs of seeds" if metric.paired else _per_side(metric)
    shown = f"{signed(metric.difference)} {interval(metric.ci)}"
    if metric.answer in (Answer.BETTER, Answer.WORSE):
        said = "is" if metric.answer is comparison.verdict else f"is {metric.answer.value},"
        small = metric.margin is not None and abs(metric.difference) < metric.margin
        than = f", less than {_limit(metric)}" if small else ""
        baseline, candidate = means_in_words(metric)
        return f"{name} {said} {candidate} against {baseline} ({shown}, p = {p}, {seeds}){than}"
    if metric.answer is Answer.EQUIVALENT:
        if metric.margin is None:
            return f"{name} is {number(metric.mean[0])} in every seed of both sides"
        return f"{name} differs by less than {_limit(metric)} ({shown}, {seeds})"
    if metric.p_min > ALPHA:
        smallest = p_value(metric.p_min)
        return f"{seeds} cannot tell {name} apart, their smallest possible p is {smallest} ({shown}){_needs(metric)}"
    return f"{seeds} do not tell {name} apart ({shown}, p = {p}){_needs(metric)}"


def _per_side(metric: MetricComparison) -> str:
    if metric.n[0] == metric.n[1]:
        return f"{metric.n[0]} seeds on each side"
    return f"{metric.n[0]} against {count(metric.n[1], 'seed')}"


def _needs(metric: MetricComparison) -> str:
    needs = []
    if metric.seeds_needed is not None:
        needs.append(f"{metric.seeds_needed} seeds on each side to confirm such a difference")
    if metric.seeds_for_equivalence is not None:
        unit = "" if needs else " seeds on each side"
        needs.append(f"{metric.seeds_for_equivalence}{unit} to show equivalence")
    return f": it would take about {', or '.join(needs)}" if needs else ""


def _steadiness(comparison: Comparison) -> list[str]:
    stability, spread = comparison.stability, comparison.spread
    found = []
    if stability.answer is not Answer.INCONCLUSIVE and None not in stability.score:
        word = "more" if stability.answer is Answer.BETTER else "less"
        found.append(f"it is {word} stable, score {points(stability.score[1])} against {points(stability.score[0])}")
    if spread.answer is not Answer.INCONCLUSIVE and spread.sd is not None:
        word = "less" if spread.answer is Answer.BETTER else "more"
        found.append(f"its seeds scatter {word}, SD {number(spread.sd[1], 2)} against {number(spread.sd[0], 2)}")
    return found


def decisive_p(comparison: Comparison, tag: str) -> float:
    """The p that a metric is judged by: its own for the primary metric, else Holm's."""
    metric = comparison.metrics[tag]
    return metric.p if tag == comparison.primary_metric else metric.p_holm


def means_in_words(metric: MetricComparison) -> tuple[str, str]:
    """Both means, to two digits of the uncertainty of their difference."""
    margin = (metric.ci[1] - metric.ci[0]) / 2
    exponent = math.floor(math.log10(margin)) if margin > 0 else math.inf
    if not -6 <= exponent < 6 or max(map(abs, metric.mean)) >= 1e7:
        return number(metric.mean[0]), number(metric.mean[1])
    decimals = max(0, 1 - int(exponent))
    return f"{metric.mean[0]:.{decimals}f}", f"{metric.mean[1]:.{decimals}f}"


def _limit(metric: MetricComparison) -> str:
    if metric.margin_from is Margin.SEED_SD:
        return f"{number(metric.margin, 2)}, the baseline's SD over seeds"
    return f"the margin of {number(metric.margin, 2)}"


def p_value(p: float | None) -> str:
    """A p with two significant digits.

    >>> p_value(0.0079365), p_value(1.08e-05), p_value(1.0), p_value(None)
    ('0.0079', '1.1e-05', '1', '-')
    """
    return MISSING if p is None else f"{p:.2g}"


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"+{number(value, 2)}" if value > 0 else number(value, 2)


def interval(limits: Pair) -> str:
    """An interval of a difference."""
    return f"[{', '.join(signed(limit) for limit in limits)}]"
