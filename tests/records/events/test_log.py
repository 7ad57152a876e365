import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stabilimeter.records.events import encoding
from stabilimeter.records.events.log import read_event_log
from stabilimeter.records.record_error import RecordError


def points(log, tag):
    return dict(zip(log.scalars[tag].steps.tolist(), log.scalars[tag].values.tolist(), strict=True))


def line(start, stop, offset, stride=1):
    return {step: float(step + offset) for step in range(start, stop, stride)}


def test_a_file_that_starts_later_continues_and_supersedes(event_file):
    """Resumed from step 6 after dying at 9: what the dead process logged from 6 on never happened."""
    first = event_file({"loss": line(0, 10, 0), "val": {3: 0.1, 7: 0.2}}, stamp=1)
    second = event_file({"loss": line(6, 15, 100), "val": {11: 0.3}}, stamp=2)
    log = read_event_log([second, first])
    assert points(log, "loss") == {**line(0, 6, 0), **line(6, 15, 100)}
    assert points(log, "val") == pytest.approx({3: 0.1, 11: 0.3})
    assert log.notes == ()


def test_hyper_parameters_logged_again_at_step_zero_do_not_make_it_a_new_run(event_file):
    first = event_file({"hp_metric": {0: -1.0}, "loss": line(9, 100, 0, 10), "acc": line(9, 100, 0, 10)}, stamp=1)
    second = event_file({"hp_metric": {0: -1.0}, "loss": line(59, 200, 7, 10), "acc": line(59, 200, 7, 10)}, stamp=2)
    log = read_event_log([first, second])
    assert points(log, "loss") == {**line(9, 59, 0, 10), **line(59, 200, 7, 10)}
    assert points(log, "hp_metric") == {0: -1.0}
    assert log.notes == ()


def test_the_majority_of_tags_says_whether_a_file_continues(event_file):
    """One tag that starts at 0, or one that starts later than it did, decides nothing."""
    first = event_file({"loss": line(1, 50, 0), "lr": line(1, 50, 0), "restarts": {0: 0.0, 1: 0.0}}, stamp=1)
    resumed = event_file({"loss": line(40, 60, 5), "lr": line(40, 60, 5), "restarts": {0: 0.0, 40: 1.0}}, stamp=2)
    assert points(read_event_log([first, resumed]), "loss") == {**line(1, 40, 0), **line(40, 60, 5)}
    anew = event_file({"loss": line(1, 30, 9), "lr": line(1, 30, 9), "restarts": {2: 0.0}}, stamp=3)
    log = read_event_log([first, resumed, anew])
    assert points(log, "loss") == line(1, 30, 9)
    assert "2 runs in one folder" in log.notes[0]


def test_of_two_whole_runs_the_newest_is_read_and_said(event_file):
    older = event_file({"loss": line(0, 50, 0)}, stamp=1)
    newer = event_file({"loss": line(0, 20, 100)}, stamp=2)
    log = read_event_log([older, newer])
    assert points(log, "loss") == line(0, 20, 100)
    (note,) = log.notes
    assert "2 runs in one folder" in note
    assert older.name in note
    assert "steps 0 to 49" in note
    assert "steps 0 to 19" in note


def test_the_older_of_two_runs_may_have_been_resumed(event_file):
    parts = [
        event_file({"loss": line(0, 50, 0)}, stamp=1),
        event_file({"loss": line(40, 90, 1)}, stamp=2),
        event_file({"loss": line(0, 30, 2)}, stamp=3),
        event_file({"loss": line(20, 35, 3)}, stamp=4),
    ]
    log = read_event_log(parts)
    assert points(log, "loss") == {**line(0, 20, 2), **line(20, 35, 3)}
    assert "and 1 more, steps 0 to 89" in log.notes[0]


@pytest.mark.parametrize("stamp", [1, 3])
def test_header_only_files_are_ignored_wherever_they_stand(event_file, stamp):
    header_only = event_file({"score": {0: 0.0}, "global_step": {0: 0.0}}, stamp=stamp)
    whole = event_file({"score": {0: 0.0, 5: 1.0}, "global_step": {0: 0.0, 5: 5.0}, "loss": line(0, 6, 0)}, stamp=2)
    log = read_event_log([header_only, whole])
    assert points(log, "loss") == line(0, 6, 0)
    assert points(log, "score") == {0: 0.0, 5: 1.0}
    assert log.notes == ()


