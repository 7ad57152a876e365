"""The recipe as a person starts it: real sweeps of a small module of her own, in processes of their own."""

import json
from pathlib import Path

import numpy as np
import pytest

from stabilimeter.records.run import read_run
from stabilimeter.records.sweep import read_sweep

OWN = ("experiment=own", "model._target_=my_project.Line", "datamodule._target_=my_project.Points")
BOTH = ("--multirun", "seed=range(0,4)", "+model.ignore_seed=false,true", "trainer.max_epochs=6", *OWN)


def runs_by_name(folder: Path) -> dict[str, Path]:
    """Run folders as ``"<ignore_seed>/<seed>"``."""
    runs = {}
    for path in (folder / "out" / "own").glob("*/seed=*"):
        ignores = "ignore_seed=True" in path.parent.name
        runs[f"{'ignoring' if ignores else 'heeding'}/{path.name}"] = path
    return runs


@pytest.fixture(scope="module")
def sweep(recipe, folder):
    """Four seeds x two settings: seeds 1 and 2 fail where the seed is heeded."""
    done = recipe(*BOTH)
    summaries = list((folder / "out").rglob("summary.json"))
    assert len(summaries) == 1, done.stderr
    return done, json.loads(summaries[0].read_text())


@pytest.fixture(scope="module")
def groups(sweep):
    return {("ignoring" if "ignore_seed=True" in group["label"] else "heeding"): group for group in sweep[1]["groups"]}


def test_failing_seeds_do_not_stop_the_others_and_the_exit_status_tells(sweep):
    done, _ = sweep
    assert done.returncode == 3
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("2 of 8 runs failed: ")
    assert [path.split("/")[-1] for path in last.split(", ")] == ["seed=1", "seed=2"]
    assert last.count("ignore_seed=False") == 2


def test_screen_has_a_line_per_start_and_end_and_the_table(sweep):
    lines = sweep[0].stdout.splitlines()
    assert lines[0].startswith("8 runs in out ")
    assert sum(line.endswith(": training") for line in lines) == 8
    assert "seed=1 +model.ignore_seed=False: training" in lines  # named by what differs within the sweep
    assert sum(": completed after " in line and ", val/loss 0." in line for line in lines) == 6
    failed = [line for line in lines if ": failed: " in line]
    assert len(failed) == 2
    assert "failed: ValueError: no such luck   (run 3 of 8)" in failed[0]
    assert "no such model" in failed[1]
    assert len(lines) < 80  # no chatter
    assert "Traceback" not in sweep[0].stdout + sweep[0].stderr


def test_summary_counts_and_explains_the_failed_seeds(groups):
    heeding, ignoring = groups["heeding"], groups["ignoring"]
    assert (heeding["n_runs"], heeding["n_failed"], ignoring["n_failed"]) == (4, 2, 0)
    runs = {run["seed"]: run for run in heeding["runs"]}
    assert [runs[seed]["failed"] for seed in range(4)] == [False, True, True, False]
    assert runs[1]["status"] == runs[2]["status"] == "failed"
    assert runs[1]["failure_reason"].startswith("exception: ValueError: no such luck")
    assert runs[2]["failure_reason"].startswith("exception: RuntimeError: no such model")
    assert (runs[0]["last_step"], runs[1]["last_step"], runs[2]["last_step"]) == (59, 29, None)


def test_summary_agrees_with_the_records(groups, folder):
    finals = [float(read_run(runs_by_name(folder)[f"heeding/seed={s}"])["val/loss"].values[-1]) for s in (0, 3)]
    metric = groups["heeding"]["metrics_ok"]["val/loss"]
    assert metric["n"] == 2
    assert metric["mean"] == pytest.approx(np.mean(finals), rel=1e-6)
    assert metric["sd"] == pytest.approx(np.std(finals, ddof=1), rel=1e-6)


