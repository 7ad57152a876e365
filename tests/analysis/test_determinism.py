from stabilimeter.analysis.determinism import Parting, parting
from stabilimeter.records.digests import BEFORE, BatchDigests, Kind

START = BatchDigests(BEFORE, {"weight a": "0"})
RUN = [START, BatchDigests(0, {"loss": "1", "weight a": "2"}), BatchDigests(1, {"loss": "3", "weight a": "4"})]


def test_the_first_of_several_differences_in_the_order_of_a_step():
    other = [*RUN[:2], BatchDigests(1, {"loss": "3", "gradient a": "9", "weight a": "5", "buffer b": "6"})]
    mine = [*RUN[:2], BatchDigests(1, {"loss": "3", "gradient a": "8", "weight a": "4", "buffer b": "6"})]
    found = parting(mine, other)
    assert found == Parting(1, "gradient a", n_others=1, n_same=1)
    assert found.kind is Kind.GRADIENT


def test_a_run_that_ends_earlier_differs_where_it_ends():
    assert parting(RUN, RUN[:2]) == parting(RUN[:2], RUN) == Parting(1, "loss", n_others=1, n_same=1)
    assert parting(RUN, []) == Parting(BEFORE, "weight a", n_others=0, n_same=0)
    assert parting([], []) is None


def test_something_that_only_one_run_has_differs():
    more = [START, BatchDigests(0, {"loss": "1", "gradient a": "7", "weight a": "2"}), RUN[2]]
    assert parting(RUN, more) == parting(more, RUN) == Parting(0, "gradient a", n_others=0, n_same=0)
