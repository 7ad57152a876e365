from stabilimeter.analysis.examples import GroupExamples
from stabilimeter.present.example_table import example_agreement


def test_by_hand(build):
    found = GroupExamples(5, 360, 0.0123, 0.0167, "predictions", 0.0029, 0.0, 0.001, (), ())
    table = example_agreement([("a", build.group(examples=found)), ("b", build.group())])
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["a", "360", "5", "1.2 %, 1.7 % at most", "0.0029", "0"]
    ]


def test_nothing_recorded_no_table(build):
    assert example_agreement([("a", build.group())]) is None
