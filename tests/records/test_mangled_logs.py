"""Logs of every format, damaged at random: read, or refused in one line, never anything else."""

import json

import numpy as np
import pytest

from stabilimeter import read_sweep
from stabilimeter.records.events import encoding
from stabilimeter.records.record_error import RecordError

STEPS = range(9)
EVENTS = [encoding.scalars_event(1.0, step, {"a": 0.5, "b": 1e300}) for step in STEPS]
LOGS = {
    "events": {"events.out.tfevents.1": b"".join([encoding.file_header(1.0), *EVENTS])},
    "csv": {"run.csv": "step,loss\n" + "".join(f"{step},1.5\n" for step in STEPS)},
    "jsonl": {"run.jsonl": "".join(json.dumps({"step": step, "v": {"x": 0.5}}) + "\n" for step in STEPS)},
    "trainer": {"trainer_state.json": json.dumps({"log_history": [{"step": step, "loss": 1.0} for step in STEPS]})},
    "wandb": {"chart.csv": "Step,r - x,r - x__MIN,r - x__MAX\n" + "".join(f"{step},1.5,1,2\n" for step in STEPS)},
    "mlflow": {"m.csv": "run_id,key,value,step,timestamp\n" + "".join(f"a,x,1.5,{step},17\n" for step in STEPS)},
    "store": {
        "id/meta.yaml": "lifecycle_stage: active\nrun_name: fox\n",
        "id/metrics/loss": "".join(f"17 1.5 {step}\n" for step in STEPS),
        "id/params/seed": "3",
    },
}
BITS = [b"NaN", b"1e999", b"\n", b",", b'"', b"null", b"-", b"{", b"[", b"\r", b"\0", b"\xff", b"9" * 20]


def damaged(content, rng):
    data = bytearray(content if isinstance(content, bytes) else content.encode())
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data) + 1))
        match int(rng.integers(4)):
            case 0:
                data[at : at + 1] = rng.bytes(1)
            case 1:
                del data[at : at + int(rng.integers(1, 9))]
            case 2:
                data[at:at] = BITS[rng.integers(len(BITS))]
            case 3:
                del data[at:]
    return bytes(data)


@pytest.mark.parametrize("kind", LOGS)
def test_damage_is_survived_or_refused_in_one_line(tmp_path, rng, kind):
    read = 0
    refusals = []
    for number in range(60):
        root = tmp_path / str(number)
        for name, content in LOGS[kind].items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(damaged(content, rng))
        try:
            groups = read_sweep(root).groups
        except RecordError as error:
            refusals.append(str(error))
        else:
            read += 1
            for run in (run for group in groups for run in group.runs):
                assert all((np.diff(run[key].steps) > 0).all() for key in run)
    assert read > 0
    assert len(refusals) > 5
    assert not any("\n" in refusal for refusal in refusals)
