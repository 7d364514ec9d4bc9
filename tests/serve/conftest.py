"""A made model, and its server: the application alone, or in a thread with real connections."""

import asyncio
import threading
import time
from contextlib import contextmanager

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
HOSTS = ("127.0.0.1", "localhost", "::1")


def wait_until(condition):
    """Wait until a condition is true, and return it."""
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return found


class Application(Client):
    """A client that calls an application without a connection."""

    def __init__(self, predictor, limits, hosts=HOSTS, **options):
        super().__init__(0)
        self.service = Service(predictor, limits)
        self.app = create_app(self.service, name="m", hosts=hosts, **options)
        self.runner = asyncio.Runner()

    def ask(self, path, body=None, *, method=None, **headers):
        """Send one request, its body in two parts."""
        content = body or b""
        sent = {"host": "127.0.0.1", "content-length": str(len(content)), **headers}
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method or ("GET" if body is None else "POST"),
            "path": path,
            "query_string": query.encode(),
            "headers": [
                (key.replace("_", "-").lower().encode(), value.encode("latin-1"))
                for key, value in sent.items()
            ],
        }
        half = len(content) // 2
        parts = [
            {"type": "http.request", "body": content[:half], "more_body": True},
            {"type": "http.request", "body": content[half:], "more_body": False},
        ]
        answered = []

        async def receive():
            return parts.pop(0)

        async def send(message):
            answered.append(message)

        self.runner.run(self.app(scope, receive, send))
        start, *rest = answered
        return Answer(
            start["status"],
            {key.decode(): value.decode("latin-1") for key, value in start["headers"]},
            b"".join(part["body"] for part in rest),
        )

    def close(self):
        self.service.close()
        self.runner.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A model that says of itself all that a server tells."""
    return MadeModel(
        tmp_path_factory.mktemp("served") / "m.onnx",
        novelty_threshold=NOVEL_FROM,
        threshold=THRESHOLD,
        dataset={"source": "made up"},
    )


@pytest.fixture(scope="session")
def predictor(made):
    return Predictor(made.path, exact=True)


@pytest.fixture
def application(predictor):
    """Build applications with other limits and options."""
    built = []

    def build(limits=None, **options):
        built.append(Application(predictor, limits or Limits(), **options))
        return built[-1]

    yield build
    for each in built:
        each.close()


@pytest.fixture(scope="module")
def app(predictor):
    """The application with its default limits."""
    application = Application(predictor, Limits())
    yield application
    application.close()


@pytest.fixture(scope="session")
def serving_here(predictor):
    """Serve in a thread of this process, without the wait before the end."""

    @contextmanager
    def serve(predictor=predictor, name="m", **limits):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server_module, "DRAIN_SECONDS", 0)
            patch.setattr(server_module, "FINISH_SECONDS", 0.2)
            listener = listen(Address(port=0))
            server = Server(predictor, name, Address(), Limits(**limits), listener)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            try:
                wait_until(lambda: server.started)
                client = Client(listener.getsockname()[1])
                client.server = server
                yield client
            finally:
                server.should_exit = True
                thread.join()

    return serve


@pytest.fixture(scope="module")
def server(serving_here):
    """A server with its default limits."""
    with serving_here() as client:
        yield client
