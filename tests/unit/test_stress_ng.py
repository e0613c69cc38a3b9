"""What `tools/suites/stress_ng.py` makes of stress-ng's output."""

from __future__ import annotations

import pytest

from tests.integration.harness import Outcome
from tools.suites import stress_ng
from tools.suites.report import Report
from tools.suites.source import SuiteError

STARTED = """\
stress-ng: info:  [7] setting to a 2 second run per stressor
stress-ng: info:  [7] dispatching hogs: 1 fork
"""
METRICS = """\
stress-ng: metrc: [7] stressor       bogo ops real time  usr time  sys time   bogo ops/s     bogo ops/s
stress-ng: metrc: [7]                           (secs)    (secs)    (secs)   (real time) (usr+sys time)
"""
ENDED = "stress-ng: info:  [7] successful run completed in 2.00s\n"
WORKED = STARTED + METRICS + "stress-ng: metrc: [7] fork   353   1.00   0.11   0.09   352.96   1736.06\n" + ENDED


def judged(text: str, status: int = 0) -> Report:
    report = Report()
    stress_ng.judge("fork", Outcome(status, text.encode(), b""), report)
    return report


def test_a_run_that_did_something_passes() -> None:
    assert judged(WORKED).passed == {"fork": 1}


def test_a_run_that_did_nothing_fails() -> None:
    report = judged(STARTED + METRICS + ENDED)
    assert report.failed == {"fork": "did nothing: nothing was said"}


@pytest.mark.parametrize("status", [0, 4])
def test_a_stressor_that_skips_itself(status: int) -> None:
    said = "fork stressor will be skipped, need to be running as root"
    report = judged(f"stress-ng: info:  [7] {said}\nstress-ng: error: [7] No stress workers invoked\n", status)
    assert (report.skipped, report.failed) == ({"fork": said}, {})


def test_the_reason_is_the_last_complaint_and_what_the_guest_lacks() -> None:
    missing = "compat: not implemented: unshare: new namespaces\n"
    fault = "stress-ng: fail:  [8] fork: cannot wait, errno=10\n"
    later = "stress-ng: info:  [7] unsuccessful run completed in 2.00s\nstress-ng: info:  [7] something else\n"
    report = judged(STARTED + missing + fault + missing + later, 2)
    reason = "fork: cannot wait, errno=10; compat: not implemented: unshare: new namespaces"
    assert report.failed == {"fork": f"status 2: {reason}"}


def test_a_class_is_listed() -> None:
    assert stress_ng.listed("class 'pipe' stressors: fifo pipe tee\n") == ["fifo", "pipe", "tee"]
    with pytest.raises(SuiteError, match="Unknown class"):
        stress_ng.listed("Unknown class: 'pipes', available classes: cpu pipe\n")


def test_verdicts() -> None:
    native, guest = Report(), Report()
    for name in ("passes", "fails", "hangs", "skips"):
        native.add(name, good=True)
    native.skipped["lacks"] = "no such CPU"
    guest.add("passes", good=True)
    guest.add("fails", good=False, details="status 2: bad")
    guest.add("hangs", good=False, details=f"{stress_ng.NO_END} 40 s: stress-ng")
    guest.skipped["skips"] = "no such call"
    guest.add("lacks", good=True)
    found = {name: stress_ng.verdict(name, native, guest)[0] for name in ("passes", "fails", "hangs", "skips", "lacks")}
    assert list(found.values()) == ["passed", "failed", "without end", "not applicable", "not applicable"]
