import re
from importlib import resources

from stabilimeter.stats.incident import Kind


def test_every_kind_of_incident_has_a_glyph_and_a_colour():
    text = (resources.files("stabilimeter.tensorboard_plugin") / "static" / "palette.js").read_text()
    kinds = text.partition("KINDS = {")[2].partition("};")[0]
    found = dict(re.findall(r"(\w+): \{glyph: '(.)', color: '#[0-9A-F]{6}'", kinds))
    assert {kind.value for kind in Kind} <= set(found)
    assert len(set(found.values())) == len(found)
