import json

import numpy as np
import pytest

from stabilimeter.analysis.examples import example_map, group_examples
from stabilimeter.analysis.summarize import summarize
from stabilimeter.records import strict_json
from stabilimeter.records.example_log import ExampleLog
from stabilimeter.stats.example_agreement import seed_variance


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def log(correct, keys=None, prediction=None, confidence=None):
    correct = np.array(correct, dtype=bool)
    keys = np.arange(correct.size) if keys is None else np.array(keys)
    confidence = np.float32(correct if confidence is None else confidence)
    return ExampleLog(99, 2, keys, correct, prediction, confidence, np.float32(confidence * 0.1), np.float32(correct))


def test_seeds_by_hand(rng):
    logs = [
        log([1, 1, 1, 0], prediction=np.array([3, 1, 4, 1])),
        log([1, 1, 0, 0], prediction=np.array([3, 1, 5, 9])),
        log([1, 0, 0, 0], prediction=np.array([3, 2, 5, 9])),
    ]
    found = group_examples(logs, rng)
    assert (found.n_seeds, found.n_examples, found.churn_of) == (3, 4, "predictions")
    assert found.churn == pytest.approx((2 / 4 + 3 / 4 + 1 / 4) / 3)
    assert found.churn_max == 0.75
    assert found.accuracy_sd == pytest.approx(0.25)
    outcomes = np.array([one.correct for one in logs])
    assert found.distribution_sd == pytest.approx(np.sqrt(max(0.0, seed_variance(outcomes))))
    assert [example.key for example in found.hardest] == [3, 2, 1, 0]
    assert found.hardest[1].confidence == pytest.approx(1 / 3)
    assert found.hardest[1].correctness == pytest.approx(1 / 3)
    assert [example.key for example in found.most_ambiguous] == [0, 1, 2, 3]


def test_only_examples_that_all_have_seen(rng):
    logs = [log([1, 0, 1], keys=[10, 20, 30]), log([0, 1, 1], keys=[20, 30, 40])]
    found = group_examples(logs, rng)
    assert (found.n_examples, found.churn, found.churn_of) == (2, 0.0, "outcomes")
    assert example_map(logs).keys.tolist() == [20, 30]


def test_too_little(rng):
    assert group_examples([], rng) is None
    assert group_examples([log([1, 0])], rng) is None
    assert group_examples([log([1, 0], keys=[1, 2]), log([1, 0], keys=[3, 4])], rng) is None
    bare = ExampleLog(9, 0, np.arange(3))
    assert group_examples([bare, bare], rng) is None
    assert example_map([bare, bare]) is None


def test_a_summary_looks_at_the_seeds_that_did_not_fail(build, rng):
    from dataclasses import replace

    from stabilimeter.records.manifest import RunStatus

    runs = [replace(build.ours(seed), examples=log([1, 1, seed % 2, 0])) for seed in range(3)]
    runs.append(replace(build.ours(3, RunStatus.FAILED), examples=log([0, 0, 0, 0])))
    group = summarize(build.sweep(build.group(runs)), rng=rng).groups[0]
    assert (group.examples.n_seeds, group.examples.churn) == (3, pytest.approx(2 / 3 * 0.25))
    plain = json.loads(strict_json.dumps(summarize(build.sweep(build.group(runs)), rng=rng).to_dict()))
    assert plain["groups"][0]["examples"]["hardest"][0]["key"] == 3
    assert summarize(build.sweep(build.group([build.ours(0)])), rng=rng).groups[0].examples is None
