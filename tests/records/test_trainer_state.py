import json
import math

import numpy as np
import pytest

from stabilimeter.records.overrides import Overrides
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.trainer_state import newest_state, read_trainer_state

HISTORY = [
    {"epoch": 0.5, "grad_norm": 1.25, "learning_rate": 2e-5, "loss": 2.5, "step": 50},
    {"epoch": 0.5, "eval_loss": 2.25, "eval_runtime": 3.5, "eval_samples_per_second": 100.0, "step": 50},
    {"epoch": 1.0, "grad_norm": math.nan, "learning_rate": 0.0, "loss": 0.75, "step": 100},
    {"epoch": 1.0, "step": 100, "total_flos": 9e15, "train_loss": 1.6, "train_runtime": 60.0},
]


def state(folder, history=HISTORY, **more):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trainer_state.json"
    steps = max((entry["step"] for entry in history), default=0)
    path.write_text(json.dumps({"best_metric": None, "global_step": steps, "log_history": history, **more}, indent=2))
    return path


def points(log, key):
    return dict(zip(log.scalars[key].steps.tolist(), log.scalars[key].values.tolist(), strict=True))


def test_training_and_evaluation_are_series_and_the_closing_totals_are_not(tmp_path):
    log, overrides = read_trainer_state(state(tmp_path))
    assert points(log, "loss") == {50: 2.5, 100: 0.75}
    assert points(log, "eval_loss") == {50: 2.25}
    assert points(log, "learning_rate") == {50: 2e-5, 100: 0.0}
    np.testing.assert_array_equal(log.scalars["grad_norm"].values, [1.25, math.nan])
    assert set(log.scalars) == {
        "epoch", "eval_loss", "eval_runtime", "eval_samples_per_second", "grad_norm", "learning_rate", "loss",
    }  # fmt: skip
    assert log.notes == ()
    assert overrides is None


def test_metrics_per_class_are_flattened_and_lists_left_out(tmp_path):
    entry = {"step": 10, "eval_LOC": {"f1": 0.5, "number": 3}, "eval_matrix": [[1, 0], [0, 1]]}
    log, _ = read_trainer_state(state(tmp_path, [entry]))
    assert points(log, "eval_LOC/f1") == {10: 0.5}
    assert log.notes == ("trainer_state.json: keys without numbers left out: eval_matrix",)


def test_the_state_that_got_furthest_is_the_run(tmp_path):
    assert newest_state(tmp_path) is None
    for step in (900, 1000, 50):
        state(tmp_path / f"checkpoint-{step}", [{"step": step, "loss": 1.0}])
    (tmp_path / "checkpoint-2000").mkdir()  # being written: no state yet
    assert newest_state(tmp_path) == tmp_path / "checkpoint-1000" / "trainer_state.json"
    own = state(tmp_path, [{"step": 1000, "loss": 1.0}])
    assert newest_state(tmp_path) == own
    state(tmp_path, [{"step": 500, "loss": 1.0}])
    assert newest_state(tmp_path) == tmp_path / "checkpoint-1000" / "trainer_state.json"


def test_the_trial_of_a_search_knows_its_parameters(tmp_path):
    trial = {"learning_rate": 0.1, "seed": 3, "output_dir": "out/run-0"}
    _, overrides = read_trainer_state(state(tmp_path, trial_params=trial))
    assert overrides == Overrides(("learning_rate=0.1",), 3, chosen=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a trainer state"),
        ('{"log_history": ', "is not a trainer state"),
        ("[]", "it has no list 'log_history'"),
        ('{"log_history": {}}', "it has no list 'log_history'"),
        ('{"log_history": [{"step": 1, "loss": 1.0}, 5]}', "entry 1 of log_history: an object was expected"),
        ('{"log_history": [{"step": 1.5, "loss": 1.0}]}', "entry 0 of log_history: the step must be a whole number"),
        ('{"log_history": [{"step": 1, "loss": 1.0}, {"step": 2, "loss": "x"}]}', "entry 1 .*'loss' is no number here"),
        ("[" * 100_000, "is not a trainer state"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, text, message):
    path = tmp_path / "trainer_state.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=message) as caught:
        read_trainer_state(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
