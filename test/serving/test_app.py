"""The service on a socket: right answers, clear refusals, and nobody hurt by what others do."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from legonn.search import DecodingOptions, Translator
from legonn.serving.engine import Engine
from legonn.system import System

HEAD = b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def detail(response: httpx.Response) -> str:
    return str(response.json()["detail"])


def answer(connection: Any) -> tuple[int, str]:
    """Status and the rest of what comes until the service closes the connection."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return int(received.split()[1]), received.decode()


def batch_sizes(running: Any) -> tuple[float, float]:
    return running.metric("legonn_batch_texts_count"), running.metric("legonn_batch_texts_sum")


# ---- Answers ---------------------------------------------------------------------------------------


def test_every_concurrent_answer_is_the_offline_one(experiment: Path, serve: Any) -> None:
    system = System.load(experiment)
    words = ["unu", "doi", "trei", "patru", "cinci", "și"]
    texts = [" ".join(words[: i % 6 + 1]) + f" {words[i % 5]}" for i in range(40)]
    options = DecodingOptions(beam_size=3, nbest=2)
    offline = Translator(system, options).translate(texts)
    with serve(Engine(system, DecodingOptions(beam_size=3)), beam_size=3) as running:
        with ThreadPoolExecutor(16) as clients:
            asked = [texts[i : i + 1 + i % 3] for i in range(38)]
            answers = list(clients.map(lambda some: running.post(*some, nbest=2), asked))
        batches, decoded = batch_sizes(running)
    assert [response.status_code for response in answers] == [200] * 38
    for i, response in enumerate(answers):
        translations = response.json()["translations"]
        assert len(translations) == len(asked[i])
        for j, found in enumerate(translations):
            best, second = offline[i + j]
            assert found["text"] == best.text
            assert [one["text"] for one in found["nbest"]] == [best.text, second.text]
            assert found["score"] == pytest.approx(best.score, abs=1e-5)
    assert decoded == sum(map(len, asked)) and batches < len(asked)


def test_answers_come_in_the_order_of_the_texts(echo: Any, serve: Any) -> None:
    with serve(echo, max_batch=2) as running:
        response = running.post("a", "", "ß", "d")
    assert response.json() == {
        "translations": [{"text": text, "score": 0.0} for text in ("A", "", "SS", "D")]
    }


def test_nbest_lists_all_that_was_asked_for(echo: Any, serve: Any) -> None:
    with serve(echo) as running:
        (found,) = running.post("a", nbest=2).json()["translations"]
        (single,) = running.post("a", nbest=1).json()["translations"]
    assert found["nbest"] == [{"text": "A", "score": 0.0}, {"text": "A", "score": -1.0}]
    assert single["nbest"] == found["nbest"][:1]


def test_the_page_says_how_to_use_it(echo: Any, serve: Any) -> None:
    with serve(echo, max_texts=7) as running:
        page = running.get("/").json()
        schema = running.get("/openapi.json").json()
    assert page["service"].endswith("serving exp/x")
    assert page["limits"]["texts of a request"] == 7
    assert set(schema["paths"]) == {"/", "/health", "/metrics", "/translate"}


# ---- Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ('{"texts": ["a"', 422, "the body is no JSON: Expecting ',' delimiter at character 14"),
        (b'{"texts": ["\xff"]}', 400, "There was an error parsing the body"),
        ("[" * 10000, 400, "There was an error parsing the body"),
        ("", 422, 'send an object like {"texts": ["..."]}'),
        ('["a"]', 422, 'send an object like {"texts": ["..."]}'),
        ("{}", 422, "texts: Field required"),
        ('{"texts": "a"}', 422, "texts: Input should be a valid list"),
        ('{"texts": [1, "a", null]}', 422, "texts.0: Input should be a valid string; texts.2: "),
        ('{"texts": ["a"], "beam": 3}', 422, "beam: Extra inputs are not permitted"),
        ('{"texts": ["a"], "nbest": "2"}', 422, "nbest: Input should be a valid integer"),
        ('{"texts": ["a"], "nbest": true}', 422, "nbest: Input should be a valid integer"),
        ('{"texts": ["a"], "nbest": 6}', 422, "nbest is 6; legal are 1 to 5, the beam's size"),
        ('{"texts": ["a"], "nbest": 0}', 422, "nbest is 0; legal are 1 to 5"),
        ('{"texts": []}', 422, "texts has 0 texts; send 1 to 3 in a request"),
        ('{"texts": ["", "", "", ""]}', 422, "texts has 4 texts; send 1 to 3 in a request"),
        ('{"texts": ["", "aaaaaaaaa"]}', 422, "texts.1 has 9 characters; send at most 8"),
        ('{"texts": ["\\ud800"]}', 422, "texts.0 has half of a surrogate pair, which is no"),
        ('{"texts": ["a"], "\\ud800": 3}', 422, 'send an object like {"texts": ["..."]}'),
    ],
)
def test_what_cannot_be_translated_is_told(
    small: Any, body: Any, status: int, message: str
) -> None:
    response = small.post_raw(body)
    assert (response.status_code, detail(response)[: len(message)]) == (status, message)


