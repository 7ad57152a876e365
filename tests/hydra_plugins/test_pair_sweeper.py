import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from hydra_plugins.stabilimeter_pair_sweeper import _as_text

APP = """
import hydra
from hydra.experimental.callback import Callback


class Hook(Callback):
    def __init__(self, question):
        pass


class Question:
    def __init__(self, after):
        self.after = after

    def is_settled(self, runs):
        return len(runs) >= self.after


@hydra.main(version_base="1.3", config_path=".", config_name="train")
def main(config):
    print("run", config.seed, config.arm, config.lr, config.candidate)


if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults: [override hydra/sweeper: pairs, _self_]
seed: 0
arm: null
lr: 1
baseline: null
candidate: null
hydra:
  callbacks: {stability: {_target_: __main__.Hook, question: {_target_: __main__.Question, after: 4}}}
  sweeper: {params: {seed: "range(0,5)", arm: "baseline,candidate"}}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "train.yaml").write_text(CONFIG)
    return tmp_path


def run_app(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "app.py", "--multirun", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_arms_alternate_and_it_stops_when_the_question_is_settled(app):
    done = run_app(app, "candidate={lr:7}")
    runs = [line for line in done.stdout.splitlines() if line.startswith("run ")]
    arms = ("baseline 1 None", "candidate 7 None")
    assert runs == [f"run {seed} {arm}" for seed in (0, 1) for arm in arms], done


def test_arms_that_are_the_same_are_refused(app):
    done = run_app(app)
    assert done.returncode == 1
    assert "say what the candidate changes" in done.stderr
    assert "pairs=20" in run_app(app, "candidate={lr:7}", "seed=0,1").stderr


@pytest.mark.parametrize("value", [0.01, "bf16-mixed", "a b", True, None, [1, 2], "x=y"])
def test_a_value_survives_its_way_through_the_command_line(value):
    text = _as_text(OmegaConf.create([value]) if isinstance(value, list) else value)
    found = OverridesParser.create().parse_override(f"key={text}").value()
    assert (found if not isinstance(value, list) else found[0]) == value
