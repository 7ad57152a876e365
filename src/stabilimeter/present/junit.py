"""A gate's result as JUnit XML, which CI servers show as tests."""

import xml.etree.ElementTree as ET

from stabilimeter.present.gate import CheckResult, GateResult, Verdict
from stabilimeter.present.wording import number, printable


def junit_xml(result: GateResult) -> str:
    """One test suite per group, one test case per check.

    A failed check is a ``failure``, an inconclusive one an ``error``: both stop a build, and can be told apart.
    """
    root = ET.Element("testsuites", _counts(result.results), name="stabilimeter gate")
    for group in dict.fromkeys(check.group for check in result.results):
        checks = [check for check in result.results if check.group == group]
        suite = ET.SubElement(root, "testsuite", _counts(checks), name=printable(group))
        for check in checks:
            name = f"{check.check.score} {check.check.bound}"
            case = ET.SubElement(suite, "testcase", classname=printable(group), name=printable(name), time="0")
            if check.verdict is not Verdict.PASS:
                kind = "failure" if check.verdict is Verdict.FAIL else "error"
                ET.SubElement(case, kind, type=check.verdict.value, message=printable(_message(check)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(checks: tuple[CheckResult, ...] | list[CheckResult]) -> dict[str, str]:
    verdicts = [check.verdict for check in checks]
    counts = {"tests": len(verdicts), "failures": verdicts.count(Verdict.FAIL)}
    return {name: str(n) for name, n in {**counts, "errors": verdicts.count(Verdict.INCONCLUSIVE)}.items()}


def _message(check: CheckResult) -> str:
    numbers = f"{check.check.score} is {number(check.value)}, interval {number(check.low)} to {number(check.high)}"
    return f"{numbers}; bound: {check.check.bound}" + (f"; {check.reason}" if check.reason else "")
