"""How well incidents are found in real logs, beside the rules in use today.

    python benchmarks/detection.py LOGS                  a minute or two
    python benchmarks/detection.py LOGS --peers PYTHON   of an environment with trainscope, losslint and trainspotter

LOGS is a folder with training logs (anything that ``stabilimeter.read_run`` reads) and a ``labels.json``:

    {"events": [{"group": "a", "run": "study_0",     which run the event is in
                 "csv": "a/study_0/log.csv",         or "file": the log itself or a file in its folder, relative to LOGS
                 "tag": "loss", "kind": "spike", "certainty": "clear",       "clear" or anything else
                 "step": 100, "step_end": 300}],     step_end null: a single point
     "clean_runs": [{"group": "a", "run": "study_1", "tags_clean": ["loss"], "certainty": "clear"}]}

The first row, ``summarize``, is what ``stabilimeter summarize LOGS`` lists in ``summary.json``, incidents that only the
seeds together show included. ``detect`` is the same rule on each series alone, as the rules of others see it.

An event is found if an alarm lies within two logging intervals of its span. For our rule the alarm is a whole
incident; the column ``onset`` asks that it begins within two intervals of the labelled step. Kinds named with
``--deliberate`` (jumps that were meant) and ``--elsewhere`` (what no rule on a single series can see) are left out of
the recall.

False alarms are counted on runs labelled clean. Precision is counted on the losses of the groups given with
``--complete``, where every event of at least 1.5 times the level is labelled: an alarm on a smaller, unlabelled jump is
neither right nor wrong there, and ``strict`` counts it as wrong.
"""

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from peers import CODED, Rule, Span, fingerprint, real_rules
from stabilimeter import detect, read_run, read_sweep, summarize
from stabilimeter.analysis.roles import GRAD_NORM_NAMES
from stabilimeter.records.directions import mode_of
from stabilimeter.records.run import Run, Series


