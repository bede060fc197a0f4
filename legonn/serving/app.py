"""The routes: what may be asked, and what is answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from legonn import __version__
from legonn.search.options import DecodingOptions
from legonn.search.translator import Hypothesis
from legonn.serving.batcher import Batcher, Refused
from legonn.serving.body import GONE, BodyLimits, refusal
from legonn.serving.engine import Ask, Engine
from legonn.serving.metrics import CountRequests, Metrics
from legonn.serving.options import ServingOptions

__all__ = ["Service"]

T = TypeVar("T")
PATHS = ("/", "/translate", "/health", "/metrics", "/openapi.json")
SHOWN = 5  # faults of a request
NO_OBJECT = 'send an object like {"texts": ["..."]} with the header Content-Type: application/json'


class Question(BaseModel):
    """What `/translate` takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[str] = Field(description="sentences, one each")
    nbest: int | None = Field(None, description="translations of each; at most the beam's size")


class Scored(BaseModel):
    """One hypothesis; `score` is what the search compared by, higher is better."""

    text: str
    score: float


class Translation(Scored):
    """The best hypothesis of a text; all of them where `nbest` was given."""

    nbest: list[Scored] | None = None


class Answer(BaseModel):
    """What `/translate` answers: a translation for each text, in their order."""

    translations: list[Translation]


class ClientGone(Exception):
    """Nobody waits for the answer."""


class Service:
    """One system, served.

    Parameters
    ----------
    load : callable
        Called in the decoding thread once the service runs; gives the engine.
    name : str
        Of the system, for those who ask `/`.
    decoding : DecodingOptions
        Of all requests; `nbest` where a request doesn't say.
    serving : ServingOptions
        Limits.

    Attributes
    ----------
    app : ASGI application
        All layers.
    batcher : Batcher
        Its queue.
    on_fault : callable
        Told when loading fails; set it before the service starts.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        *,
        name: str,
        decoding: DecodingOptions,
        serving: ServingOptions,
    ) -> None:
        self.name = name
        self.decoding = decoding
        self.serving = serving
        self.metrics = Metrics(PATHS)
        self.batcher: Batcher[Ask, list[Hypothesis]] = Batcher(
            max_batch=serving.max_batch,
            max_wait=serving.max_wait_ms / 1000,
            max_queue=serving.max_queue,
            on_batch=self.metrics.count_batch,
        )
        self.metrics.watch_queue(lambda: self.batcher.waiting)
        self.on_fault: Callable[[], None] = lambda: None
        self._load = load
        self.app: ASGIApp = CountRequests(
            BodyLimits(
                self._routes(),
                max_body=serving.max_body,
                body_seconds=serving.body_seconds,
                max_requests=serving.max_queue,
            ),
            self.metrics,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.batcher.start(self._load, self.on_fault)
        yield
        await self.batcher.close()

    def _routes(self) -> FastAPI:
        # The pages that FastAPI makes of its routes load scripts from elsewhere.
        app = FastAPI(
            title="legonn serve",
            version=__version__,
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        app.get("/")(self.usage)
        app.get("/health")(self.health)
        app.get("/metrics")(self.read_metrics)
        app.post("/translate", response_model_exclude_none=True)(self.translate)
        app.add_exception_handler(RequestValidationError, _tell_fault)
        app.add_exception_handler(Refused, _tell_refusal)
        app.add_exception_handler(ClientGone, _tell_nobody)
        app.add_exception_handler(Exception, _tell_failure)
        return app

    async def usage(self) -> dict[str, Any]:
        """How to use this service."""
        limits = self.serving
        return {
            "service": f"legonn {__version__}, serving {self.name}",
            "POST /translate": {
                "takes": {"texts": ["..."], "nbest": f"optional, 1 to {self.decoding.beam_size}"},
                "answers": {"translations": [{"text": "...", "score": -0.1}]},
            },
            "GET /health": "200 when it translates, 503 before and after",
            "GET /metrics": "for Prometheus",
            "GET /openapi.json": "all of this for programs",
            "limits": {
                "texts of a request": limits.max_texts,
                "characters of a text": limits.max_characters,
                "bytes of a body": limits.max_body,
                "texts in the queue": limits.max_queue,
            },
            "when busy": "status 503; try again after as many seconds as Retry-After says",
        }

    async def health(self, response: Response) -> dict[str, str]:
        """Whether it translates."""
        ready = self.batcher.state == "ready"
        response.status_code = 200 if ready else 503
        return {"status": self.batcher.state}

    async def read_metrics(self) -> Response:
        """Counters in Prometheus' text format."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def translate(self, question: Question, request: Request) -> Answer:
        """Translate sentences."""
        nbest = self.decoding.nbest if question.nbest is None else question.nbest
        fault = self._fault(question.texts, nbest)
        if fault:
            raise HTTPException(422, fault)
        asked = self.batcher.ask([Ask(text, nbest) for text in question.texts])
        answers = await _unless_gone(request, asked)
        several = nbest > 1 or question.nbest is not None
        return Answer(translations=[_translation(found, several) for found in answers])

    def _fault(self, texts: Sequence[str], nbest: int) -> str:
        """What is wrong with a question; empty if nothing is."""
        limits = self.serving
        if not 1 <= len(texts) <= limits.max_texts:
            return f"texts has {len(texts)} texts; send 1 to {limits.max_texts} in a request"
        if not 1 <= nbest <= self.decoding.beam_size:
            return f"nbest is {nbest}; legal are 1 to {self.decoding.beam_size}, the beam's size"
        for i, text in enumerate(texts):
            if len(text) > limits.max_characters:
                return (
                    f"texts.{i} has {len(text)} characters; send at most {limits.max_characters}, "
                    "a sentence each"
                )
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                return f"texts.{i} has half of a surrogate pair, which is no character"
        return ""


def _translation(found: Sequence[Hypothesis], several: bool) -> Translation:
    scored = [Scored(text=one.text, score=one.score) for one in found]
    return Translation(
        text=scored[0].text, score=scored[0].score, nbest=scored if several else None
    )


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, T]) -> T:
    """The answer; ClientGone, and nothing more is done for it, when the client leaves before."""
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_departure(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientGone
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _tell_fault(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = list(dict.fromkeys(map(_one_fault, error.errors())))
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return refusal(422, "; ".join([*faults[:SHOWN], *more]))


def _one_fault(fault: dict[str, Any]) -> str:
    """Of pydantic's; without the input, and with little of a field's name: both may be long."""
    place = ".".join(str(step)[:50] for step in fault["loc"][1:])
    if fault["type"] == "json_invalid":
        return f"the body is no JSON: {fault['ctx']['error']} at character {place}"
    if not place:
        return NO_OBJECT
    return f"{place}: {fault['msg']}"


def _tell_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(503, str(error), retry_after=error.retry_after)


def _tell_nobody(request: Request, error: Exception) -> Response:
    return refusal(GONE, "the client has left")


def _tell_failure(request: Request, error: Exception) -> Response:
    return refusal(500, "the service failed at this request; its log says how")
