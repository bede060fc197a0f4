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


def test_parts_of_a_long_one_are_seen_and_make_a_whole_number_in_the_end() -> None:
    now = [0.0]
    stream = io.StringIO()
    progress = Progress(2, unit="recording", stream=stream, clock=lambda: now[0])
    for now[0] in (40.0, 80.0, 120.0, 160.0, 200.0, 240.0):
        progress.add(1 / 3)
    assert stream.getvalue().splitlines() == [
        "legonn decode: 0.33/2 recordings, 200 s left",
        "legonn decode: 0.67/2 recordings, 160 s left",
        "legonn decode: 1/2 recordings, 120 s left",
        "legonn decode: 1.33/2 recordings, 80 s left",
        "legonn decode: 1.67/2 recordings, 40 s left",
        "legonn decode: 2/2 recordings, 0 s left",
    ]
    assert progress.summary(480.0).startswith("2 recordings, 480 s, in 240 s: 2.0 times")


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
        progress.add(1 / 3)
        progress.bar.refresh()
        assert "0.33/4" in stream.getvalue()
        progress.add(11 / 3)
        progress.bar.refresh()
        progress.tell("warning: odd")
    assert "4/4" in stream.getvalue()
    assert "legonn decode: warning: odd\n" in stream.getvalue()


def test_a_message_in_between_names_the_command() -> None:
    stream = io.StringIO()
    Progress(4, command="legonn x", stream=stream).tell("warning: odd")
    assert stream.getvalue() == "legonn x: warning: odd\n"


def test_recordings_are_summed_up_in_time_of_sound() -> None:
    now = [0.0]
    progress = Progress(1000, unit="recording", stream=io.StringIO(), clock=lambda: now[0])
    progress.add(1000)
    now[0] = 52.0
    assert progress.summary(3348.0) == "1,000 recordings, 0.93 h, in 52 s: 64 times real time"
    now[0] = 2.04
    assert progress.summary(1.02) == "1,000 recordings, 1.0 s, in 2.0 s: 0.5 times real time"
