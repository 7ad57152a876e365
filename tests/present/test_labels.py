import pytest

from stabilimeter.present.labels import short_labels


@pytest.mark.parametrize(
    ("labels", "short", "common"),
    [
        (["experiment=gpt,model.lr=0.1", "experiment=gpt,model.lr=1.0"], ["lr=0.1", "lr=1.0"], "experiment=gpt"),
        (["model.lr=0.1, seed_data=1", "model.lr=1, seed_data=1"], ["lr=0.1", "lr=1"], "seed_data=1"),
        (["opt.lr=1,ema.lr=2", "opt.lr=2,ema.lr=3"], ["opt.lr=1 ema.lr=2", "opt.lr=2 ema.lr=3"], ""),
        (["a=1", "a=1,b=2"], ["(no more overrides)", "b=2"], "a=1"),
        (["a=1,b", "a=1,c"], ["a=1,b", "a=1,c"], ""),
        (["base", "tuned"], ["base", "tuned"], ""),
        (["model.lr=0.1"], ["model.lr=0.1"], ""),
        ([], [], ""),
    ],
)
def test_labels_lose_what_they_share(labels, short, common):
    assert short_labels(labels) == (short, common)


def test_different_labels_stay_different():
    labels = [f"a.x={i},b.y={j},c=0" for i in range(5) for j in range(5)]
    assert len(set(short_labels(labels)[0])) == 25
