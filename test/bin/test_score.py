"""`legonn score`, from the command line to the files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sacrebleu.metrics import BLEU

from legonn.bin.score import get_parser, main, split_name
from legonn.environment import versions
from legonn.errors import ConfigError, DataError
from legonn.scoring import METRICS, NORMALISERS
from legonn.scoring.alignments import WORST

REFS = ["A man is sitting on a bench.", "Two dogs run in snow.", "A cat sleeps on the sofa."]
HYPS = ["A man is sitting on a bench.", "Two dogs run in snow!", "The cat sleeps on the sofa."]
LABELS = "--experiment E1 --recipe numbers --system_name lego --test_set test --seed 1".split()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `ref`, `hyp` and `plain` (Kaldi), to work in."""
    for name, lines in {"ref": REFS, "hyp": HYPS, "plain": ["no", "no", "no"]}.items():
        text = "".join(f"utt-{number} {line}\n" for number, line in enumerate(lines, 1))
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hyp", "hyp", "--ref", "ref", "--metric", "bleu, exact"]) == 0
    first, header, bleu, exact = capsys.readouterr().out.splitlines()
    golden = BLEU().corpus_score(HYPS, [REFS]).score
    assert first == "3 sentences, paired by utterance id"
    assert header.split() == ["metric", "score", "95", "%", "interval", "signature"]
    assert bleu.split()[:2] == ["BLEU", f"{golden:.2f}"]
    assert exact.split()[:3] == ["exact", "%", "33.33"]


