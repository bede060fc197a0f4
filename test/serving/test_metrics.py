"""Counters: what Prometheus reads is what happened."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from legonn.serving.metrics import CountRequests, Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_requests_are_counted_by_status_and_by_paths_that_are_known() -> None:
    metrics = Metrics(["/a"])
    for path, status in (("/a", 200), ("/a", 200), ("/a", 503), ("/x", 404), ("/y", 404)):
        metrics.count_request(path, status, 0.2)
    found = samples(metrics)
    assert found['legonn_requests_total{path="/a",status="200"}'] == 2
    assert found['legonn_requests_total{path="/a",status="503"}'] == 1
    assert found['legonn_requests_total{path="other",status="404"}'] == 2


def test_latencies_fall_into_buckets() -> None:
    metrics = Metrics(["/a"])
    for seconds in (0.02, 0.2, 0.2, 100.0):
        metrics.count_request("/a", 200, seconds)
    found = samples(metrics)
    buckets = {
        limit: found[f'legonn_request_seconds_bucket{{le="{limit}",path="/a"}}']
        for limit in ("0.01", "0.025", "0.25", "60.0", "+Inf")
    }
    assert buckets == {"0.01": 0, "0.025": 1, "0.25": 3, "60.0": 3, "+Inf": 4}
    assert found['legonn_request_seconds_sum{path="/a"}'] == pytest.approx(100.42)


def test_batches_and_the_queue() -> None:
    metrics = Metrics([])
    metrics.watch_queue(lambda: 7)
    for size in (1, 3, 32):
        metrics.count_batch(size)
    found = samples(metrics)
    assert found["legonn_queue_texts"] == 7
    assert found['legonn_batch_texts_bucket{le="2.0"}'] == 1
    assert found['legonn_batch_texts_bucket{le="4.0"}'] == 2
    assert (found["legonn_batch_texts_count"], found["legonn_batch_texts_sum"]) == (3, 36)


@pytest.mark.parametrize(("status", "fails"), [(200, False), (418, False), (500, True)])
def test_the_layer_sees_each_answer_and_each_failure(status: int, fails: bool) -> None:
    metrics = Metrics(["/a"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if fails:
            raise ArithmeticError
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    async def send(message: Any) -> None:
        pass

    async def main() -> None:
        layer = CountRequests(app, metrics)
        await layer({"type": "http", "path": "/a"}, None, send)  # type: ignore[arg-type]

    if fails:
        with pytest.raises(ArithmeticError):
            asyncio.run(main())
    else:
        asyncio.run(main())
    assert samples(metrics)[f'legonn_requests_total{{path="/a",status="{status}"}}'] == 1