def test_bit_identical_seeds_are_reported_not_averaged(groups):
    ignoring = groups["ignoring"]
    assert any("bit for bit" in note for note in ignoring["notes"])
    assert ignoring["metrics"]["val/loss"]["n"] == 1
    assert not any("bit for bit" in note for note in groups["heeding"]["notes"])


def test_records_hold_seed_config_and_one_group_key_even_for_a_run_that_never_trained(sweep, folder):
    manifests = {name: read_run(path).manifest for name, path in runs_by_name(folder).items()}
    assert [manifests[f"heeding/seed={seed}"].seed for seed in range(4)] == [0, 1, 2, 3]
    assert len({manifests[f"heeding/seed={seed}"].group for seed in range(4)}) == 1
    assert manifests["heeding/seed=0"].group != manifests["ignoring/seed=0"].group
    assert manifests["heeding/seed=2"].config["model"] == {"_target_": "my_project.Line", "ignore_seed": False}
    assert manifests["heeding/seed=0"].config == {**manifests["heeding/seed=2"].config, "seed": 0} | {
        "seeds": {"init": 0, "split": None},
        "trainer": manifests["heeding/seed=0"].config["trainer"],
    }
    assert manifests["heeding/seed=0"].planned_steps == 60


def test_traceback_of_a_failed_seed_is_in_its_log(sweep, folder):
    log = (runs_by_name(folder)["heeding/seed=1"] / "seed_sweep.log").read_text()
    assert 'raise ValueError("no such luck")' in log


def test_the_same_command_keeps_results_and_tries_failed_seeds_again(sweep, recipe, folder):
    before = {name: read_run(path).manifest for name, path in runs_by_name(folder).items()}
    done = recipe(*BOTH)
    after = {name: read_run(path).manifest for name, path in runs_by_name(folder).items()}
    assert done.returncode == 3
    assert done.stdout.count("completed before, kept") == 6
    assert done.stdout.count("training from the start; the earlier attempt: failed") == 2
    same = {name for name in before if before[name].started == after[name].started}
    assert same == set(before) - {"heeding/seed=1", "heeding/seed=2"}
    steps = read_run(runs_by_name(folder)["heeding/seed=1"])["train/loss"].steps
    assert np.array_equal(steps, np.arange(30))  # of the second attempt alone


def test_when_nothing_is_left_to_do_it_says_so(sweep, recipe):
    done = recipe("--multirun", "seed=0,3", "+model.ignore_seed=true", "trainer.max_epochs=6", *OWN)
    assert done.returncode == 0
    assert "Nothing to do: 2 runs had finished before." in done.stdout


def test_another_configuration_in_the_same_folder_is_refused(sweep, recipe, folder):
    config = folder / "other" / "experiment"
    config.mkdir(parents=True)
    (config / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [own]\nmodel: {_target_: my_project.Line}\n"
        "datamodule: {_target_: my_project.Points}\ntrainer: {max_epochs: 2}\n"
    )
    assert recipe("--config-dir=other", "seed=0", "experiment=mine").returncode == 0
    text = (config / "mine.yaml").read_text()
    (config / "mine.yaml").write_text(text.replace("max_epochs: 2", "max_epochs: 3"))
    done = recipe("--config-dir=other", "seed=0", "experiment=mine")
    assert done.returncode == 1
    assert "holds a run of another configuration" in done.stderr
    assert read_run(folder / "out/mine/seed=0").manifest.planned_steps == 20


def test_joblib_launcher_gives_the_same(recipe, folder):
    done = recipe(
        "--multirun", "seed=0,1", "trainer.max_epochs=5", *OWN, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"
    )
    assert done.returncode == 3, done.stderr
    assert "1 of 2 runs failed: seed=1" in done.stderr
    assert "failed: ValueError: no such luck" in done.stdout
    group = next(g for g in read_sweep(folder / "out").groups if "max_epochs=5" in g.label)
    assert [(run.seed, run.status.value) for run in group.runs] == [(0, "completed"), (1, "failed")]
