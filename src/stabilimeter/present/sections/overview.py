"""Overview: the score of every group and where its points went."""

from stabilimeter.present.ranking import named_groups
from stabilimeter.present.report_parts import Block, Material, Prose, ScoreBar, ScoreBars, Section
from stabilimeter.present.score_tables import COMPONENTS, marked_score, points_lost, scores
from stabilimeter.present.table import Tone
from stabilimeter.present.wording import count, interval

MAX_BARS = 40


def overview(material: Material) -> Section:
    """Scores, failed seeds and the primary metric of every group."""
    named, (_, common) = material.named, named_groups(material.summary)
    blocks: list[Block] = [Prose(f"All groups: {common}", Tone.FAINT)] if common else []
    blocks += [_bars(material), material.grouped(scores(named))]
    lost = points_lost(named, material.summary.half_points)
    blocks += [material.grouped(lost)] if lost is not None else []
    question = "Can this recipe be relied on?" if len(named) == 1 else "Which of these recipes can be relied on?"
    return Section("Overview", question, _answer(material), tuple(blocks))


def _answer(material: Material) -> str:
    named = material.named
    scored = [pair for pair in named if pair[1].stability.score is not None]
    meaning = (
        "100 means that every seed trains, steadily, and all to the same result; a seed that fails counts as zero."
    )
    if not scored:
        return "There is no stability score; the notes under Configuration and environment say why."
    if len(scored) == 1:
        return f"Stability {marked_score(scored[0][1])} of 100. {meaning}"
    least = min(scored, key=lambda pair: pair[1].stability.score or 0.0)
    n_failed = sum(group.n_failed for _, group in named)
    n_clean = sum(not group.n_failed for _, group in named)
    return (
        f"{n_clean} of {count(len(named), 'group')} lost no seed ({count(n_failed, 'failed seed')} in all). "
        f"Most stable: {scored[0][0]} ({marked_score(scored[0][1])} of 100); "
        f"least: {least[0]} ({marked_score(least[1])}). {meaning}"
    )


def _bars(material: Material) -> ScoreBars:
    bars = []
    for label, group in material.named[:MAX_BARS]:
        stability = group.stability
        limits = interval(stability.low, stability.high)
        text = marked_score(group) + (f" {limits}" if stability.low is not None else "")
        lost = tuple((words, stability.points_lost.get(key, 0.0)) for key, words in COMPONENTS.items())
        bars.append(ScoreBar(label, stability.score, text, lost))
    return ScoreBars(tuple(bars))
