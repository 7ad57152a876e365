import pytest

from stabilimeter.records.hydra_overrides import overrides_of
from stabilimeter.records.overrides import Overrides
from stabilimeter.records.record_error import RecordError


def note(folder, text):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(text)


def test_the_nearest_folder_up_to_the_root_counts(tmp_path):
    run = tmp_path / "root" / "job" / "logs" / "version_0"
    run.mkdir(parents=True)
    note(tmp_path, "- lr=9\n")
    assert overrides_of(run, tmp_path / "root") is None
    note(tmp_path / "root" / "job", "- seed=3\n- model.lr=0.1\n- +data.n=5\n")
    assert overrides_of(run, tmp_path / "root") == Overrides(("+data.n=5", "model.lr=0.1"), 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]\n", Overrides((), None)),
        ("- seed=0\n", Overrides((), 0)),
        ("- +seed=12\n", Overrides((), 12)),
        ("- trainer.seed=4\n- b=1\n- a=2\n", Overrides(("a=2", "b=1"), 4)),
        ("- seed_everything=5\n", Overrides((), 5)),
        ("- seed=null\n", Overrides((), None)),
        ("- seedling=1\n", Overrides(("seedling=1",), None)),
    ],
)
def test_the_seed_is_taken_out(tmp_path, text, expected):
    note(tmp_path, text)
    assert overrides_of(tmp_path, tmp_path) == expected


@pytest.mark.parametrize("text", ["a: 1\n", "- [1\n", "- 1\n", ""])
def test_what_is_no_list_of_overrides_is_refused_in_one_line(tmp_path, text):
    note(tmp_path, text)
    with pytest.raises(RecordError, match="overrides") as caught:
        overrides_of(tmp_path, tmp_path)
    assert "\n" not in str(caught.value)
