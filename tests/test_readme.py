"""The README says what the code does."""

import re
from pathlib import Path

from stabilimeter.callbacks.signals import DEFAULT_SIGNALS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_table_of_signals_is_that_of_the_monitor():
    table = README.split("| signal | what it is |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\S+)` \|", table, flags=re.MULTILINE) == [s.spec.key for s in DEFAULT_SIGNALS]


def test_pictures_exist():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    assert all((Path(__file__).parents[1] / picture).is_file() for picture in pictures)


def test_every_linked_file_exists():
    links = [link for link in re.findall(r"\[[^\]]*\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert all((Path(__file__).parents[1] / link).exists() for link in links)
