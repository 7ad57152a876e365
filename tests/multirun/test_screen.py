import pytest

from stabilimeter.multirun.screen import is_rank_zero, last_values
from stabilimeter.records.manifest import Manifest, RunStatus, SignalSpec
from stabilimeter.records.writer import RunWriter


@pytest.mark.parametrize(
    ("variables", "speaks"),
    [({}, True), ({"LOCAL_RANK": "0"}, True), ({"LOCAL_RANK": "1"}, False), ({"SLURM_PROCID": "3"}, False)],
)
def test_only_the_first_rank_speaks(monkeypatch, variables, speaks):
    for name in ("LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_rank_zero() is speaks


def test_last_values_of_the_users_metrics_the_monitored_one_first(tmp_path):
    signals = (SignalSpec("train/loss", "", "", "", positive=False),)
    writer = RunWriter(tmp_path, Manifest(signals=signals, monitor="val/f1", mode="max"))
    writer.write_scalars(0, {"train/loss": 3.0, "a": 1.0, "b": 2.0, "c": 3.0, "val/f1": 0.25})
    writer.write_scalars(1, {"train/loss": 2.0, "a": 1.5, "val/f1": 0.123456})
    writer.close(RunStatus.COMPLETED, last_step=1)
    assert last_values(tmp_path) == "val/f1 0.1235, a 1.5, b 2"
