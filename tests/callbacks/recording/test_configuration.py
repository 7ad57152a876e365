import pathlib
import subprocess
import sys
import textwrap

from stabilimeter.callbacks.recording.configuration import configuration, job_folder
from stabilimeter.records.run import read_run


class Owner:
    """Stands for a module or a datamodule: something with hyper-parameters."""

    def __init__(self, **hparams):
        self.hparams_initial = hparams


class Trainer:
    def __init__(self, datamodule=None):
        self.datamodule = datamodule


def key(data=None, **hparams):
    return configuration(Trainer(None if data is None else Owner(**data)), Owner(**hparams))[1]


def test_runs_that_differ_in_the_seed_or_in_a_path_are_one_group():
    assert key(lr=0.1, seed=0, data_dir="/a") == key(lr=0.1, seed=1, data_dir="/b")
    assert key(data={"batch": 4, "seed": 2}, lr=0.1) == key(data={"batch": 4, "seed": 3}, lr=0.1)


def test_anything_else_makes_another_group():
    keys = [
        key(lr=0.1),
        key(lr=0.2),
        key(lr=0.1, depth=2),
        key(data={"batch": 4}, lr=0.1),
        key(data={"batch": 5}, lr=0.1),
    ]
    assert len(set(keys)) == 5


def test_objects_count_by_their_type_not_by_their_address():
    assert key(loss=object()) == key(loss=object())
    assert configuration(Trainer(), Owner(loss=Owner(), sizes=(1, 2)))[0] == {
        "module": {"loss": f"{__name__}.Owner", "sizes": [1, 2]}
    }


def test_without_hyper_parameters_there_is_no_key():
    assert configuration(Trainer(), Owner()) == ({}, None)


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import hydra, torch, warnings
from lightning.pytorch import Trainer
from conftest import Probe
from stabilimeter.callbacks.monitor import StabilityMonitor
warnings.simplefilter("ignore")

@hydra.main(version_base="1.3", config_path=None, config_name="app")
def main(config):
    out = hydra.core.hydra_config.HydraConfig.get().runtime.output_dir
    trainer = Trainer(accelerator="cpu", callbacks=[StabilityMonitor(dirpath=out, seed=config.seed)], logger=False,
        max_steps=2, limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=out)
    trainer.fit(Probe(lr=config.lr))

from hydra.core.config_store import ConfigStore
ConfigStore.instance().store("app", {{"seed": "???", "lr": 0.1, "name": "run-${{seed}}", "save_dir": "/x/${{seed}}"}})
main()
"""


def test_hydra_jobs_of_one_sweep_share_the_key_of_their_unresolved_config(tmp_path):
    program = tmp_path / "app.py"
    program.write_text(textwrap.dedent(PROGRAM).format(tests=str(pathlib.Path(__file__).parents[1])))
    command = [sys.executable, program, "-m", "seed=0,1", "lr=0.1,0.2", f"hydra.sweep.dir={tmp_path}/sweep"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    manifests = [read_run(folder).manifest for folder in sorted((tmp_path / "sweep").glob("[0-9]"))]
    assert [m.seed for m in manifests] == [0, 0, 1, 1]
    groups = [m.group for m in manifests]
    assert groups[0] == groups[2] != groups[1] == groups[3]
    assert manifests[3].config == {"seed": 1, "lr": 0.2, "name": "run-1", "save_dir": "/x/1"}


def test_outside_of_hydra_the_job_folder_is_the_present_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert job_folder() == tmp_path
