"""The service under load: many clients on this machine, each of their answers compared with the offline one.

    python tools/bench_serve.py --input egs/multi30k/lego1/data/val_de_en/text.tc.de --seconds 60 \
        --output tools/benchmarks.json -- --system egs/multi30k/lego1/exp/lego_s1 --num_threads 2

What follows `--` are the options of `legonn serve`, which this starts, and by which it decodes offline first: that is
the peer, and its translations are the right ones. A client that is told to come back later does so. Clients and service
share the machine's cores. The exit status is 1 when an answer was lost or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark_rows import add_rows, origin

ANSWER_SECONDS = 120.0  # an answer that takes longer is lost


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--input", required=True, help="text, one sentence a line, or Kaldi text")
    add("--sentences", type=int, default=1000, help="of it, the first")
    add("--clients", type=int, default=200, help="at the same time")
    add("--texts", type=int, default=1, help="of each request")
    add("--seconds", type=float, default=60.0, help="after which nothing new is asked")
    add("--requests", type=int, help="of each client, at most")
    add("--output", type=Path, help="benchmarks.json to add the figures to")
    add("service", nargs="+", help="options of `legonn serve`, after --")
    return parser


class Tally:
    """What clients saw.

    Attributes
    ----------
    statuses : Counter
        Answers by status.
    lost, wrong : int
        Requests without an answer; answers with status 200 that differ from the offline ones.
    sentences : int
        Translated, right or wrong.
    seconds : float
        From the first question to the last answer.
    latencies : list of float
        Seconds of each answer with status 200.
    faults : list of str
        Of what was lost, why.
    """

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.wrong = 0
        self.sentences = 0
        self.seconds = 0.0
        self.latencies: list[float] = []
        self.faults: list[str] = []

    def answered(self, status: int, seconds: float, got: Sequence[str], right: list[str]) -> None:
        """Note an answer; `got` and `right` are the translations."""
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(seconds)
            self.sentences += len(got)
            self.wrong += list(got) != right

    def percentile(self, share: float) -> float:
        """Milliseconds within which that share of the answers came."""
        ordered = sorted(self.latencies) or [math.nan]
        return round(1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)

    def figures(self) -> dict[str, Any]:
        """For the row."""
        return {
            "requests": sum(self.statuses.values()) + self.lost,
            "lost": self.lost,
            "wrong": self.wrong,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "p50_ms": self.percentile(0.5),
            "p99_ms": self.percentile(0.99),
        }


async def load(url: str, lines: list[str], right: list[str], args: argparse.Namespace) -> Tally:
    """Let all clients ask until the time is over, and wait for what they asked."""
    import httpx

    tally = Tally()
    end = math.inf

    async def client(http: httpx.AsyncClient, number: int) -> None:
        place, asked = number * 7 % len(lines), 0
        while time.perf_counter() < end and asked != args.requests:
            places = [(place + i) % len(lines) for i in range(args.texts)]
            place, asked = (places[-1] + 1) % len(lines), asked + 1
            start = time.perf_counter()
            try:
                answer = await http.post("/translate", json={"texts": [lines[i] for i in places]})
                got = [one["text"] for one in answer.json().get("translations", [])]
            except (httpx.HTTPError, ValueError) as error:
                tally.lost += 1
                tally.faults.append(repr(error))
                continue
            seconds = time.perf_counter() - start
            tally.answered(answer.status_code, seconds, got, [right[i] for i in places])
            if answer.status_code == 503:
                await asyncio.sleep(float(answer.headers.get("retry-after", 1)))

    # One of its own for each: httpx looks through all connections of a pool at every request.
    options: dict[str, Any] = {"timeout": ANSWER_SECONDS, "trust_env": False, "verify": False}
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, **options))
            for _ in range(args.clients)
        ]
        start = time.perf_counter()
        end = start + args.seconds
        await asyncio.gather(*(client(http, number) for number, http in enumerate(clients)))
        tally.seconds = time.perf_counter() - start
    return tally


@contextlib.contextmanager
def service(options: Sequence[str]) -> Iterator[str]:
    """Run `legonn serve` on a free port; give its address, once it is ready."""
    command = [sys.executable, "-m", "legonn.bin.serve", *options, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while not said.endswith("legonn serve: ready\n"):
            line = process.stderr.readline()
            if not line:
                raise RuntimeError(f"legonn serve ended with {process.wait()}: {said}")
            said += line
        (url,) = re.findall(r" for (http://\S+)\n", said)
        # Nobody may stop because nobody reads.
        reader = threading.Thread(target=lambda: sys.stderr.writelines(process.stderr or []))
        reader.start()
        try:
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            reader.join()


def offline(options: argparse.Namespace, lines: list[str]) -> tuple[list[str], float]:
    """The right translations, and the seconds that they took."""
    from legonn.bin.decoding_options import decoding_options, prepare_device
    from legonn.bin.system_options import load_system
    from legonn.search import Translator

    prepare_device(options)
    system, _ = load_system(options)
    if options.ngpu:
        system.chain.cuda()
    translator = Translator(system, decoding_options(options))
    translator.translate(lines[:32])
    start = time.perf_counter()
    found = translator.translate(lines)
    return [one[0].text for one in found], time.perf_counter() - start


def row(tally: Tally, peer: float, args: argparse.Namespace, threads: int) -> dict[str, Any]:
    """One object; `peer` is the offline speed in sentences a second."""
    value = tally.sentences / tally.seconds
    return {
        "bench": "serve",
        "system": "legonn serve",
        "peer": "the same search offline, all sentences known",
        "metric": "sentences per second",
        "value": round(value, 1),
        "peer_value": round(peer, 1),
        "ratio": round(value / peer, 2),
        "shape": (
            f"{args.clients} clients, {args.texts} texts a request, {args.seconds:g} s, {threads} threads, "
            f"{' '.join(args.service)}"
        ),
        **tally.figures(),
        **origin("fastapi", "uvicorn"),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and note."""
    args = get_parser().parse_args(argv)
    from legonn.bin.serve import get_parser as serve_parser
    from legonn.bin.system_options import check_system_options
    from legonn.search.files import read_input

    options = serve_parser().parse_args(args.service)
    check_system_options(options)
    lines = list(read_input(args.input).texts)[: args.sentences]
    right, peer_seconds = offline(options, lines)
    with service(args.service) as url:
        tally = asyncio.run(load(url, lines, right, args))
    found = row(tally, len(lines) / peer_seconds, args, options.num_threads)
    print(json.dumps(found, indent=2))
    for fault, count in Counter(tally.faults).most_common(5):
        print(f"lost, {count} times: {fault}", file=sys.stderr)
    add_rows(args.output, [found])
    return 1 if tally.lost or tally.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
