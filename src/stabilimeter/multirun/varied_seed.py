"""The seeds of a run in which one source of chance differs from the others."""

SOURCES = ("init", "order", "noise", "split")
"""Weights at the start; order of the data; dropout, augmentation and the like; split into training and validation."""

NOTHING = "nothing"
"""Where no source differs: all have the seed of the run."""

_OFFSET = 2**31


def varied_seed(source: str, varied: str, seed: int) -> int:
    """The seed of ``source`` in a run with seed ``seed`` that varies ``varied``: another one, if that is this source.

    For ``${stabilimeter.varied_seed:init,${vary},${seed}}`` in a config.

    Raises:
        ValueError: if ``varied`` is neither a source nor ``"nothing"``.

    >>> [varied_seed(source, "order", 3) for source in SOURCES]
    [3, 2147483651, 3, 3]
    """
    if varied not in (*SOURCES, NOTHING):
        raise ValueError(f"vary={varied} is not one of {', '.join((NOTHING, *SOURCES))}")
    return (seed + _OFFSET) % 2**32 if source == varied else seed
