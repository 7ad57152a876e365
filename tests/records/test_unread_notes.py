from stabilimeter.records.run_source import Unread
from stabilimeter.records.unread_notes import unread_notes


def test_a_sentence_for_each_reason_however_many_files(tmp_path):
    unread = [Unread(tmp_path / "data" / f"{number}.csv", "no step column") for number in range(500)]
    unread.insert(3, Unread(tmp_path / "x.wandb", "another format"))
    assert unread_notes(unread, tmp_path) == [
        "not read (no step column): data/0.csv, data/1.csv, data/2.csv and 497 more",
        "not read (another format): x.wandb",
    ]
    assert unread_notes([], tmp_path) == []