@pytest.fixture(scope="module")
def small(serve: Any) -> Any:
    """A service with low limits, for requests that never reach its engine."""
    with serve(None, max_texts=3, max_characters=8) as running:
        yield running


def test_many_faults_are_counted(small: Any) -> None:
    body = {"texts": ["a"], **{f"{i}" + "x" * 100: i for i in range(9)}}
    text = detail(small.post_raw(json.dumps(body)))
    assert text.endswith("; and 4 more") and text.count("Extra inputs") == 5 and len(text) < 600


def test_json_must_be_announced(small: Any) -> None:
    """A page of elsewhere can make a browser send a form to this machine, but not this header."""
    response = small.post_raw('{"texts": ["a"]}', content_type="text/plain")
    assert response.status_code == 422
    assert "with the header Content-Type: application/json" in detail(response)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/translate", 405), ("POST", "/health", 405), ("GET", "/docs", 404)],
)
def test_other_methods_and_paths(small: Any, method: str, path: str, status: int) -> None:
    response = httpx.request(method, f"{small.url}{path}", trust_env=False)
    assert response.status_code == status


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body_is_refused_and_the_client_hears_why(
    echo: Any, serve: Any, chunked: bool
) -> None:
    body = json.dumps({"texts": ["a" * 2_000_000]}).encode()
    with serve(echo, max_body=300_000) as running:
        sent: Any = (body[i : i + 50_000] for i in range(0, len(body), 50_000)) if chunked else body
        response = running.post_raw(sent)
        assert response.status_code == 413
        assert detail(response) == "the body is larger than 300000 bytes"
        assert running.post("a").status_code == 200


def test_a_slow_body_is_refused_and_others_are_answered_meanwhile(echo: Any, serve: Any) -> None:
    with serve(echo, body_seconds=1.0) as running, running.connect() as slow:
        slow.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"texts"')
        assert running.post("a").status_code == 200
        status, text = answer(slow)
        assert status == 408 and "the body did not arrive within 1 s" in text
        assert running.post("a").status_code == 200


def test_a_fault_of_one_text_is_not_the_others(echo: Any, serve: Any, until: Any) -> None:
    with serve(echo) as running, ThreadPoolExecutor(3) as clients:
        echo.gate.clear()
        first = clients.submit(running.post, "a")
        until(lambda: echo.batches)
        bad, good = clients.submit(running.post, "bad"), clients.submit(running.post, "good")
        until(lambda: running.service.batcher.waiting == 2)
        echo.gate.set()
        assert [one.result().status_code for one in (first, bad, good)] == [200, 500, 200]
        assert detail(bad.result()).startswith("the service failed at this request")
    assert sorted(echo.batches[1]) == ["bad", "good"]


# ---- Load ------------------------------------------------------------------------------------------


def test_overload_is_503_and_those_in_the_queue_are_answered(
    echo: Any, serve: Any, until: Any
) -> None:
    with serve(echo, max_queue=4, max_texts=2) as running, ThreadPoolExecutor(3) as clients:
        echo.gate.clear()
        waiting = [clients.submit(running.post, "a")]
        until(lambda: echo.batches)
        waiting += [clients.submit(running.post, text, text) for text in "bc"]
        until(lambda: running.service.batcher.waiting == 4)
        refused = running.post("d")
        assert refused.status_code == 503
        assert detail(refused) == "too many texts are waiting"
        assert int(refused.headers["retry-after"]) >= 1
        assert running.get("/health").status_code == 200
        assert running.metric("legonn_queue_texts") == 4
        echo.gate.set()
        assert [one.result().status_code for one in waiting] == [200] * 3
        assert running.post("d").status_code == 200


