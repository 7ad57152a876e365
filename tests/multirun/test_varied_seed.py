import pytest

from stabilimeter.multirun.varied_seed import NOTHING, SOURCES, varied_seed


@pytest.mark.parametrize("seed", [0, 2**31 + 5, 2**32 - 1])
def test_exactly_one_source_has_another_seed_that_is_a_seed(seed):
    for varied in SOURCES:
        seeds = {source: varied_seed(source, varied, seed) for source in SOURCES}
        assert [source for source in SOURCES if seeds[source] != seed] == [varied]
        assert 0 <= seeds[varied] < 2**32
    assert {varied_seed(source, NOTHING, seed) for source in SOURCES} == {seed}


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="vary=ordre is not one of nothing, init, order, noise, split"):
        varied_seed("init", "ordre", 0)
