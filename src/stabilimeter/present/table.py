"""A table before anybody knows where it will be drawn."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Tone(Enum):
    """What a cell means to the reader; the view chooses a colour, or none."""

    PLAIN = "plain"
    STRONG = "strong"
    FAINT = "faint"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True)
class Cell:
    """Text with a tone."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Column:
    """A column head; ``numeric`` columns are aligned to the right and never broken over lines."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells, as many as there are columns, under a title.

    Attributes:
        title: May be empty.
        columns: Heads.
        rows: Cells.
        caption: Explains what is not obvious; may be empty.
        heads_needed: False if the cells speak for themselves, so that a terse view can do without the heads.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    heads_needed: bool = True

    def without_first_column(self) -> "Table":
        """The same table for a reader who knows what the first column would say."""
        return replace(self, columns=self.columns[1:], rows=tuple(row[1:] for row in self.rows))


def row(*cells: str | Cell) -> tuple[Cell, ...]:
    """A row in which plain text needs no ``Cell``."""
    return tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells)


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, with whatever Markdown or HTML its text contains made harmless."""
    lines = [f"### {escaped(table.title)}", ""] if table.title else []
    lines.append(_line(column.name for column in table.columns))
    lines.append("|" + "|".join("---:" if column.numeric else "---" for column in table.columns) + "|")
    lines += [_line(cell.text for cell in cells) for cells in table.rows]
    if table.caption:
        lines += ["", escaped(table.caption)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(text: str) -> str:
    """Text as Markdown shows it: on one line, with its Markdown and HTML made harmless."""
    text = text.replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;")
    for character in "\\`*_[]|":
        text = text.replace(character, f"\\{character}")
    return text