def test_a_client_that_vanishes_is_forgotten_and_others_are_answered(
    echo: Any, serve: Any, until: Any
) -> None:
    body = b'{"texts": ["nobody", "waits"]}'
    with serve(echo) as running, ThreadPoolExecutor(2) as clients:
        echo.gate.clear()
        first = clients.submit(running.post, "a")
        until(lambda: echo.batches)
        with running.connect() as vanishing:
            vanishing.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            until(lambda: running.service.batcher.waiting == 2)
        until(lambda: running.service.batcher.waiting == 0)
        with running.connect() as vanishing:
            vanishing.sendall(HEAD + b"Content-Length: 9\r\n\r\n{")
        last = clients.submit(running.post, "b")
        until(lambda: running.service.batcher.waiting == 1)
        echo.gate.set()
        assert (first.result().status_code, last.result().status_code) == (200, 200)
        gone = 'legonn_requests_total{path="/translate",status="499"}'
        until(lambda: running.metric(gone) == 2)
    assert echo.batches == [["a"], ["b"]]


def test_metrics_count_what_happened(echo: Any, serve: Any) -> None:
    with serve(echo, max_batch=2) as running:
        for texts in (["a"], ["a", "b", "c"], []):
            running.post(*texts)
        running.get("/nowhere")
        counts = {
            key: running.metric(f'legonn_requests_total{{path="{key[0]}",status="{key[1]}"}}')
            for key in (("/translate", 200), ("/translate", 422), ("other", 404), ("/metrics", 200))
        }
        assert list(counts.values()) == [2, 1, 1, 3]
        assert batch_sizes(running) == (3, 4)
        assert running.metric('legonn_request_seconds_count{path="/translate"}') == 3
        assert "text/plain; version=" in running.get("/metrics").headers["content-type"]


# ---- Beginning and end -----------------------------------------------------------------------------


def test_health_before_and_after_loading(echo: Any, serve: Any, until: Any) -> None:
    gate = threading.Event()

    def load() -> Any:
        assert gate.wait(20)
        return echo

    with serve(load, ready=False) as running:
        before, refused = running.get("/health"), running.post("a")
        assert (before.status_code, before.json()) == (503, {"status": "loading"})
        assert (refused.status_code, detail(refused)) == (503, "the model is being loaded")
        assert refused.headers["retry-after"] == "1"
        gate.set()
        until(lambda: running.get("/health").status_code == 200)
        assert running.get("/health").json() == {"status": "ready"}
        assert running.post("a").status_code == 200


def test_the_end_answers_what_is_queued_and_refuses_what_comes(
    echo: Any, serve: Any, until: Any
) -> None:
    with serve(echo, max_batch=1) as running, ThreadPoolExecutor(3) as clients:
        echo.gate.clear()
        queued = [clients.submit(running.post, text) for text in "abc"]
        until(lambda: running.service.batcher.waiting == 2)
        with running.connect() as late:
            late.sendall(HEAD + b"Content-Length: 16\r\n\r\n{")
            until(lambda: running.metric("legonn_queue_texts") == 2)
            running.server.end()
            until(lambda: running.service.batcher.state == "closing")
            with pytest.raises(httpx.ConnectError):
                until(lambda: not running.post("d"))
            late.sendall(b'"texts": ["e"]}')
            status, text = answer(late)
            assert status == 503 and "the service is shutting down" in text
        assert running.thread.is_alive()
        echo.gate.set()
        texts = [one.result().json()["translations"][0]["text"] for one in queued]
        assert texts == ["A", "B", "C"]
        until(lambda: not running.thread.is_alive())


def test_why_loading_failed_ends_the_service(serve: Any, until: Any) -> None:
    def load() -> Any:
        raise OSError("no such file")

    with serve(load, ready=False) as running:
        until(lambda: not running.thread.is_alive())
    assert str(running.service.batcher.fault) == "no such file"
