"""What a recipe asks of its sweep, beyond how stable each group of seeds is."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.summary import Summary
from stabilimeter.present.publish import write_text
from stabilimeter.records import strict_json
from stabilimeter.records.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure


class Question(Protocol):
    """Asked once, when all runs of a sweep are on disk."""

    def answer(self, sweep: Sweep, summary: Summary, folder: Path) -> RenderableType:
        """Writes the answer into the folder of the sweep, and returns it for the terminal.

        Raises:
            RecipeError: if the runs do not answer the question.
        """
        ...


def published(
    name: str,
    result: "Mapping[str, object]",
    answer: RenderableType,
    draw: "Callable[[], Figure]",
    folder: Path,
) -> RenderableType:
    """Writes ``<name>.json`` and the picture; the answer for the terminal, with the files it is in.

    Without Matplotlib there is no picture, and the answer says so.
    """
    from stabilimeter.present.figure import save_figure

    write_text(folder / f"{name}.json", strict_json.dumps(result, indent=1) + "\n")
    written = f"{name}.json, .png and .pdf"
    try:
        save_figure(draw(), folder, name)
    except ImportError as error:
        written = f"{name}.json; no picture ({error}: pip install 'stabilimeter[recipes]')"
    shown = shlex.quote(str(folder))
    lines = [f"{written} are in {shown}", f"each group of seeds   stabilimeter summarize {shown}"]
    return Group(answer, Text(), *(Text(line, no_wrap=True, overflow="ignore") for line in lines), Text())
