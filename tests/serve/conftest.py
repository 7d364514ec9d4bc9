"""A made model, and its server in a thread of this process."""

import threading
import time
from contextlib import contextmanager

import pytest
from benchmarks.serving.server import Client

from apparel.predict.predictor import Predictor
from apparel.serve import server as server_module
from apparel.serve.limits import Limits
from apparel.serve.server import Address, Server, listen
from tests.made_model import MadeModel

NOVEL_FROM, THRESHOLD = 40.0, 0.6
LOOPBACK = Address(port=0)


def wait_until(condition):
    """Wait until a condition is true, and return it."""
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return found


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


@pytest.fixture(scope="session")
def serving_here(predictor):
    """Serve in a thread of this process, without the wait before the end."""

    @contextmanager
    def serve(predictor=predictor, name="m", address=LOOPBACK, **limits):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server_module, "DRAIN_SECONDS", 0)
            patch.setattr(server_module, "FINISH_SECONDS", 0.2)
            listener = listen(address)
            server = Server(predictor, name, address, Limits(**limits), listener)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            try:
                wait_until(lambda: server.started)
                client = Client(listener.getsockname()[1])
                client.server, client.service = server, server._service
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
