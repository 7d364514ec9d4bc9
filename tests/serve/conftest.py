"""A made model, and its server: as an application alone, or in a thread with real connections."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from benchmarks.serving.server import Answer, Client

from apparel.predict.predictor import Predictor
from apparel.serve import server as server_module
from apparel.serve.app import create_app
from apparel.serve.limits import Limits
from apparel.serve.server import Address, Server, listen
from apparel.serve.service import Service
from tests.made_model import MadeModel

NOVEL_FROM, THRESHOLD = 40.0, 0.6


class Application(Client):
    """A client that calls an application without a connection."""

    def __init__(self, predictor: Predictor, limits: Limits, **options: Any) -> None:
        super().__init__(0)
        self.service = Service(predictor, limits)
        options = {"hosts": ["127.0.0.1", "localhost", "::1"]} | options
        self.app = create_app(self.service, name="m", **options)
        self.runner = asyncio.Runner()

    def ask(
        self, path: str, body: bytes | None = None, *, method: str | None = None, **headers: str
    ) -> Answer:
        """Send one request, its body in two parts."""
        content = body or b""
        sent = {"host": "127.0.0.1", "content-length": str(len(content)), **headers}
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
            "method": method or ("GET" if body is None else "POST"), "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [
                (key.replace("_", "-").lower().encode(), value.encode("latin-1"))
                for key, value in sent.items()
            ],
        }  # fmt: skip
        half = len(content) // 2
        parts = [
            {"type": "http.request", "body": content[:half], "more_body": True},
            {"type": "http.request", "body": content[half:], "more_body": False},
        ]
        answered: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return parts.pop(0) if parts else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            answered.append(message)

        self.runner.run(self.app(scope, receive, send))
        start, *rest = answered
        return Answer(
            start["status"],
            {key.decode(): value.decode("latin-1") for key, value in start["headers"]},
            b"".join(part.get("body", b"") for part in rest),
        )

    def close(self) -> None:
        """End its threads and its event loop."""
        self.service.close()
        self.runner.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeModel:
    """A model that says of itself all that a server tells."""
    return MadeModel(
        tmp_path_factory.mktemp("served") / "m.onnx",
        novelty_threshold=NOVEL_FROM,
        threshold=THRESHOLD,
        dataset={"source": "made up"},
    )


@pytest.fixture(scope="session")
def predictor(made: MadeModel) -> Predictor:
    return Predictor(made.path, exact=True)


@pytest.fixture
def application(predictor: Predictor) -> Iterator[Callable[..., Application]]:
    """Build applications with other limits and options."""
    built: list[Application] = []

    def build(limits: Limits | None = None, **options: Any) -> Application:
        built.append(Application(predictor, limits or Limits(), **options))
        return built[-1]

    yield build
    for each in built:
        each.close()


@pytest.fixture(scope="module")
def app(predictor: Predictor) -> Iterator[Application]:
    """The application with its default limits."""
    application = Application(predictor, Limits())
    yield application
    application.close()


Serving = Callable[..., AbstractContextManager[Client]]


@pytest.fixture(scope="session")
def serving_here(predictor: Predictor) -> Serving:
    """Serve in a thread of this process, without the wait before the end."""

    @contextmanager
    def serve(**limits: Any) -> Iterator[Client]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server_module, "DRAIN_SECONDS", 0)
            patch.setattr(server_module, "FINISH_SECONDS", 0.2)
            listener = listen(Address(port=0))
            server = Server(predictor, "m", Address(), Limits(**limits), listener)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            try:
                while not server.started:
                    time.sleep(0.001)
                client = Client(listener.getsockname()[1])
                client.server = server  # type: ignore[attr-defined]
                yield client
            finally:
                server.should_exit = True
                thread.join()

    return serve


@pytest.fixture(scope="module")
def server(serving_here: Serving) -> Iterator[Client]:
    """A server with its default limits."""
    with serving_here() as client:
        yield client
