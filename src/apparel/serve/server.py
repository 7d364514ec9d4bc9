"""One process that serves a model until it is told to end."""

import asyncio
import gc
import json
import logging
import re
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import uvicorn
from PIL import Image

from apparel.core.errors import UsageError
from apparel.predict.predictor import Predictor
from apparel.serve.app import create_app
from apparel.serve.limits import Limits
from apparel.serve.middleware import LOOPBACK_NAMES
from apparel.serve.protocol import BoundedProtocol
from apparel.serve.service import Service

LOGGER = logging.getLogger("apparel.serve")
# From "not ready" to the end of listening: load balancers ask about once a second.
DRAIN_SECONDS = 1.0
# For requests on connections that were accepted just before, and for last words to clients.
LAST_CALL_SECONDS = 0.1
# For accepted requests. With the above, the process ends within 10 seconds.
FINISH_SECONDS = 6
# The longest time that a thread keeps the interpreter, a tenth of Python's default.
SWITCH_SECONDS = 0.0005
MAX_PORT = 65535
TOKEN = re.compile("[!-~]+")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+")
LOGGED_FIELDS = ("method", "path", "status", "ms", "bytes", "client")


@dataclass(frozen=True, kw_only=True)
class Address:
    """The address of a server, and its permitted clients.

    Attributes:
        host: a name or address of this machine.
        port: port to listen on; 0 for any that is free.
        allowed_hosts: further names by which clients may call it.
        allowed_origins: origins of other pages that may use it.
        token: token that clients must present; None for none.
        insecure: listen beyond this machine without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    token: str | None = field(default=None, repr=False)
    insecure: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: the port, the token or an origin is impossible.
        """
        if not 0 <= self.port <= MAX_PORT:
            raise UsageError(f"there is no port {self.port}. Give one of at most {MAX_PORT:,}.")
        if self.token is not None and not TOKEN.fullmatch(self.token):
            raise UsageError(
                "the token is empty, or has spaces or letters that a header cannot have. Give a "
                "long one of letters and digits, or none."
            )
        for origin in self.allowed_origins:
            if not ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"{origin} is no origin. Write one as browsers do, in small letters and "
                    "without a path: https://example.org"
                )


def serve(model: Path, address: Address, limits: Limits, *, exact: bool = False) -> None:
    """Serve a model until SIGTERM or Ctrl-C.

    Args:
        model: an `.onnx` file, or a run directory that has one.
        address: address to listen on.
        limits: limits on requests.
        exact: compute in float32, even where bfloat16 is faster.

    Raises:
        UsageError: the address is no address of this machine, is in use, or is public and there
            is no token.
        ModelFileError: the file is missing, broken, unsafe, or was not written by apparel.
    """
    with listen(address) as listener:
        predictor = Predictor(model, exact=exact, beside_server=True)
        # Three threads share the interpreter, and the one that reads requests must not wait long.
        sys.setswitchinterval(SWITCH_SECONDS)
        # Pillow's limit is the process's; the decoder uses it.
        Image.MAX_IMAGE_PIXELS = limits.pixels
        _log_as_json()
        name = model.stem if model.is_file() else model.resolve().name
        Server(predictor, name, address, limits, listener).run([listener])


class Server(uvicorn.Server):
    """uvicorn's server with bounded connections; it tells that it is not ready before it ends."""

    def __init__(
        self,
        predictor: Predictor,
        name: str,
        address: Address,
        limits: Limits,
        listener: socket.socket,
    ) -> None:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._greeting = f"Serving {name} with {predictor.runtime} at http://{shown}:{port}/"
        self._service = Service(predictor, limits)
        app = create_app(
            self._service,
            name=name,
            hosts={*LOOPBACK_NAMES, address.host, host, *address.allowed_hosts},
            origins=address.allowed_origins,
            token=address.token,
        )
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(BoundedProtocol, self._service),  # type: ignore[arg-type]  # a factory
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=FINISH_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so once requests and signals are handled."""
        await super().startup(sockets)
        # The objects that exist by now stay to the end. Searching them for garbage again and again
        # would delay answers.
        gc.collect()
        gc.freeze()
        print(self._greeting, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's
        """End in good order; let a second signal end the process at once."""
        self.should_exit = True
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)

    async def on_tick(self, counter: int) -> bool:
        """End connections whose deadline has passed; uvicorn calls this ten times a second."""
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol) and connection.deadline < now:
                connection.end_late()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell that the server is not ready, stop listening, answer what was accepted, end."""
        self._service.is_ready = False  # from here on, each response also ends its connection
        LOGGER.info("not ready")
        await asyncio.sleep(DRAIN_SECONDS)
        for listener in sockets or ():
            listener.listen(0)  # no further clients queue up, and those that did are accepted
        await asyncio.sleep(LAST_CALL_SECONDS)
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_CALL_SECONDS)
        await super().shutdown(sockets)
        if self.server_state.tasks:  # cancelled; each tells its client
            await asyncio.wait(list(self.server_state.tasks), timeout=LAST_CALL_SECONDS)
        self._service.close()
        LOGGER.info("ended")


def listen(address: Address) -> socket.socket:
    """Bind a socket to an address.

    Raises:
        UsageError: the address is none of this machine, is in use, or is public and there is no
            token.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{address.host} is no address of this machine ({error}).") from error
    if not (ip_address(place[0]).is_loopback or address.token or address.insecure):
        raise UsageError(
            f"{address.host} can be reached from other machines, and there is no --token. Give "
            "one, listen on 127.0.0.1, or add --insecure to let anyone use the model."
        )
    # Only sockets that are said to be TCP are spared Nagle's algorithm, which waits 40 ms for more.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {address.host}, port {address.port} ({error.strerror}). Choose "
            "another with --port; 0 takes any that is free."
        ) from error
    return listener


class _JsonLines(logging.Formatter):
    """Formats each event as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {key: record.__dict__[key] for key in LOGGED_FIELDS if key in record.__dict__}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _log_as_json() -> None:
    """Write events to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.getLogger().addHandler(handler)  # the libraries' warnings and errors, too
    LOGGER.setLevel(logging.INFO)
