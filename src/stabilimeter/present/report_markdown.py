"""A report as Markdown, for a pull request; its pictures are left out, every figure is in the tables."""

from stabilimeter.present.report_parts import Prose, Report
from stabilimeter.present.table import Table, escaped, markdown


def report_markdown(report: Report) -> str:
    """The report in GitHub's Markdown, with whatever Markdown or HTML its texts contain made harmless."""
    parts = [f"# {escaped(report.title)}\n", "".join(f"- {escaped(said.text)}\n" for said in report.answer)]
    for section in report.sections:
        parts += [f"## {escaped(section.title)}\n", f"*{escaped(section.question)}* {escaped(section.answer)}\n"]
        for block in section.blocks:
            if isinstance(block, Table):
                parts.append(markdown(block))
            elif isinstance(block, Prose):
                parts.append(f"{escaped(block.text)}\n")
    return "\n".join([*parts, f"{escaped(report.footer)}\n"])
