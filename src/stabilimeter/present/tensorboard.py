"""A summary as TensorBoard runs: the mean and band across the seeds of each group, and what is worth reading as text.

Runs, below ``SUMMARY_DIR`` beside the runs of the seeds:

- ``across_seeds``: the summary as text (``Stability``); the layout of the Custom Scalars tab; the columns of the
  HPARAMS tab.
- ``across_seeds/<group>``: ``<key>``, the mean across seeds, in the same chart as the seeds themselves; for the
  margin charts ``~range/<key>/mean``, ``min`` and ``max`` over seeds, and for metrics ``~interval/<key>/mean``,
  ``low`` and ``high``, the 95 % limits of the mean where three seeds have a value; ``incidents`` as text; where
  groups differ by overrides the scores as single points ``~score/...``, for the HPARAMS tab (see `hparams`).

A margin chart wants its three tags at the very same steps and complains about a run that has only some of them, hence a
mean of its own for each. The tilde sorts them behind everything else. Bands come from the files of the seeds by way of
the analysis, never from the 1,000 points that TensorBoard keeps of a curve.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.summary import GroupSummary, Summary
from stabilimeter.present import hparams
from stabilimeter.present.labels import short_labels
from stabilimeter.present.metric_table import metric_tags
from stabilimeter.present.seeds import seeds_named
from stabilimeter.present.table import Column, Table, markdown, row
from stabilimeter.present.tables import sections
from stabilimeter.present.wording import incident_in_words, printable
from stabilimeter.records.discovery import SUMMARY_DIR
from stabilimeter.records.events.encoding import file_header, scalar_block, scalars_event, summary_event, text_value

CATEGORIES = {
    "range": ("Across seeds: mean, lowest to highest seed", ("mean", "min", "max")),
    "interval": ("Across seeds: mean and its 95 % interval", ("mean", "low", "high")),
}
"""Kinds of band: title in the Custom Scalars tab, and the line, lower and upper edge."""

MAX_INCIDENT_ROWS = 500


def write_summary_runs(summary: Summary, out_dir: Path) -> Path:
    """Write the summary runs below ``out_dir / SUMMARY_DIR``, in place of those of an earlier summary.

    Returns:
        The folder of the summary runs.

    Raises:
        OSError: if ``out_dir`` cannot be written; what was there before is then unharmed.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    target = out_dir / SUMMARY_DIR
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=f".{SUMMARY_DIR}-") as scratch:
        fresh, old = Path(scratch) / "fresh", Path(scratch) / "old"
        overrides = hparams.swept([group.label for group in summary.groups])
        for index, (name, group) in enumerate(zip(run_names(summary), summary.groups, strict=True)):
            frames = _group_events(group, metric_tags(summary))
            _write_run(fresh / name, frames + (b"" if overrides is None else _row(group, overrides[index])))
        columns = b"" if overrides is None else summary_event(time.time(), 0, hparams.experiment(summary, overrides))
        _write_run(
            fresh, _overview(summary) + columns
        )  # last: TensorBoard gives out its six good colours by start time
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    return target


def run_names(summary: Summary) -> list[str]:
    """Folder names for the groups: their short labels, made safe for a file system, and unique."""
    names: list[str] = []
    for label in short_labels([group.label for group in summary.groups])[0]:
        safe = re.sub(r"[^\w=.,+@-]", "_", label).strip(".")[:120] or "all"
        name, copies = safe, 1
        while name.casefold() in [taken.casefold() for taken in names]:
            copies += 1
            name = f"{safe}_{copies}"
        names.append(name)
    return names