class Logs:
    """The labelled runs below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        labels = json.loads((root / "labels.json").read_text(encoding="utf-8"))
        self.events: list[dict[str, Any]] = labels["events"]
        self.clean: list[dict[str, Any]] = labels["clean_runs"]

    def series(self, entry: dict[str, Any], tag: str) -> Series:
        """The series that a label speaks of, turned so that lower is better."""
        return oriented(run_at(self._home(entry))[tag], tag)

    def all_series(self, groups: list[str]) -> dict[tuple[Path, str], Series]:
        """Every series that a rule will be asked about, by the place of its run and its tag."""
        asked = [(self._home(event), event["tag"]) for event in self.events]
        asked += [(self._home(entry), tag) for entry in self.clean for tag in entry["tags_clean"]]
        asked += [(home, "loss") for home in self._homes(groups).values()]
        return {(home, tag): oriented(run_at(home)[tag], tag) for home, tag in asked if tag in run_at(home)}

    def losses(self, groups: list[str]) -> list[tuple[str, str, Series]]:
        """Every training loss of these groups: group, run, series."""
        homes = self._homes(groups)
        return [(*name, run_at(home)["loss"]) for name, home in sorted(homes.items()) if "loss" in run_at(home)]

    def _homes(self, groups: list[str]) -> dict[tuple[str, str], Path]:
        entries = {(e["group"], e["run"]): self._home(e) for e in [*self.events, *self.clean] if e["group"] in groups}
        for (group, _), home in list(entries.items()):
            entries.update({(group, path.name): path for path in home.parent.iterdir() if path.is_dir()})
        return entries

    def _home(self, entry: dict[str, Any]) -> Path:
        file = self.root / (entry.get("file") or entry["csv"])
        return file if file.parent.name != entry["run"] else file.parent


@cache
def run_at(path: Path) -> Run:
    """The run, read once."""
    return read_run(path)


def oriented(series: Series, tag: str) -> Series:
    """The series, turned over if more is better."""
    return Series(series.steps, -series.values) if mode_of(tag) == "max" else series


def ours(logs: Logs, groups: list[str]) -> dict[str, Rule]:
    """Our rule: what a summary of the logs lists, and each series alone."""
    summary = summarize(read_sweep(logs.root), rng=np.random.default_rng(0)).to_dict()
    runs = {logs.root / run["path"]: run["incidents"] for group in summary["groups"] for run in group["runs"]}
    listed: dict[bytes, list[Span]] = {}
    alone: dict[bytes, list[Span]] = {}
    for (home, tag), series in logs.all_series(groups).items():
        place = fingerprint(series.steps, series.values)
        listed[place] = [(i["step"], i["end_step"]) for i in runs[home] if i["key"] == tag]
        found = detect(series.steps.tolist(), series.values.tolist(), positive=tag in GRAD_NORM_NAMES)
        alone[place] = [(i.step, i.end_step) for i in found]
    return {
        "summarize": lambda steps, values: listed[fingerprint(steps, values)],
        "detect": lambda steps, values: alone[fingerprint(steps, values)],
    }


def interval(series: Series) -> float:
    """Twice the median logging interval."""
    return 2.0 * float(np.median(np.diff(series.steps)))


def recall(logs: Logs, rule: Rule, left_out: set[str]) -> tuple[dict[str, list[bool]], list[bool], list[float]]:
    """Found or not by kind, begun at the event or not, and the delays of those found."""
    found: dict[str, list[bool]] = {}
    onset, delays = [], []
    for event in logs.events:
        if event["certainty"] != "clear" or event["kind"] in left_out:
            continue
        series = logs.series(event, event["tag"])
        near = interval(series)
        end = event["step_end"] or event["step"]
        spans = rule(series.steps, series.values)
        hits = [s for s in spans if s[0] <= end + near and s[1] >= event["step"] - near]
        found.setdefault(event["kind"], []).append(bool(hits))
        onset.append(any(abs(s[0] - event["step"]) <= near for s in hits))
        if hits:
            delays.append(max(0.0, hits[0][0] - event["step"]) / (near / 2.0))
    return found, onset, delays


def false_alarms(logs: Logs, rule: Rule) -> tuple[int, int]:
    """Alarms on clear clean runs, and the number of points there."""
    alarms = points = 0
    for clean in logs.clean:
        for tag in clean["tags_clean"] if clean["certainty"] == "clear" else ():
            series = logs.series(clean, tag)
            alarms += len(rule(series.steps, series.values))
            points += len(series.values)
    return alarms, points


def precision(logs: Logs, rule: Rule, groups: list[str]) -> tuple[int, int, int]:
    """Alarms on the losses of these groups: right, wrong, and too small to have been labelled."""
    right = wrong = small = 0
    for group, run, series in logs.losses(groups):
        near = interval(series)
        labels = [
            (e["step"] - near, (e["step_end"] or e["step"]) + near)
            for e in logs.events
            if (e["group"], e["run"], e["tag"]) == (group, run, "loss")
        ]
        for first, last in rule(series.steps, series.values):
            inside = (series.steps >= first) & (series.steps <= last)
            before = series.values[: int(np.argmax(inside))][-10:]
            if any(first <= high and last >= low for low, high in labels):
                right += 1
            elif np.nanmax(series.values[inside]) < 1.5 * np.nanmedian(before):
                small += 1
            else:
                wrong += 1
    return right, wrong, small


def main() -> None:
    """Print recall, false alarms and precision of every rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path)
    parser.add_argument("--complete", nargs="*", default=["a01_base_wmt", "a25_caspr_wmt"], metavar="GROUP")
    parser.add_argument("--deliberate", nargs="*", default=["schedule_lr_restart", "reinit_by_design"], metavar="KIND")
    parser.add_argument(
        "--elsewhere",
        nargs="*",
        default=["shared_batch_outlier", "seed_specific_outlier", "outlier_seed", "checkpoint_regression"],
        metavar="KIND",
    )
    parser.add_argument(
        "--peers", type=Path, metavar="PYTHON", help="run trainscope, losslint, trainspotter of this one"
    )
    arguments = parser.parse_args()
    logs = Logs(arguments.logs)
    left_out = {*arguments.deliberate, *arguments.elsewhere}
    rules = {**ours(logs, arguments.complete), **CODED}
    real = {}
    if arguments.peers is not None:
        real = real_rules(arguments.peers, [(s.steps, s.values) for s in logs.all_series(arguments.complete).values()])
    rules |= real
    print(f"{'rule':16}{'recall':>14}{'onset':>8}{'delay':>7}{'false/1000':>12}{'precision':>11}{'strict':>8}")
    by_kind: dict[str, dict[str, str]] = {}
    for name, rule in rules.items():
        found, onset, delays = recall(logs, rule, left_out)
        alarms, points = false_alarms(logs, rule)
        right, wrong, small = precision(logs, rule, arguments.complete)
        hits, total = sum(map(sum, found.values())), sum(map(len, found.values()))
        exact = f"{right / (right + wrong):.2f}" if right + wrong else "-"
        strict = f"{right / (right + wrong + small):.2f}" if right + wrong + small else "-"
        share = f"{hits}/{total} {hits / total:.0%}"
        delay = f"{np.mean(delays):.1f}" if delays else "-"
        rate = f"{1000 * alarms / points:.3f}"
        print(f"{name:16}{share:>14}{np.mean(onset):>8.0%}{delay:>7}{rate:>12}{exact:>11}{strict:>8}")
        for kind, marks in found.items():
            by_kind.setdefault(kind, {})[name] = f"{sum(marks)}/{len(marks)}"
    print(f"\nRun for real: {', '.join(['Lightning', *real])}. Coded in peers.py: the others.")
    print("\nfound, by kind" + " " * 10 + "".join(f"{name[:12]:>14}" for name in rules))
    for kind, counts in sorted(by_kind.items()):
        print(f"{kind:24}" + "".join(f"{counts[name]:>14}" for name in rules))


if __name__ == "__main__":
    main()
