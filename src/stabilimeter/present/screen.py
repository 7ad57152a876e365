"""Where a watched summary is shown: in place on a terminal, one after the other in a pipe."""

from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

from stabilimeter.present.terminal import MAX_WIDTH, show, to_text
from stabilimeter.present.watch import Screen


def screen_on(file: TextIO) -> Screen:
    """The screen that suits ``file``."""
    console = Console(file=file, highlight=False)
    return LiveScreen(file) if console.is_terminal and not console.is_dumb_terminal else Pipe(file)


class LiveScreen:
    """A terminal: redrawn in place on its alternate screen, printed in full at the end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last: RenderableType | None = None
        self._live = Live(console=Console(file=file, highlight=False), screen=True, auto_refresh=False)

    def show(self, content: RenderableType, status: str) -> None:
        """Redraw; what does not fit is cut off at the bottom."""
        self._live.start()
        self._last = content
        self._live.update(Constrain(Group(Text(status, style="dim"), content), MAX_WIDTH), refresh=True)

    def close(self) -> None:
        """Return to the screen from before, and print the last content there in full."""
        self._live.stop()
        if self._last is not None:
            show(self._last, self._file)


class Pipe:
    """A file or a pipe: what is new is printed below the old, and nothing if nothing is."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""

    def show(self, content: RenderableType, status: str) -> None:
        """Print the content if it is another one than before."""
        text = to_text(content)
        if text != self._text:
            self._text = text
            show(content, self._file)
            self._file.flush()

    def close(self) -> None:
        """Everything is printed already."""
