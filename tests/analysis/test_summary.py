from stabilimeter.analysis.summary import GroupMetric, GroupSummary, RunMetric, RunSummary, Stability, Summary
from stabilimeter.records import strict_json
from stabilimeter.stats.incident import Incident, Kind


def test_json_of_a_summary_typed_in_by_hand():
    run = RunSummary(
        path="lr=0.1/seed=0",
        seed=0,
        status="completed",
        failed=False,
        failure_reason=None,
        last_step=1000,
        incidents=(Incident(Kind.SPIKE, 310, 312, 9.1, 2.0, 0.1, "train/loss", evidence={"lr": 0.1}),),
        metrics={"val/accuracy": RunMetric(float("nan"), 0.98, 900, 10, 1)},
        scores={"noise": None, "quality": 0.59},
    )
    metric = GroupMetric("max", 1, 0.97, None, 0.97, 0.97, 0.0, 0.97, 0.97, None, 0.95, "t")
    stability = Stability(55.1, None, None, None, 0.2, (0.036, 0.62), {"noise": 44.9}, ("seed_spread",), "one seed")
    group = GroupSummary("9f3c", "lr=0.1", 1, 0, 0, 0, (run,), {"val/accuracy": metric}, {}, stability, ("note",))
    summary = Summary("val/accuracy", (group,), ("whole",))
    plain = strict_json.loads(strict_json.dumps(summary.to_dict()).replace('"NaN"', '"not a number"'))
    assert plain["notes"] == ["whole"]
    (out,) = plain["groups"]
    assert (out["key"], out["label"], out["notes"]) == ("9f3c", "lr=0.1", ["note"])
    assert out["runs"][0] == {
        "path": "lr=0.1/seed=0",
        "seed": 0,
        "status": "completed",
        "failed": False,
        "failure_reason": None,
        "last_step": 1000,
        "incidents": [
            {
                "kind": "spike",
                "key": "train/loss",
                "step": 310,
                "end_step": 312,
                "value": 9.1,
                "baseline": 2.0,
                "scale": 0.1,
                "shared": False,
                "evidence": {"lr": 0.1},
            }
        ],
        "metrics": {
            "val/accuracy": {"final": "not a number", "best": 0.98, "best_step": 900, "n_points": 10, "n_nonfinite": 1}
        },
        "scores": {"noise": None, "quality": 0.59},
        "copy_of": None,
        "target_step": None,
        "checkpoints": None,
        "monitor_cost": None,
    }
    assert out["metrics"]["val/accuracy"]["ci"] is None
    assert out["metrics_ok"] == {}
    assert out["stability"]["failure_ci"] == [0.036, 0.62]
    assert out["stability"]["not_measured"] == ["seed_spread"]
    assert out["stability"]["points_lost"] == {"noise": 44.9}
