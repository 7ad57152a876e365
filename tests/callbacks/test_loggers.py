"""The same signals, at the same steps, in every logger of Lightning that people use; each read back from its files."""

import csv
import json
import struct
import warnings

import numpy as np
import pytest
import wandb
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto import wandb_internal_pb2

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.records.run import read_run

EVERY_STEP = ("train/loss", "grad/norm", "grad/norm_clipped", "optim/lr", "time/step_s", "grad/clip_fraction")
STRIDED = ("update/norm", "update/ratio")
LATER = ("train/loss_var", "train/loss_noise")


@pytest.fixture(scope="module")
def _offline():
    """No service, no account; W&B and MLflow told to be quiet."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    patch.setenv("WANDB_SILENT", "true")
    patch.setenv("WANDB_MODE", "offline")
    yield
    patch.undo()


def csv_rows(folder):
    with (folder / "csv" / "version_0" / "metrics.csv").open() as file:
        return [(int(row.pop("step")), {k: float(v) for k, v in row.items() if v}) for row in csv.DictReader(file)]


def board_rows(folder):
    events = EventAccumulator(str(folder / "tb" / "version_0"), size_guidance={"scalars": 0}).Reload()
    rows = {}
    for key in events.Tags()["scalars"]:
        for event in events.Scalars(key):
            rows.setdefault(event.step, {})[key] = event.value
    return sorted(rows.items())


def mlflow_rows(folder):
    (metrics,) = (folder / "mlruns").glob("*/*/metrics")
    rows = {}
    for path in metrics.rglob("*"):
        if path.is_file():
            for line in path.read_text().splitlines():
                _, value, step = line.split()
                rows.setdefault(int(step), []).append((path.relative_to(metrics).as_posix(), float(value)))
    assert all(len(dict(row)) == len(row) for row in rows.values() if "val_loss" not in dict(row))
    return [(step, dict(row)) for step, row in sorted(rows.items())]


def wandb_rows(folder):
    """A W&B file is a LevelDB log of protobufs: blocks of 32 KiB, and a header of 7 bytes before each piece."""
    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    data, at, pending, rows = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        pending += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record.FromString(pending)
            pending = b""
            if record.WhichOneof("record_type") == "history":
                items = {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item
                }
                rows.append((items.pop("trainer/global_step"), items))
    return rows


READERS = {"csv": csv_rows, "tensorboard": board_rows, "mlflow": mlflow_rows, "wandb": wandb_rows}


@pytest.fixture
def logged(make_trainer, probe_class, tmp_path, _offline):
    """One fit with all four loggers, and the record elsewhere."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="(wandb|mlflow|google|pydantic)")
        loggers = [
            CSVLogger(tmp_path, name="csv", version=0),
            TensorBoardLogger(tmp_path, name="tb", version=0),
            MLFlowLogger("experiment", tracking_uri=f"file:{tmp_path / 'mlruns'}"),
            WandbLogger(project="project", save_dir=tmp_path, offline=True),
        ]
        monitor = StabilityMonitor(flush_every_n_steps=5, dirpath=tmp_path / "record")
        trainer = make_trainer(monitor, logger=loggers, max_epochs=2, log_every_n_steps=3, gradient_clip_val=0.3)
        trainer.fit(probe_class())
        wandb.finish()
    return tmp_path


def test_every_logger_holds_the_record(logged):
    run = read_run(logged / "record")
    for name, reader in READERS.items():
        rows = reader(logged)
        for key in (*EVERY_STEP, *STRIDED, *LATER):
            got = [(step, row[key]) for step, row in rows if key in row]
            steps, values = np.array([step for step, _ in got]), np.array([value for _, value in got])
            np.testing.assert_array_equal(steps, run[key].steps, err_msg=f"{name} {key}")
            np.testing.assert_allclose(values, run[key].values, rtol=1e-6, err_msg=f"{name} {key}")
        assert [step for step, row in rows if "val_loss" in row] == [11, 23], name  # what the user logs is there too
    assert run["train/loss"].steps.tolist() == list(range(24))
    assert run["update/norm"].steps.tolist() == [0, 20]
