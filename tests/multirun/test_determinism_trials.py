"""The trials on a small program that writes digests without training anything."""

import json

import pytest

from stabilimeter.multirun import determinism_trials
from stabilimeter.multirun.determinism_trials import determinism

PROGRAM = """
import json, os, random, sys
from pathlib import Path

given = dict(item.lstrip("+").partition("=")[::2] for item in sys.argv[1:])
folder = Path(given["hydra.run.dir"].strip("'")) / "stability"
folder.mkdir()
if given["fault"] == "crash":
    sys.exit("no such data")
loss = {
    "none": "1",
    "sets": str(hash("a")),
    "generators": "1" if "seed_generators" in given else str(random.Random().random()),
    "kernel": "1" if "trainer.deterministic" in given and "CUBLAS_WORKSPACE_CONFIG" in os.environ else given["attempt"],
    "both": str(hash("a")) + ("" if "seed_generators" in given else given["attempt"]),
    "clock": given["attempt"],
}[given["fault"]]
lines = [{"weight a": "0"}, {"loss": "0"}, {"loss": loss}]
text = "".join(json.dumps({"batch": place, "digests": line}) + chr(10) for place, line in enumerate(lines, start=-1))
(folder / "digests.jsonl").write_text(text)
if "seed_generators" in given:
    (folder.parent / "unseeded_generators.txt").write_text("my_project.py:12\\n")
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    monkeypatch.setattr(determinism_trials.sys, "argv", [str(program)])
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)

    def made(fault):
        status = determinism(tmp_path / "out", [f"fault={fault}"])
        out, err = capsys.readouterr()
        path = tmp_path / "out" / "determinism.json"
        return status, " ".join(out.split()), err, json.loads(path.read_text()) if path.exists() else None

    return made


def test_two_runs_that_are_the_same_need_nothing(run):
    status, out, _, report = run("none")
    assert status == 0
    assert "Bit for bit the same: two runs with the same seed agree in everything over 2 batches." in out
    assert report["identical"] is True
    assert len(report["trials"]) == 1


@pytest.mark.parametrize(
    ("fault", "helps", "said"),
    [
        ("sets", "hash_seed", "What helps: PYTHONHASHSEED=0 in the environment"),
        ("generators", "generators", "They are made at my_project.py:12."),
        ("kernel", "deterministic", "What helps: Trainer(deterministic=True)"),
        ("both", "all_together", "What helps: all of these together"),
    ],
)
def test_what_helps_is_found_by_trying(run, fault, helps, said):
    status, out, _, report = run(fault)
    assert status == 3
    assert "Not the same: loss differs in batch 1, after 1 batch that agree" in out
    assert said in out
    assert [trial["identical"] for trial in report["trials"][:-1]] == [False] * (len(report["trials"]) - 1)
    assert report["trials"][-1]["remedy"]["name"] == helps
    assert report["trials"][-1]["identical"] is True


def test_where_nothing_helps_it_says_what_was_tried(run):
    status, out, _, report = run("clock")
    assert status == 3
    assert "Nothing that was tried helps, alone or together: " in out
    assert len(report["trials"]) == 2 + len(determinism_trials.REMEDIES)


def test_a_run_that_fails_is_no_answer(run):
    status, _, err, report = run("crash")
    assert (status, report) == (1, None)
    assert "a run ended with status 1: no such data" in err