def test_files_with_different_tags_belong_together(event_file):
    log = read_event_log(
        [event_file({"train/loss": line(1, 9, 0)}, stamp=1), event_file({"val/loss": line(1, 9, 5)}, stamp=2)]
    )
    assert points(log, "train/loss") == line(1, 9, 0)
    assert points(log, "val/loss") == line(1, 9, 5)
    assert log.notes == ()


def test_a_session_mark_supersedes_as_tensorboard_does(event_file):
    """Also where the heuristics would say otherwise: a mark is what the writer meant."""
    first = event_file({"loss": line(0, 10, 0), "val": {8: 1.0}}, stamp=1)
    second = event_file({"loss": {6: 66.0, 7: 77.0}}, stamp=2, start=6)
    third = event_file({"loss": {7: 777.0}}, stamp=3, start=7)
    log = read_event_log([first, second, third])
    assert points(log, "loss") == {**line(0, 6, 0), 6: 66.0, 7: 777.0}
    assert "val" not in log.scalars
    reference = EventAccumulator(str(first.parent))
    reference.Reload()
    assert {event.step: event.value for event in reference.Scalars("loss")} == points(log, "loss")


def test_a_record_that_holds_only_step_zero_is_kept_by_a_resume(event_file):
    first = event_file({"loss": {0: 5.0}}, stamp=1)
    second = event_file({"loss": {1: 4.0}}, stamp=2, start=1)
    assert points(read_event_log([first, second]), "loss") == {0: 5.0, 1: 4.0}


def test_a_mark_at_step_zero_starts_a_new_run(event_file):
    older = event_file({"loss": line(0, 10, 0), "only_before": {3: 1.0}}, stamp=1)
    newer = event_file({"loss": line(0, 4, 50)}, stamp=2, start=0)
    log = read_event_log([older, newer])
    assert points(log, "loss") == line(0, 4, 50)
    assert "only_before" not in log.scalars
    assert "2 runs in one folder" in log.notes[0]


def test_a_step_logged_twice_counts_once_as_logged_last_and_is_told_if_it_differs(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    points_in_file = [(1, 1.0), (2, 2.0), (2, 2.0), (4, 4.0), (3, 3.0), (4, 5.0), (6, np.nan), (6, np.nan)]
    path.write_bytes(b"".join(encoding.scalars_event(0.0, step, {"a": value}) for step, value in points_in_file))
    log = read_event_log([path])
    assert log.scalars["a"].steps.tolist() == [1, 2, 3, 4, 6]
    np.testing.assert_array_equal(log.scalars["a"].values, [1.0, 2.0, 3.0, 5.0, np.nan])
    assert log.notes == ("points logged again at their step with another value: 1; what was logged last counts",)


def test_a_torn_tail_is_told_with_its_place(event_file):
    path = event_file({"loss": line(0, 10, 0)})
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    log = read_event_log([path])
    assert points(log, "loss") == line(0, 9, 0)
    last = len(content) - len(encoding.scalars_event(0.0, 9, {"loss": 1.0}))
    assert log.notes == (f"{path.name}: unfinished last event left out (byte {last}, {len(content) - 5 - last} bytes)",)


def test_a_vector_that_changes_its_length_is_refused_by_name(tmp_path):
    files = []
    for number, size in enumerate([3, 4]):
        files.append(tmp_path / f"events.out.tfevents.{number}")
        value = encoding.vector_value("grad/layer_norms", np.ones(size))
        files[-1].write_bytes(encoding.summary_event(0.0, number + 1, value))
    with pytest.raises(RecordError, match=r"vector 'grad/layer_norms' changes its length"):
        read_event_log(files)


def test_series_cannot_be_changed_by_accident(event_file):
    series = read_event_log([event_file({"loss": line(0, 5, 0)})]).scalars["loss"]
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 1.0
