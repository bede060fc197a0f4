"""`legonn decode`: text from text or from speech, with a trained system, or with one composed of two systems' parts."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legonn.bin.decode_parser import MANY, check, make_parser
from legonn.bin.decoding_options import decoding_options, prepare_device
from legonn.bin.input_options import audio_limits, check_max_seconds, read_given
from legonn.bin.system_options import check_system_options, load_chain, load_system
from legonn.errors import ConfigError

if TYPE_CHECKING:
    from legonn.audio.recordings import Utterance
    from legonn.search.files import Lines, Writer
    from legonn.search.journal import Journal
    from legonn.search.options import DecodingOptions
    from legonn.search.pool import Pool
    from legonn.search.translator import Transcriber, Translator
    from legonn.system import System

__all__ = ["get_parser", "main"]

# Inputs read ahead are sorted by length within such a window, then written in their own order.
BATCHES_PER_WINDOW = 16


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    return make_parser(__doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = get_parser()
    args = parser.parse_args(argv)
    check(parser, args)
    check_system_options(args)
    options = decoding_options(args)

    from legonn.audio.inputs import check_kind
    from legonn.search.files import check_output
    from legonn.search.journal import open_journal
    from legonn.search.translator import Transcriber, Translator

    check_max_seconds(parser, args)
    prepare_device(args)
    # Faults of the input are told before the model is loaded.
    given = _read_input(args)
    folder = isinstance(given, dict) or given is not None and given.ids is not None
    check_output(args.output, ids=folder)
    system, notes = load_system(args)
    check_kind(system.source, system.name, args.input, sound=isinstance(given, dict))
    _tell(notes)
    args.whole_seconds, args.max_seconds = audio_limits(args, system.longest_seconds)
    if args.ngpu:
        system.chain.cuda()
    with contextlib.ExitStack() as stack:
        searched: dict[str, Any] = {"aligned": args.jsonl is not None, "tell": _tell_one}
        processes = processes_for(args, 0 if given is None else _count(given))
        if processes > 1:
            searched["decode"] = stack.enter_context(_pool(args, options, processes))
        if given is None:
            return _decode_stream(Translator(system, options, **searched), args)
        if isinstance(given, dict):
            decode = partial(_decode_sound, Transcriber(system, options, **searched), given)
        else:
            decode = partial(_decode_file, Translator(system, options, **searched), given)
        # Standard output has no journal.
        about = {} if args.output == "-" else _about(system, options, given, args)
        journal = stack.enter_context(
            open_journal(args.output, about, folder=folder, resume=args.resume)
        )
        if journal.status is not None:
            _tell([f"--resume true: {args.output} is complete; nothing to do"])
            return journal.status
        if journal.done:
            _tell([f"--resume true: {journal.done} inputs are done"])
        status = decode(args, journal)
        journal.end(status)
    return status


def processes_for(args: argparse.Namespace, inputs: int) -> int:
    """As many as are asked for, or for much input as keep all cores busy: they are faster than threads."""
    if args.num_processes is not None:
        return int(args.num_processes)
    if args.ngpu or inputs < MANY:
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // args.num_threads)


def _count(given: Lines | dict[str, Utterance]) -> int:
    return len(given) if isinstance(given, dict) else len(given.texts)


def _pool(args: argparse.Namespace, options: DecodingOptions, processes: int) -> Pool:
    from legonn.search.pool import Pool

    return Pool(
        partial(load_chain, args),
        options,
        aligned=args.jsonl is not None,
        processes=processes,
        threads=args.num_threads,
        tell=_tell_one,
    )


def _about(
    system: System,
    options: DecodingOptions,
    given: Lines | dict[str, Utterance],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """What a run has in common with one that it may resume."""
    from legonn.part import stored, weights_sha256
    from legonn.search.journal import fingerprint
    from legonn.search.strategies import mode_for

    weights = {name: value.detach() for name, value in stored(system.chain).items()}
    if isinstance(given, dict):
        from legonn.audio.states import recording_states

        read = fingerprint([*map(repr, given.values()), recording_states(given.values())])
    else:
        read = fingerprint([given.ids, given.texts])
    return {
        **dataclasses.asdict(options),
        "mode": mode_for(system.chain, options),
        "ensemble_weights": list(options.ensemble_weights),  # as JSON gives it back
        **{
            name: getattr(args, name)
            for name in ("max_seconds", "whole_seconds", "max_tokens", "ngpu")
        },
        "system": fingerprint([system.config, weights_sha256(weights)]),
        "input": read,
        **{f"--{name}": _beside(args.output, getattr(args, name)) for name in ("jsonl", "times")},
    }


def _beside(output: str, path: str | None) -> str | None:
    """A path as it is seen from where `--output` lies, so that both can be moved together."""
    return None if path is None else os.path.relpath(path, Path(output).parent)


@contextlib.contextmanager
def _open_outputs(
    args: argparse.Namespace, journal: Journal, *, ids: bool, nbest: int
) -> Iterator[Writer]:
    """What `--output` and `--jsonl` name."""
    from legonn.search.files import Several, open_writer
    from legonn.search.jsonl import JsonLines

    with contextlib.ExitStack() as stack:
        texts = open_writer(args.output, ids=ids, nbest=nbest, open_file=journal.open)
        writers = [stack.enter_context(texts)]
        if args.jsonl:
            file = stack.enter_context(journal.open(Path(args.jsonl)))
            writers.append(JsonLines(file, first=journal.done + 1))
        yield Several(*writers)


def _read_input(args: argparse.Namespace) -> Lines | dict[str, Utterance] | None:
    """Lines of text; recordings by id; None: standard input, as it comes."""
    from legonn.audio.inputs import is_sound
    from legonn.search.listening import check_times

    if not is_sound(args.input, args.input_format):
        (path,) = args.input
        if args.times is not None:
            raise ConfigError(
                f"--times is for audio, and --input {path} is read as text: leave it out"
            )
        lines = args.input_format != "kaldi" and args.key_file is None
        if (path, args.output) == ("-", "-") and lines:
            return None
    given = read_given(args, tolerant=True)
    if args.times is not None:
        check_times(args.times, _count(given))
    return given


def _tell_one(message: str) -> None:
    _tell([message])


def _tell(messages: Iterable[str]) -> None:
    for message in messages:
        print(f"legonn decode: {message}", file=sys.stderr)


def _decode_file(
    translator: Translator, lines: Lines, args: argparse.Namespace, journal: Journal
) -> int:
    from legonn.progress import Progress
    from legonn.search.notes import Notes
    from legonn.search.reading import decode_lines

    options = translator.options
    with (
        _open_outputs(args, journal, ids=lines.ids is not None, nbest=options.nbest) as writer,
        Progress(len(lines.texts) - journal.done) as progress,
    ):
        notes = Notes(longest=args.max_tokens, tell=progress.tell)
        decode_lines(
            translator,
            lines,
            size=BATCHES_PER_WINDOW * options.batch_size,
            writer=writer,
            notes=notes,
            journal=journal,
            progress=progress,
        )
    _tell([*notes.warnings(), progress.summary()])
    return 1 if notes.bad else 0


def _decode_stream(translator: Translator, args: argparse.Namespace) -> int:
    from legonn.search.files import stream_lines
    from legonn.search.journal import Journal
    from legonn.search.notes import Notes
    from legonn.search.reading import decode_stream

    nbest = translator.options.nbest
    notes = Notes(longest=args.max_tokens, tell=_tell_one)
    with _open_outputs(args, Journal(None, {}), ids=False, nbest=nbest) as writer:
        decode_stream(translator, stream_lines(sys.stdin.buffer), writer=writer, notes=notes)
    _tell(notes.warnings())
    return 1 if notes.bad else 0


def _decode_sound(
    transcriber: Transcriber,
    utterances: dict[str, Utterance],
    args: argparse.Namespace,
    journal: Journal,
) -> int:
    from legonn.progress import Progress
    from legonn.search.listening import decode_recordings

    options = transcriber.options
    before = journal.facts.get("seconds", 0.0)  # of sound, in the runs that this one resumes
    with (
        _open_outputs(args, journal, ids=True, nbest=options.nbest) as writer,
        journal.open(Path(args.times)) if args.times else contextlib.nullcontext() as times,
        Progress(len(utterances) - journal.done, unit="recording") as progress,
    ):
        tally = decode_recordings(
            transcriber,
            list(utterances.values()),
            longest=args.max_seconds,
            whole=args.whole_seconds,
            size=BATCHES_PER_WINDOW * options.batch_size,
            writer=writer,
            times=times,
            times_suffix=Path(args.times or "").suffix,
            journal=journal,
            progress=progress,
        )
    _tell([progress.summary(tally.seconds - before), *tally.messages(args.whole_seconds)])
    return 1 if tally.bad else 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
