from dataclasses import replace

from stabilimeter.present.seeds import finished, seeds_in_words, seeds_named


def test_running_cancelled_and_copied_runs_do_not_count(build):
    group = build.failed(n=6, n_failed=2)
    runs = list(group.runs)
    runs[3] = replace(runs[3], status="running")
    runs[4] = replace(runs[4], status="cancelled")
    runs[5] = replace(runs[5], copy_of=runs[2].path)
    group = replace(group, runs=tuple(runs), n_running=1, n_cancelled=1)
    assert [run.seed for run in finished(group)] == [0, 1, 2]
    assert seeds_in_words(group) == "1 of 3, 1 running, 1 cancelled, 1 copy"


def test_a_plain_group_is_said_plainly(build):
    assert seeds_in_words(build.group(n=5)) == "5 of 5"
    assert seeds_in_words(build.failed(n=5, n_failed=5)) == "0 of 5"


def test_seeds_are_named_by_number_or_by_folder(build):
    assert seeds_named([build.run(seed=0)]) == "seed 0"
    assert seeds_named([build.run(seed=0), build.run(seed=3)]) == "seeds 0, 3"
    assert seeds_named([build.run(seed="study_0"), build.run(seed="study_\x1b1")]) == "study_0, study_?1"
    assert seeds_named([build.run(seed=i) for i in range(6)]) == "seeds 0, 1, 2, 3 and 2 more"
