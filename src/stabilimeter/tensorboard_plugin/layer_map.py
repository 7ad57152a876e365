"""A vector signal of one seed as a heat map: layers over steps, and which of them moved first."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.first_movers import healthy_seeds, layers_that_moved
from stabilimeter.analysis.roles import roles_in
from stabilimeter.present.wording import count, number, printable
from stabilimeter.records.run import Run
from stabilimeter.tensorboard_plugin.overview import seed_name, seed_state
from stabilimeter.tensorboard_plugin.polyline import polyline
from stabilimeter.tensorboard_plugin.question import QuestionError
from stabilimeter.tensorboard_plugin.snapshot import Snapshot

MAX_COLUMNS = 400
MAX_ROWS = 200
MAX_POINTS = 2_000


def answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The vector ``key`` of ``run``; without arguments the first failed seed that has one, else the first seed.

    Raises:
        QuestionError: if there is no such run or vector.
    """
    choices = [
        (own, about)
        for group, own in zip(snapshot.sweep.groups, snapshot.summary.groups, strict=True)
        for run, about in zip(group.runs, own.runs, strict=True)
        if run.vector_keys()
    ]
    if not choices:
        raise QuestionError("no run has recorded a signal per layer")
    failed = [about for _, about in choices if about.failed]
    own, run, about = snapshot.run(arguments.get("run") or (failed or [choices[0][1]])[0].path)
    key = arguments.get("key") or next(iter(run.vector_keys()), "")
    if key not in run.vector_keys():
        raise QuestionError(f"{about.path} has no signal per layer {key!r}")
    steps, values, names = run.vectors(key)
    reference, healthy = healthy_seeds(snapshot.sweep, snapshot.summary, own.label)
    others = [other for other in healthy if other is not run and key in other.vector_keys()]
    moved = layers_that_moved(run, others, key)
    rows = _rows(values)
    columns, largest = _columns(steps, values[:, rows])
    expected = _expected(others, key, columns, rows)
    loss = roles_in(snapshot.group(own.label)[0].runs).train_loss
    return {
        "path": about.path,
        "name": seed_name(about),
        "key": key,
        "keys": list(run.vector_keys()),
        "runs": [
            {"path": one.path, "name": seed_name(one), "group": group.label, "state": seed_state(one)}
            for group, one in choices
        ],
        "n_layers": values.shape[1],
        "names": [printable(names[row]) for row in rows],
        "steps": columns.tolist(),
        "values": _logarithms(largest),
        "expected": None if expected is None else _logarithms(expected),
        "against": None if expected is None or reference is None else count(len(others), "healthy seed"),
        "moved": [
            {
                "name": printable(mover.key),
                "step": mover.step,
                "from_start": mover.from_start,
                "size": f"{number(mover.value, 3)} (healthy seeds: {number(mover.healthy, 3)})",
            }
            for mover in moved
        ],
        "lost_at": next((seed.lost_at for seed in snapshot.failed if seed.run.path == about.path), None),
        "loss": None
        if loss is None or loss not in run
        else {"tag": loss, "curve": asdict(polyline(run[loss], MAX_POINTS))},
    }


def _rows(values: NDArray[np.float64]) -> list[int]:
    """Which layers to show: all, or of very many those that change the most."""
    if values.shape[1] <= MAX_ROWS:
        return list(range(values.shape[1]))
    positive = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    with np.errstate(all="ignore"):
        change = np.nan_to_num(np.nanmax(positive, axis=0) / np.nanmedian(positive, axis=0), nan=np.inf)
    return sorted(np.argsort(-change, kind="stable")[:MAX_ROWS].tolist())


def _columns(steps: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """At most `MAX_COLUMNS` columns: of each stretch the first step and the largest values, NaN before all."""
    starts = np.unique(np.linspace(0, steps.size, min(MAX_COLUMNS, steps.size), endpoint=False).astype(np.intp))
    if not starts.size:
        return steps, values
    return steps[starts], np.maximum.reduceat(values, starts, axis=0)


def _expected(
    others: Sequence[Run], key: str, columns: NDArray[np.int64], rows: Sequence[int]
) -> NDArray[np.float64] | None:
    """Median over healthy seeds at the last step recorded up to each column; None without such seeds."""
    found = []
    for other in others:
        steps, values, _ = other.vectors(key)
        if values.shape[1] <= max(rows, default=0) or not steps.size:
            continue
        at = np.searchsorted(steps, columns, side="right") - 1
        found.append(np.where((at >= 0)[:, None], values[np.maximum(at, 0)][:, rows], np.nan))
    if not found:
        return None
    with np.errstate(all="ignore"):
        median: NDArray[np.float64] = np.median(np.stack(found), axis=0)
    return median


def _logarithms(values: NDArray[np.float64]) -> list[list[float | str | None]]:
    """log10 by layer and step; zero is None, a non-finite value its name."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.round(np.log10(values), 3)
    rows: list[list[float | str | None]] = []
    for norms, layer in zip(values.T.tolist(), logs.T.tolist(), strict=True):
        rows.append([_cell(norm, log) for norm, log in zip(norms, layer, strict=True)])
    return rows


def _cell(norm: float, log: float) -> float | str | None:
    if norm != norm:
        return "NaN"
    if norm == float("inf"):
        return "Infinity"
    return None if norm <= 0 else log
