"""`legonn serve`: translations over HTTP, from a trained system, or from one composed of several systems' parts."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from legonn.bin.decoding_options import (
    add_decoding_options,
    add_device_options,
    decoding_options,
    prepare_device,
)
from legonn.bin.system_options import add_system_options, check_system_options, load_system
from legonn.serving.options import ServingOptions

if TYPE_CHECKING:
    from legonn.search.options import DecodingOptions
    from legonn.serving.engine import Engine

__all__ = ["get_parser", "main"]

EPILOG = """\
examples:
  legonn serve --system exp/lego
  legonn serve --encoder exp/fr --decoder modules/de_decoder --port 8080 --num_threads 2
  curl -H 'Content-Type: application/json' -d '{"texts": ["Ein Mann liest."]}' http://127.0.0.1:8000/translate

  GET / says what else there is. The translations are those of `legonn decode` with the same options.

  Requests that come at the same time are decoded together. What is too large, too slow or malformed is refused with a
  4xx status and one sentence; when the queue is full the status is 503, and Retry-After says for how many seconds.
  SIGTERM or Ctrl-C: nothing new is taken, what is queued is answered, then the exit status is 0.

  There is no encryption and no password: anyone who reaches --host can use it. For others than this machine put a
  server in front that has both.
"""

OPTION_HELP = {
    "max_batch": "texts taken from the queue together, and answered together",
    "max_wait_ms": "milliseconds that the first of them waits for others",
    "max_queue": "texts waiting, and requests at a time; more get status 503",
    "max_texts": "of a request",
    "max_characters": "of a text",
    "max_body": "bytes of a request",
    "body_seconds": "in which a request's head, and then its body, must arrive",
}


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn serve",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_system_options(parser)
    group = parser.add_argument_group("service")
    group.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    group.add_argument(
        "--port", type=int, default=8000, help="0: any that is free (default: %(default)s)"
    )
    for field in dataclasses.fields(ServingOptions):
        group.add_argument(
            f"--{field.name}",
            type=type(field.default),
            default=field.default,
            help=f"{OPTION_HELP[field.name]} (default: %(default)s)",
        )
    group = parser.add_argument_group("decoding")
    add_decoding_options(group, nbest="translations of each text where a request doesn't say")
    add_device_options(group)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.num_threads < 1:
        parser.error(f"--num_threads {args.num_threads}: give at least 1")
    check_system_options(args)
    names = [field.name for field in dataclasses.fields(ServingOptions)]
    serving = ServingOptions(**{name: getattr(args, name) for name in names})
    decoding = decoding_options(args)
    prepare_device(args)

    from legonn.serving.app import Service
    from legonn.serving.server import bind, run

    first = args.system or "+".join([args.encoder, *args.bridge, args.decoder])
    name = " and ".join([first, *args.ensemble]) + (f" with {args.lm}" if args.lm else "")
    service = Service(
        lambda: load_engine(args, decoding), name=name, decoding=decoding, serving=serving
    )
    with bind(args.host, args.port) as listening:
        host = f"[{args.host}]" if ":" in args.host else args.host
        _tell(f"loading {name} for http://{host}:{listening.getsockname()[1]}")
        run(service, listening)
    _tell("ended; all that was queued is answered")
    return 0


def load_engine(args: argparse.Namespace, decoding: DecodingOptions) -> Engine:
    """Load the system, and let it translate once, so that what is slow the first time is done.

    Where this is called all tensors are computed. OpenMP gives each thread that computes its own helpers, and once they
    are more than the cores it puts them to sleep after every operation: decoding takes twice the time.

    Raises
    ------
    ConfigError
        If it can't be loaded, hears instead of reads, or can't decode so.
    """
    from legonn.serving.engine import Ask, Engine

    prepare_device(args)  # a number of threads is each thread's own
    system, notes = load_system(args)
    if args.ngpu:
        system.chain.cuda()
    engine = Engine(system, decoding)
    engine([Ask("a", decoding.nbest)])
    for note in [*notes, "ready"]:
        _tell(note)
    return engine


def _tell(message: str) -> None:
    print(f"legonn serve: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
