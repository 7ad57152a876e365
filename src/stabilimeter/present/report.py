"""A report of one sweep: the answer in plain words, then a section per question."""

from collections.abc import Callable

from stabilimeter import __version__
from stabilimeter.present.plain_answer import answer
from stabilimeter.present.report_parts import Material, Report, Section
from stabilimeter.present.sections.checkpoints import checkpoints
from stabilimeter.present.sections.comparison import comparison
from stabilimeter.present.sections.configuration import configuration
from stabilimeter.present.sections.incidents import incidents
from stabilimeter.present.sections.methods import methods
from stabilimeter.present.sections.overview import overview
from stabilimeter.present.sections.seeds import seeds
from stabilimeter.present.wording import printable

SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    overview,
    seeds,
    incidents,
    checkpoints,
    comparison,
    configuration,
    methods,
)
"""In reading order; a section without anything to say is None."""


def report(material: Material, *, made: str) -> Report:
    """Everything there is to say about a sweep.

    Args:
        material: The sweep, its summary, and its comparison with a baseline.
        made: When the report was made, for its foot.
    """
    name = printable(material.name)
    return Report(
        title=f"Is {name} stable?",
        answer=answer(material),
        sections=tuple(section for make in SECTIONS if (section := make(material)) is not None),
        footer=f"Made by stabilimeter {__version__} from {name}, {made}. "
        "The same figures: stabilimeter summarize, summary.json, the Stability tab in TensorBoard.",
    )
