"""Pictures for papers: drawn by Matplotlib, without its global state, as PNG, PDF and in TensorBoard."""

import io
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stabilimeter.records.discovery import SUMMARY_DIR
from stabilimeter.records.events.encoding import file_header, summary_event

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#5f6368"
"""Okabe and Ito's colours, which people with any colour vision can tell apart; vermillion is kept for failures."""
COLOURS = (BLUE, "#cc79a7", GREEN, "#e69f00", "#56b4e9")
DPI = 200


def new_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """An empty figure of so many inches, with one pair of axes.

    Raises:
        ImportError: if Matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", color="#e4e6e9", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def save_figure(figure: "Figure", folder: Path, name: str) -> Path:
    """Writes ``<name>.png``, ``<name>.pdf`` and an image for TensorBoard's *Images* tab, in place of earlier ones.

    Args:
        figure: What to write.
        folder: The folder of a sweep whose summary has been published.
        name: Without suffix; also the name in TensorBoard.

    Returns:
        The path of the PNG.

    Raises:
        OSError: if the folder cannot be written.
    """
    from matplotlib import rc_context

    png = _encoded(figure, "png")
    (folder / f"{name}.png").write_bytes(png)
    with rc_context({"pdf.fonttype": 42}):  # text stays text: journals refuse the default's Type 3 fonts
        (folder / f"{name}.pdf").write_bytes(_encoded(figure, "pdf"))
    now = time.time()
    events = folder / SUMMARY_DIR / f"events.out.tfevents.{time.time_ns() // 10**9:010d}.{name}"
    events.write_bytes(file_header(now) + summary_event(now, 0, _image(name, png)))
    return folder / f"{name}.png"


def _encoded(figure: "Figure", kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI)
    return buffer.getvalue()


def _image(tag: str, png: bytes) -> bytes:
    """A ``Summary`` with one image; its size stands in the header of a PNG."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = struct.unpack(">II", png[16:24])
    image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
    message: bytes = Summary(value=[Summary.Value(tag=tag, image=image)]).SerializeToString()
    return message