def test_the_default_metrics(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--hyp", "hyp", "--ref", "ref"])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in rows] == ["BLEU", "chrF2", "TER"]


def test_errors_by_frequency_in_training(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "train").write_text("utt-7 a cat is a cat\nutt-8 a man on the bench on a sofa\n")
    main("--hyp hyp --ref ref --metric wer --compare no=plain --train_text train".split())
    header, *bands = capsys.readouterr().out.splitlines()[-6:]
    assert header.split("  ")[0] == "times in training"
    assert header.split()[3:] == ["words", "hyp,", "%", "wrong", "no,", "%", "wrong"]
    assert bands[0].split() == ["0", "7", "0.0", "100.0"]  # sitting two dogs run in snow sleeps
    assert bands[1].split()[:3] == ["1", "to", "2"]


def test_a_comparison_in_the_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare = ["--compare", "base=plain", "hyp"]
    main(["--hyp", "hyp", "--ref", "ref", "--metric", "exact", "--output", "out/s.json", *compare])
    rows = json.loads((here / "out" / "s.json").read_text())
    assert [(row["baseline"], row["delta"]) for row in rows] == [("base", 33.333333), ("hyp", 0)]
    assert rows[1]["p_value"] == 1
    assert "+33.33" in capsys.readouterr().out


def test_what_the_json_records(here: Path) -> None:
    size = "--parameters 5000 --train_seconds 60 --decode_seconds 2".split()
    arguments = ["--hyp", "hyp", "--ref", "ref", "--metric", "bleu", *LABELS, *size]
    main([*arguments, "--results", "results.json"])
    (row,) = json.loads((here / "results.json").read_text())
    assert row["command"] == "legonn score " + " ".join([*arguments, "--results", "results.json"])
    assert row["versions"] == versions()
    assert row["signature"].startswith("nrefs:1|bs:1000|seed:12345|case:mixed")
    names = ["experiment", "recipe", "system", "test_set", "metric", "seed", "sentences"]
    assert [row[name] for name in names] == ["E1", "numbers", "lego", "test", "bleu", 1, 3]
    assert (row["parameters"], row["train_seconds"], row["decode_seconds"]) == (5000, 60, 2)


def test_results_are_replaced_and_the_command_can_be_told(here: Path) -> None:
    arguments = [
        "--hyp",
        "hyp",
        "--ref",
        "ref",
        "--results",
        "r.json",
        "--metric",
        "exact",
        *LABELS,
    ]
    main(arguments)
    main([*arguments, "--hyp", "ref", "--command", "./run.sh"])
    (row,) = json.loads((here / "r.json").read_text())
    assert (row["score"], row["command"]) == (100, "./run.sh")


def test_error_rates(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main("--hyp hyp --ref ref --metric wer,cer,exact --output s.json".split())
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[2:5]] == ["WER", "CER", "exact"]
    # 18 words, of which one is wrong: `The cat` for `A cat`. The exclamation mark is none.
    assert rows[5:] == ["S 1  D 0  I 0 of 18 words"]
    wer = json.loads((here / "s.json").read_text())[0]
    assert wer["score"] == pytest.approx(100 / 18, abs=1e-6)
    assert wer["signature"] == f"wer|norm:basic|bs:1000|seed:12345|jiwer:{versions()['jiwer']}"


def test_the_normaliser(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main("--hyp hyp --ref ref --metric wer --normaliser none".split())
    assert capsys.readouterr().out.splitlines()[-1] == "S 2  D 0  I 0 of 18 words"


def test_character_errors_alone_show_no_words(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main("--hyp hyp --ref ref --metric cer".split())
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_bootstrap_over_speakers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "utt2spk").write_text("utt-1 kim\nutt-2 kim\nutt-3 ann\n")
    options = "--metric wer,exact --utt2spk utt2spk --compare plain --output s.json"
    main(["--hyp", "hyp", "--ref", "ref", *options.split()])
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "3 sentences, paired by utterance id, bootstrap over 2 speakers"
    rows = json.loads((here / "s.json").read_text())
    assert all(row["signature"].endswith("|units:speakers") for row in rows)
    # Resamples are kim twice, both, or ann twice: 0 of 24, 1 of 18, or 2 of 12 words.
    assert (rows[0]["low"], rows[0]["high"]) == (0, pytest.approx(100 / 6, abs=1e-6))


def test_synthetic_speech_is_called_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "utt2group").write_text("utt-1 adult\nutt-2 child\nutt-3 child\n")
    options = "--hyp hyp --ref ref --metric wer,exact --utt2group utt2group --output s.json"
    main([*options.split(), "--synthetic"])
    printed = capsys.readouterr().out
    assert printed.startswith("3 sentences of synthetic speech, paired by utterance id\n")
    rows = json.loads((here / "s.json").read_text())
    assert len(rows) == 6 and all("|speech:synthetic" in row["signature"] for row in rows)


def test_groups_are_scored_apart(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 18 words, 11 are the children's, one of them wrong."""
    (here / "utt2spk").write_text("utt-1 kim\nutt-2 bob\nutt-3 ann\n")
    (here / "utt2group").write_text("utt-1 adult\nutt-2 child\nutt-3 child\n")
    options = "--metric wer --utt2spk utt2spk --utt2group utt2group --compare plain"
    files = "--output s.json --results r.json".split()
    main(["--hyp", "hyp", "--ref", "ref", *options.split(), *LABELS, *files])
    rows = json.loads((here / "s.json").read_text())
    assert [(row["test_set"], row["sentences"]) for row in rows] == [
        ("test", 3),
        ("test:adult", 1),
        ("test:child", 2),
    ]
    assert [row["score"] for row in rows] == pytest.approx([100 / 18, 0, 100 / 11], abs=1e-6)
    # The other system has one word an utterance, and it is wrong.
    others = [100 / 18 - 100, -100, 100 / 11 - 100]
    assert [row["delta"] for row in rows] == pytest.approx(others, abs=1e-6)
    by_speaker = [row["signature"].endswith("|units:speakers") for row in rows]
    assert by_speaker == [True, False, True]  # one adult is no bootstrap
    assert len(json.loads((here / "r.json").read_text())) == 3
    printed = capsys.readouterr()
    assert printed.err == "adult: one speaker, so its interval is over utterances\n"
    lines = printed.out.splitlines()
    assert lines[1].split()[:3] == ["test", "set", "sentences"]
    assert [line.split()[:4] for line in lines[2:5]] == [
        ["test", "3", "WER", "5.56"],
        ["test:adult", "1", "WER", "0.00"],
        ["test:child", "2", "WER", "9.09"],
    ]


def test_one_group_is_the_whole(here: Path) -> None:
    (here / "utt2group").write_text("utt-1 adult\nutt-2 adult\nutt-3 adult\n")
    main("--hyp hyp --ref ref --metric wer --utt2group utt2group --output s.json".split())
    assert [row["test_set"] for row in json.loads((here / "s.json").read_text())] == [None]


def test_an_utterance_without_a_speaker(here: Path) -> None:
    (here / "utt2spk").write_text("utt-1 kim\n")
    arguments = "--hyp hyp --ref ref --metric wer --utt2spk utt2spk --output o".split()
    with pytest.raises(DataError, match=r"lacks the speaker of 2 of 3(?s:.)*utt-2\n  utt-3$"):
        main(arguments)
    assert not (here / "o").exists()


def test_alignments(here: Path) -> None:
    main("--hyp hyp --ref ref --metric exact --alignments out/errors.txt".split())
    text = (here / "out" / "errors.txt").read_text(encoding="utf-8")
    assert text.startswith("WER 5.56 %: S 1  D 0  I 0 of 18 words, 17 right\n1 of 3 utterances")
    assert "\n    1  a -> the\n" in text
    assert text.endswith(
        "utt-3: S 1  D 0  I 0 of 6 words\n"
        "REF:   a cat sleeps on the sofa\nHYP: the cat sleeps on the sofa\n       S\n"
    )
    main("--hyp hyp --ref ref --alignments errors.txt --worst 0".split())
    assert "REF:" not in (here / "errors.txt").read_text()


def test_alignments_of_lines_are_numbered(here: Path) -> None:
    (here / "said").write_text("één\ntwee\n", encoding="utf-8")
    (here / "heard").write_text("een\ntwee\n", encoding="utf-8")
    main("--hyp heard --ref said --metric wer --alignments errors.txt".split())
    text = (here / "errors.txt").read_bytes().decode("utf-8")
    assert text.endswith("line-00001: S 1  D 0  I 0 of 1 words\nREF: één\nHYP: een\n       S\n")


def test_bad_input_writes_nothing(here: Path) -> None:
    (here / "hyp").write_text("utt-1 a\nutt-2 b\n")
    with pytest.raises(DataError, match=r"hyp: no hypothesis for utt-3 \(ref:3\)"):
        main(["--hyp", "hyp", "--ref", "ref", "--output", "o", "--results", "r", *LABELS])
    assert sorted(path.name for path in here.iterdir()) == ["hyp", "plain", "ref"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metric", "bleu,meteor"], "unknown metric 'meteor'"),
        (["--compare", "a=plain", "a=hyp"], "--compare names a twice"),
        (["--utt2spk", "u", "--format", "lines"], "--utt2spk u needs texts with utterance ids"),
        (["--alignments", "a.txt", "--worst", "-2"], "--worst: got -2"),
        (["--results", "r.json"], "needs its experiment, recipe, system, test_set"),
    ],
)
def test_illegal_arguments(here: Path, more: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        main(["--hyp", "hyp", "--ref", "ref", *more])


def test_names_of_baselines(here: Path) -> None:
    (here / "a=b").write_text("x\n")
    texts = ["plain", "base=plain", "a=b", "n=a=b", "=x"]
    assert [split_name(text) for text in texts] == [
        ("plain", "plain"),
        ("base", "plain"),
        ("a=b", "a=b"),
        ("n", "a=b"),
        ("=x", "=x"),
    ]


def test_help_names_every_metric() -> None:
    assert ", ".join(METRICS) in " ".join(get_parser().format_help().split())


def test_the_error_rates_options_are_the_librarys() -> None:
    (normaliser,) = (a for a in get_parser()._actions if a.dest == "normaliser")
    assert set(normaliser.choices or ()) == set(NORMALISERS)
    assert get_parser().get_default("worst") == WORST


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom legonn.bin.score import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n"
        "    sys.exit(str([m for m in ('numpy', 'sacrebleu', 'jiwer', 'torch') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
