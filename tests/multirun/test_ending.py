import os
from pathlib import Path

from stabilimeter.multirun.ending import common_folder, job_folders


def saved_job(folder: Path, time_ns: int) -> None:
    path = folder / ".hydra" / "overrides.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("[]")
    os.utime(path, ns=(time_ns, time_ns))


def test_jobs_of_this_sweep_are_those_saved_since_it_began(tmp_path):
    for name, time_ns in (("old", 10), ("a/lr=1/seed=0", 20), ("a/lr=2/seed=0", 30)):
        saved_job(tmp_path / name, time_ns)
    assert job_folders(tmp_path, ".hydra", 20) == [tmp_path / "a/lr=1/seed=0", tmp_path / "a/lr=2/seed=0"]


def test_every_run_counts_where_hydra_saves_nothing(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "metrics.csv").write_text("step,val_loss\n0,1.0\n1,0.5\n")
    assert [path.relative_to(tmp_path).parts[0] for path in job_folders(tmp_path, None, 0)] == ["0"]


def test_common_folder_of_one_group_is_the_folder_of_its_seeds():
    assert common_folder([Path("out/digits/seed=0"), Path("out/digits/seed=1")]) == Path("out/digits")
    assert common_folder([Path("out/digits/seed=0")]) == Path("out/digits")
    assert common_folder([Path("out/a/seed=0"), Path("out/b/lr=1/seed=0")]) == Path("out")
