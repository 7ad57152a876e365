from stabilimeter.present.ranking import named_groups


def test_groups_come_best_first_and_unscored_ones_last(build):
    undefined = build.stability(score=None, low=None, high=None, given_completion=None)
    groups = [
        build.group("c", stability=undefined),
        build.group("b", stability=build.stability(score=20.0)),
        build.group("d", stability=build.stability(score=90.0)),
        build.group("a", stability=build.stability(score=20.0)),
    ]
    named, common = named_groups(build.summary(*groups))
    assert [label for label, _ in named] == ["d", "a", "b", "c"]
    assert common == ""
