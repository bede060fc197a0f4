"""Progress with a clock of our own."""

from __future__ import annotations

import io

from legonn.progress import Progress


def test_a_log_gets_a_line_every_interval_with_the_time_left() -> None:
    now = [0.0]
    stream = io.StringIO()
    with Progress(100, stream=stream, interval=30.0, clock=lambda: now[0]) as progress:
        for now[0], count in [(10.0, 10), (31.0, 15), (50.0, 15), (61.0, 10)]:
            progress.add(count)
    assert stream.getvalue() == (
        "legonn decode: 25/100 lines, 93 s left\nlegonn decode: 50/100 lines, 61 s left\n"
    )
    assert progress.summary() == "50 lines in 61.0 s, 1220.0 ms a line"


def test_nothing_done_yet_gives_no_estimate() -> None:
    now = [0.0]
    stream = io.StringIO()
    progress = Progress(9, stream=stream, clock=lambda: now[0])
    now[0] = 40.0
    progress.add(0)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress(4, stream=stream) as progress:
        progress.add(4)
        progress.bar.refresh()
    assert "4/4" in stream.getvalue()
