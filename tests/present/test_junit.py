import xml.etree.ElementTree as ET

from stabilimeter.present.checks import Check
from stabilimeter.present.gate import gate
from stabilimeter.present.junit import junit_xml

CHECKS = [Check("failure_rate", "max", 0, "f:1"), Check("stability", "min", 60, "f:2")]


def test_the_xml_says_what_the_gate_says(build):
    root = ET.fromstring(junit_xml(gate(build.summary(build.group("good"), build.failed("bad")), CHECKS)))
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "4", "1", "2")
    good, bad = root.findall("testsuite")
    assert (good.get("name"), good.get("tests"), good.get("failures"), good.get("errors")) == ("good", "2", "0", "1")
    assert [case.get("name") for case in good] == ["failure_rate max 0", "stability min 60"]
    assert len(good[0]) == 0
    assert good[1].find("error").get("type") == "inconclusive"
    assert bad[0].get("classname") == "bad"
    assert bad[0].find("failure").get("message") == (
        "failure_rate is 0.6667, interval 0.2000 to 0.9400; bound: max 0; "
        "2 of 3 seeds failed: seeds 0, 1 (nonfinite: train/loss is NaN from step 412)"
    )


def test_text_from_logs_cannot_break_the_xml(build):
    label = 'a"<b>&\x1b\x00'
    root = ET.fromstring(junit_xml(gate(build.summary(build.group(label)), CHECKS)))
    assert root[0].get("name") == 'a"<b>&??'
