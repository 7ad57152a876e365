import io
import sys

from stabilimeter.present.progress import progress


def test_nobody_at_the_terminal_no_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress("reading") as on_progress:
        assert on_progress is None
    assert sys.stderr.getvalue() == ""


def test_a_person_sees_how_far_it_is(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with progress("reading runs") as on_progress:
        on_progress(1, 4)
        on_progress(4, 4)
    assert "reading runs" in sys.stderr.getvalue()
    assert "100%" in sys.stderr.getvalue()