def _write_run(folder: Path, frames: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # TensorBoard follows a run from file to file by name, so each summary needs names of its own.
    now = time.time_ns()
    name = f"events.out.tfevents.{now // 10**9:010d}.{now % 10**9:09d}.stabilimeter"
    (folder / name).write_bytes(file_header(now / 1e9) + frames)


def _overview(summary: Summary) -> bytes:
    text = "\n".join(markdown(table) for table in sections(summary))
    return summary_event(time.time(), 0, text_value("Stability", text)) + summary_event(
        time.time(), 0, _layout(summary)
    )


def _group_events(group: GroupSummary, metrics: list[str]) -> bytes:
    text = text_value("incidents", markdown(incident_table(group)))
    frames = [summary_event(time.time(), 0, text)]
    for key, band in group.bands.items():
        frames.append(_curves((key,), band.steps, band.mean[:, None]))
        for kind, lines in _bands(group, key, metrics):
            tags = tuple(f"~{kind}/{key}/{line}" for line in lines)
            frames.append(_curves(tags, band.steps, np.column_stack([getattr(band, line) for line in lines])))
    return b"".join(frames)


def _row(group: GroupSummary, overrides: dict[str, hparams.Value]) -> bytes:
    """The group as a row of the HPARAMS tab: its overrides, and its scores as single points at its last step."""
    points = hparams.score_points(group)
    last = max((run.last_step or 0 for run in group.runs), default=0)
    return summary_event(time.time(), 0, hparams.session(overrides)) + (
        scalars_event(time.time(), last, points) if points else b""
    )


def _bands(group: GroupSummary, key: str, metrics: list[str]) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """The kinds of band that a series of a group has, each with its three lines."""
    if key not in group.bands:
        return
    yield "range", CATEGORIES["range"][1]
    if key in metrics and np.isfinite(group.bands[key].low).any():
        yield "interval", CATEGORIES["interval"][1]


def _curves(tags: tuple[str, ...], steps: NDArray[np.int64], values: NDArray[np.float64]) -> bytes:
    """Frames of curves that share their steps: those at which all of them have a value."""
    known = np.isfinite(values).all(axis=1)
    return scalar_block(tags, steps[known], values[known], np.full(int(known.sum()), time.time()))


def _layout(summary: Summary) -> bytes:
    """The Custom Scalars tab: a margin chart per series, with all groups in it; metrics come first."""
    from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, Layout, MarginChartContent

    metrics = metric_tags(summary)
    keys = dict.fromkeys(key for group in summary.groups for key in group.bands)
    ordered = sorted(keys, key=lambda key: metrics.index(key) if key in metrics else len(metrics))
    categories = []
    for kind, (title, (value, lower, upper)) in CATEGORIES.items():
        charts = []
        for key in ordered:
            if any(kind == found for group in summary.groups for found, _ in _bands(group, key, metrics)):
                tags = {"value": value, "lower": lower, "upper": upper}
                series = MarginChartContent.Series(**{role: f"~{kind}/{key}/{line}" for role, line in tags.items()})
                charts.append(Chart(title=key, margin=MarginChartContent(series=[series])))
        # The tab shows the charts of a category from the last to the first.
        categories += [Category(title=title, chart=charts[::-1])] if charts else []
    return _layout_summary(Layout(category=categories).SerializeToString())


def _layout_summary(layout: bytes) -> bytes:
    """The layout as TensorBoard looks for it; its own function for this needs TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary as SummaryMessage
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG, PLUGIN_NAME

    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME))
    tensor = TensorProto(dtype="DT_STRING", string_val=[layout], tensor_shape=TensorShapeProto())
    value = SummaryMessage.Value(tag=CONFIG_SUMMARY_TAG, metadata=metadata, tensor=tensor)
    message: bytes = SummaryMessage(value=[value]).SerializeToString()
    return message


def incident_table(group: GroupSummary) -> Table:
    """Every incident of a group in the order of steps."""
    found = [(incident, run) for run in group.runs for incident in run.incidents]
    found.sort(key=lambda pair: (pair[0].step, pair[0].key))
    rows = [
        row(
            str(incident.step),
            seeds_named([run]),
            printable(incident.key),
            incident.kind.value + (" (shared)" if incident.shared else ""),
            incident_in_words(incident),
        )
        for incident, run in found[:MAX_INCIDENT_ROWS]
    ]
    columns = (Column("step", numeric=True), Column("seed"), Column("signal"), Column("kind"), Column("what"))
    caption = "" if found else "No incidents."
    if len(found) > MAX_INCIDENT_ROWS:
        caption = f"The first {MAX_INCIDENT_ROWS} of {len(found)}."
    return Table(f"Incidents of {printable(group.label)}", columns, tuple(rows), caption)
