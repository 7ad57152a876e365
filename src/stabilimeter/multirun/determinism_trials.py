"""The same training twice, each time in a process of its own; where they part, and which flag would prevent it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stabilimeter.analysis.determinism import Remedy, Trial, parting, to_dict
from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.records import strict_json
from stabilimeter.records.digests import Kind, read_digests
from stabilimeter.records.record_error import RecordError

EXIT_DIFFERENT = 3
PLACES_FILE = "unseeded_generators.txt"
"""Where a run with seeded generators names the places that made them."""


REMEDIES = (
    Remedy("hash_seed", "PYTHONHASHSEED=0 in the environment: the order of sets", environment={"PYTHONHASHSEED": "0"}),
    Remedy(
        "generators",
        "a seed for each generator that is made without one",
        ("seed_generators=true",),
    ),
    Remedy(
        "deterministic",
        "Trainer(deterministic=True): operations that always add up in the same order",
        ("++trainer.deterministic=true",),
        {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
    ),
    Remedy(
        "one_thread",
        "OMP_NUM_THREADS=1 in the environment: sums over threads",
        environment={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    ),
)
_NUMERICAL = (Kind.LOSS, Kind.GRADIENT, Kind.WEIGHT, Kind.BUFFER)


def trials(folder: Path, overrides: Sequence[str]) -> list[Trial]:
    """The training as it is, twice; if its runs part, each remedy, twice, until one helps; at last all together.

    Each run is this very program once more, with ``attempt=...``. Everything starts over, whatever is in the folder.

    Args:
        folder: Where all runs go.
        overrides: Of this program.

    Raises:
        RecipeError: if a run fails; the message is the last line that it said.
    """
    done = [_trial(folder / "as_it_is", None, overrides)]
    found = done[0].parting
    if found is None:
        return done
    numerical = found.kind in _NUMERICAL and found.batch >= 0
    for remedy in sorted(REMEDIES, key=lambda remedy: (remedy.name in ("deterministic", "one_thread")) != numerical):
        done.append(_trial(folder / remedy.name, remedy, overrides))
        if done[-1].parting is None:
            return done
    together = Remedy(
        "all_together",
        "all of these together",
        tuple(item for remedy in REMEDIES for item in remedy.overrides),
        {name: value for remedy in REMEDIES for name, value in remedy.environment.items()},
    )
    return [*done, _trial(folder / together.name, together, overrides)]


def _trial(folder: Path, remedy: Remedy | None, overrides: Sequence[str]) -> Trial:
    what = "as it is" if remedy is None else f"with {remedy.flag.partition(':')[0]}"
    runs = []
    for attempt in (1, 2):
        print(f"training {what}, attempt {attempt} of 2", flush=True)
        runs.append(folder / f"attempt={attempt}")
        _train(runs[-1], remedy, [*overrides, f"attempt={attempt}"])
    first, second = (read_digests(run) for run in runs)
    places = (run / PLACES_FILE for run in runs)
    noted = sorted({line for path in places if path.exists() for line in path.read_text("utf-8").splitlines()})
    n_batches = min(max((line.batch + 1 for line in run), default=0) for run in (first, second))
    trial = Trial(remedy, parting(first, second), n_batches, tuple(noted))
    same = f"the same for {n_batches} batches" if trial.parting is None else f"{trial.parting.name} differs"
    print(f"  {same}", flush=True)
    return trial


def _train(folder: Path, remedy: Remedy | None, overrides: Sequence[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, sys.argv[0], *overrides, f"hydra.run.dir='{folder}'"]
    environment: dict[str, str] = dict(os.environ)
    if remedy is not None:
        command += remedy.overrides
        environment.update(remedy.environment)
    with (folder / "output.log").open("w") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    try:
        ended = done.returncode == 0 and bool(read_digests(folder))
    except RecordError:
        ended = False
    if not ended:
        log_file = folder / "output.log"
        last = (log_file.read_text(errors="replace").strip().splitlines() or [""])[-1]
        raise RecipeError(f"a run ended with status {done.returncode}: {last} (all of it: {log_file})")


def determinism(folder: Path, overrides: Sequence[str]) -> int:
    """Trains, writes ``determinism.json`` into the folder, prints the answer.

    Args:
        folder: Where everything goes.
        overrides: As for `trials`.

    Returns:
        Exit status: 0 if two runs are the same, 3 if not, 1 if there is no answer.
    """
    from stabilimeter.present.determinism import render_determinism
    from stabilimeter.present.publish import write_text
    from stabilimeter.present.terminal import show

    try:
        found = trials(folder, overrides)
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 1
    write_text(folder / "determinism.json", strict_json.dumps(to_dict(found), indent=1) + "\n")
    show(render_determinism(found), sys.stdout)
    print(f"determinism.json, and the digests of every run, are in {folder}")
    return 0 if found[0].parting is None else EXIT_DIFFERENT
