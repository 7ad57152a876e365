import itertools

import pytest
from scipy import stats

from stabilimeter.stats.proportions import fisher_exact


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 3), (5, 5), (5, 8), (10, 4), (30, 28)])
def test_every_table_as_scipy(n, m):
    tables = list(itertools.product(range(n + 1), range(m + 1)))
    assert len(tables) == (n + 1) * (m + 1)
    for k, other in tables[:: max(1, len(tables) // 60)]:
        expected = stats.fisher_exact([[k, n - k], [other, m - other]]).pvalue
        assert fisher_exact((k, n), (other, m)) == pytest.approx(expected), (k, other)


def test_two_failures_of_five_are_no_evidence():
    """Why new failures count by rule: two-sided 0.44, one-sided 0.22."""
    assert fisher_exact((0, 5), (2, 5)) == pytest.approx(4 / 9)


@pytest.mark.parametrize(("first", "second"), [((6, 5), (0, 5)), ((-1, 5), (0, 5)), ((0, 0), (0, 5))])
def test_refuses_what_is_no_share(first, second):
    with pytest.raises(ValueError, match="0 <= k <= n"):
        fisher_exact(first, second)
