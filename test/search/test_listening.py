"""Recordings in pieces: who gets which hypotheses, and what they are as one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from legonn.audio.hearing import Heard
from legonn.audio.recordings import Utterance
from legonn.audio.source import Sound
from legonn.errors import ConfigError, DataError
from legonn.progress import Progress
from legonn.search import Hypothesis
from legonn.search.alignment import Alignment
from legonn.search.files import open_writer
from legonn.search.journal import Journal
from legonn.search.jsonl import JsonLines
from legonn.search.listening import (
    Tally,
    begin_window,
    check_times,
    decode_recordings,
    join,
    time_lines,
    transcribe,
)
from legonn.search.pipeline import Begun

RATE = 4000


def hypothesis(text: str, score: float = 0.0, **scores: float) -> Hypothesis:
    return Hypothesis(text, tuple(text), tuple(map(ord, text)), score, scores)


class Lengths:
    """A transcriber that writes down how many samples it was given."""

    sound = Sound(RATE)

    ahead = 0

    def start(
        self, pieces: Sequence[Any], on_done: Callable[[int], None]
    ) -> Begun[list[list[Hypothesis]]]:
        def finish() -> list[list[Hypothesis]]:
            on_done(0)
            for _ in pieces:
                on_done(1)
            return [[hypothesis(f"{len(piece)}"), hypothesis("other")] for piece in pieces]

        return Begun(1, finish)

    def transcribe(self, waveforms: Sequence[Any]) -> list[list[Hypothesis]]:
        return self.start(waveforms, lambda count: None).finish()


LENGTHS: Any = Lengths()


def heard(utt_id: str, *lengths: int) -> Heard:
    edges = np.cumsum([0, *lengths]).tolist()
    samples = np.zeros(edges[-1], np.float32)
    spans = tuple(zip(edges, edges[1:], strict=False))
    return Heard(Utterance(utt_id, "", ""), samples, 10, spans, is_cut=len(spans) > 1)


def test_one_piece_keeps_all_its_hypotheses() -> None:
    found = [hypothesis("a", -1.0, decoder=-2.0), hypothesis("b")]
    assert join([found]) == found


def test_pieces_become_one_hypothesis() -> None:
    first = [hypothesis("ab", -0.5, decoder=-1.0, ctc=-3.0), hypothesis("x")]
    second = [hypothesis("", -0.25)]
    third = [hypothesis("c", -1.0, decoder=-2.0, ctc=-0.5)]
    assert join([first, second, third]) == [
        Hypothesis("ab c", ("a", "b", "c"), (97, 98, 99), -1.75, {"decoder": -3.0, "ctc": -3.5})
    ]


def test_times_of_tokens_are_the_recordings_and_positions_count_on() -> None:
    class Aligner(Lengths):
        def start(
            self, pieces: Sequence[Any], on_done: Callable[[int], None]
        ) -> Begun[list[list[Hypothesis]]]:
            one = Hypothesis("a", ("a",), (3,), 0.0, {}, Alignment(((1, 2),), 4))
            return Begun(1, lambda: [[one] for _ in pieces])

    aligner: Any = Aligner()
    (found,) = begin_window(aligner, [heard("a", 4, 8)]).finish()  # 10 Hz: 0 to 0.4 s, and to 1.2 s
    (joined,) = join(found)
    assert joined.alignment is not None
    assert joined.alignment.spans == ((1, 2), (5, 6))
    assert joined.alignment.positions == 8
    (first, second) = joined.alignment.times or ()
    assert first == pytest.approx((0.1, 0.3))
    assert second == pytest.approx((0.6, 1.0))


def test_nothing_heard_is_an_empty_text() -> None:
    (found,) = join([])
    assert (found.text, found.tokens, found.score) == ("", (), 0.0)


def test_each_recording_gets_what_its_pieces_gave() -> None:
    done: list[float] = []
    window = [heard("a", 3), heard("bad"), heard("b", 5, 7, 6)]
    found = begin_window(LENGTHS, window, done.append).finish()
    assert [[piece[0].text for piece in pieces] for pieces in found] == [["3"], [], ["5", "7", "6"]]
    # Four pieces of three recordings.
    assert done == [0, 0.75, 0.75, 0.75, 0.75]


def test_the_pieces_of_one_long_recording_are_parts_of_it() -> None:
    done: list[float] = []
    begin_window(LENGTHS, [heard("a", 3, 4, 5, 6)], done.append).finish()
    assert done == [0, 0.25, 0.25, 0.25, 0.25]


def test_a_window_without_a_piece_is_done_at_once() -> None:
    done: list[float] = []
    assert begin_window(LENGTHS, [heard("bad"), heard("worse")], done.append).finish() == [[], []]
    assert sum(done) == 2


def test_the_tally_tells_what_was_cut_and_what_was_bad() -> None:
    tally = Tally()
    tally.add(
        [heard("a", 3), heard("b", 5, 7), Heard(Utterance("c", "", ""), fault="no such file")]
    )
    assert tally == Tally(total=3, bad=1, cut=1, seconds=1.5)
    assert list(tally.messages(0.7)) == [
        "1 of 3 recordings are longer than 0.7 s: cut at quiet places, joined",
        "1 of 3 recordings could not be decoded",
    ]
    assert list(Tally(total=3).messages(0.7)) == []


def test_recordings_are_written_in_their_order_with_times_and_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    utterances = [
        Utterance(name, f"{tmp_path}/{name}.wav", f"{tmp_path}/{name}.wav") for name in "cab"
    ]
    for name, seconds in (("c", 1.0), ("b", 9.0)):
        samples = np.random.default_rng(1).uniform(-0.1, 0.1, round(seconds * RATE))
        samples[20000:22000] = 0
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    times, log = io.StringIO(), io.StringIO()
    with open_writer("-", ids=True) as writer:
        tally = decode_recordings(
            LENGTHS,
            utterances,
            longest=8.0,
            size=2,
            writer=writer,
            times=times,
            journal=Journal(None, {}),
            progress=Progress(3, unit="recording", stream=log),
        )
    assert tally == Tally(total=3, bad=1, cut=1, seconds=10.0)
    assert (
        log.getvalue() == f"legonn decode: warning: {tmp_path}/a.wav: no such file; mend its path\n"
    )
    c, a, b = capsys.readouterr().out.splitlines()
    assert (c, a) == ("c 4000", "a ")
    first, second = map(int, b.removeprefix("b ").split())
    assert first + second == 36000 and 20600 <= first <= 21400
    assert times.getvalue() == (
        f"c 0.00 1.00 4000\nb 0.00 {first / RATE:.2f} {first}\nb {first / RATE:.2f} 9.00 {second}\n"
    )


def subtitles(suffix: str, *pieces: tuple[float, str]) -> str:
    """Of a recording of pieces that are so long, in seconds, and say so."""
    one = heard("a", *(round(seconds * 10) for seconds, _ in pieces))
    return "".join(time_lines([one], [[[hypothesis(text)] for _, text in pieces]], suffix))


def test_subtitles_are_numbered_cues_of_what_was_said() -> None:
    pieces = [(2.5, "eins & zwei"), (3600.0, ""), (60.1, "<drei>")]
    assert subtitles(".srt", *pieces) == (
        "1\n00:00:00,000 --> 00:00:02,500\neins & zwei\n\n"
        "2\n01:00:02,500 --> 01:01:02,600\n<drei>\n\n"
    )
    assert subtitles(".VTT", *pieces) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.500\neins &amp; zwei\n\n"
        "01:00:02.500 --> 01:01:02.600\n&lt;drei&gt;\n\n"
    )
    assert subtitles(".times", *pieces[:1]) == "a 0.00 2.50 eins & zwei\n"


def test_nothing_said_is_a_file_of_subtitles_without_any() -> None:
    assert (subtitles(".srt"), subtitles(".vtt")) == ("", "WEBVTT\n\n")


@pytest.mark.parametrize("recordings", [0, 2])
def test_subtitles_are_of_one_recording(recordings: int) -> None:
    for name in ("out/a.srt", "a.VTT"):
        with pytest.raises(ConfigError, match=f"no common clock, and --input names {recordings}"):
            check_times(name, recordings)
        check_times(name, 1)
    check_times("out/times", recordings)


def test_what_could_not_be_heard_says_so_in_the_json_lines(tmp_path: Path) -> None:
    absent = str(tmp_path / "b.wav")
    soundfile.write(tmp_path / "a.wav", np.full(RATE, 0.1), RATE)
    file = io.StringIO()
    decode_recordings(
        LENGTHS,
        [Utterance("b", absent, absent), Utterance("a", f"{tmp_path}/a.wav", "a.wav")],
        longest=8.0,
        size=2,
        writer=JsonLines(file),
        times=None,
        journal=Journal(None, {}),
        progress=Progress(2, stream=io.StringIO()),
    )
    bad, good = map(json.loads, file.getvalue().splitlines())
    assert bad["error"] == f"{absent}: no such file; mend its path"
    assert [(one["text"], one["score"]) for one in bad["hypotheses"]] == [("", None)]
    assert "error" not in good and good["hypotheses"][0]["score"] == 0.0


# ---- Waveforms and files together ------------------------------------------------------------------


def test_waveforms_stay_whole_and_files_are_cut_and_joined(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).uniform(-0.1, 0.1, 9 * RATE)
    samples[20000:22000] = 0
    path = tmp_path / "a.wav"
    soundfile.write(path, np.repeat(samples, 2).reshape(-1, 2), RATE)  # two channels
    soundfile.write(tmp_path / "b.wav", samples[: 2 * RATE], 2 * RATE)
    given = [path, samples, str(tmp_path / "b.wav"), samples[:0]]
    a, waveform, b, empty = transcribe(LENGTHS, given, longest=8.0, whole=8.0)
    first, second = map(int, a[0].text.split())
    assert first + second == 36000 and 20600 <= first <= 21400
    assert [one[0].text for one in (waveform, b, empty)] == ["36000", "4000", "0"]
    assert [len(one) for one in (a, waveform, b)] == [1, 2, 2]
    uncut, *_ = transcribe(LENGTHS, given, longest=8.0, whole=9.0)
    assert uncut[0].text == "36000"
    assert transcribe(LENGTHS, [], longest=8.0, whole=8.0) == []


def test_all_files_that_cannot_be_heard_are_named_before_any_is_decoded(tmp_path: Path) -> None:
    class Never(Lengths):
        def transcribe(self, waveforms: Sequence[Any]) -> list[list[Hypothesis]]:
            raise AssertionError

    never: Any = Never()
    (tmp_path / "b.wav").write_text("no sound")
    soundfile.write(tmp_path / "c.wav", np.full(RATE, 0.1), RATE)
    command = f"touch {tmp_path}/made |"
    given = [tmp_path / "a.wav", np.zeros(RATE), tmp_path / "b.wav", command, tmp_path / "c.wav"]
    with pytest.raises(DataError, match="3 of 5 recordings can't be decoded; mend them") as caught:
        transcribe(never, given, longest=8.0, whole=8.0)
    starts = [f"{tmp_path}/a.wav: no such file", f"{tmp_path}/b.wav: no sound", f"{command}: a "]
    for item, start in zip(caught.value.items, starts, strict=True):
        assert item.startswith(start)
    assert not (tmp_path / "made").exists()
