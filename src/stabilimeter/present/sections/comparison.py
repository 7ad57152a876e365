"""Comparison: each group against its baseline."""

from stabilimeter.present.comparison import main_table, notes_table, reach
from stabilimeter.present.comparison_sentence import sentence
from stabilimeter.present.report_parts import Block, Material, Prose, Section
from stabilimeter.present.table import Tone
from stabilimeter.present.wording import printable


def comparison(material: Material) -> Section | None:
    """The answer of ``compare`` for each group and its tables; None where no baseline was given."""
    if not material.compared:
        return None
    short = {group.label: label for label, group in material.named}
    blocks: list[Block] = []
    answers = []
    for own in material.compared:
        of_group = f"{short[own.group]}: " if len(material.named) > 1 else ""
        said = f"not compared: {printable(own.refused)}" if own.comparison is None else sentence(own.comparison)
        answers.append(f"{of_group}{said}")
        if own.comparison is None:
            continue
        names = " against ".join(printable(label) for label in reversed(own.comparison.labels))
        blocks += [Prose(names, Tone.STRONG), main_table(own.comparison)]
        blocks += [reach(tag, metric) for tag, metric in own.comparison.deciding.items()]
        remarks = notes_table(own.comparison)
        blocks += [remarks] if remarks is not None else []
    if len(answers) > 1:
        blocks = [*(Prose(text) for text in answers), *blocks]
    text = answers[0] if len(answers) == 1 else f"{len(answers)} groups, each against its baseline:"
    return Section("Comparison", "Is it better than the baseline?", text, tuple(blocks))
