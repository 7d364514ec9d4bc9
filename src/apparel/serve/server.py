"""One process that serves a model until it is told to end."""

import asyncio
import ctypes
import gc
import json
import logging
import re
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import numpy as np
import uvicorn
from PIL import Image
from uvicorn.loops.auto import auto_loop_factory

from apparel.core.errors import UsageError
from apparel.predict.predictor import Predictor
from apparel.serve.app import create_app
from apparel.serve.limits import Limits
from apparel.serve.middleware import LOOPBACK_NAMES
from apparel.serve.protocol import bounded
from apparel.serve.service import Service

LOGGER = logging.getLogger("apparel.serve")
# From "not ready" to closing the door: load balancers ask about once a second.
DRAIN_SECONDS = 1.0
# What waits at the door when it closes is let in before.
LAST_CALL_SECONDS = 0.1
# For connections that are open and idle to be used a last time.
IDLE_SECONDS = 1.0
# For requests that were accepted. With the above, the process is gone within 10 seconds.
FINISH_SECONDS = 6
# How long a thread may keep the interpreter, a tenth of Python's own choice.
SWITCH_SECONDS = 0.0005
LAST_PORT = 65535
TOKEN = re.compile("[!-~]+")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+")
SO_ATTACH_FILTER = 26  # Linux; Python has no name for it
# A program for Linux's packet filter (BPF): code, jump if true, jump if false, value.
ONLY_CONNECTED = (
    (0x30, 0, 0, 13),  # take the flags of the TCP header
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # let it in
)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens, and who may use it.

    Attributes:
        host: a name or address of this machine.
        port: 0 for any that is free.
        allowed_hosts: further names by which clients may call it.
        allowed_origins: of other pages that may use it.
        token: what clients must present; None for nothing.
        insecure: listen beyond this machine without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    token: str | None = field(default=None, repr=False)
    insecure: bool = False

    def __post_init__(self) -> None:
        """Check what cannot be meant.

        Raises:
            UsageError: there is no such port, token or origin.
        """
        if not 0 <= self.port <= LAST_PORT:
            raise UsageError(f"there is no port {self.port}. Give one of at most {LAST_PORT:,}.")
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
        address: where to listen.
        limits: what to take.
        exact: compute in float32, even where bfloat16 is faster.

    Raises:
        UsageError: the address is no address of this machine, is in use, or is public and there
            is no token.
        ModelFileError: the file is missing, broken, unsafe, or was not written by apparel.
    """
    listener = _listen(address)
    with listener:
        predictor = Predictor(model, exact=exact, beside_server=True)
        # A model whose answers are no numbers is refused here, and not at its first request.
        predictor.predict_proba(np.zeros((1, *predictor.img_shape), np.uint8))
        # Three threads share the interpreter, and the one that reads requests must not wait long.
        sys.setswitchinterval(SWITCH_SECONDS)
        # Pillow's limit is the process's; the decoder asks for it.
        Image.MAX_IMAGE_PIXELS = limits.pixels
        _log_as_json()
        name = model.stem if model.is_file() else model.resolve().name
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(_serve(predictor, name, address, limits, listener))


async def _serve(
    predictor: Predictor, name: str, address: Address, limits: Limits, listener: socket.socket
) -> None:
    """Serve in this event loop."""
    service = Service(predictor, limits)
    hosts = {*LOOPBACK_NAMES, address.host, listener.getsockname()[0], *address.allowed_hosts}
    app = create_app(
        service, name=name, hosts=hosts, origins=address.allowed_origins, token=address.token
    )
    config = uvicorn.Config(
        app,
        http=bounded(service),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    try:
        await _Server(config, service, _greeting(name, predictor, listener)).serve([listener])
    finally:
        service.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which says that it is not ready before it closes its door."""

    def __init__(self, config: uvicorn.Config, service: Service, greeting: str) -> None:
        super().__init__(config)
        self._service = service
        self._greeting = greeting
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and say so once requests and signals are heard."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        # What is there by now stays to the end: Python need not search it for garbage again and
        # again, which would delay answers.
        gc.collect()
        gc.freeze()
        print(self._greeting, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as uvicorn's
        """End in good order; at once, if asked twice."""
        self.force_exit = self.should_exit
        self.should_exit = True
        if self.force_exit and self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut_all)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, let in what already stands at the door, close it, answer, end."""
        self._service.is_ready = False  # from here on, each answer also ends its connection
        LOGGER.info("not ready")
        await self._wait(DRAIN_SECONDS)
        for listener in sockets or ():
            _shut_out(listener)
        await self._wait(LAST_CALL_SECONDS)
        for server in self.servers:
            server.close()
        # A connection that has sent nothing yet may have a request on its way.
        await self._wait(IDLE_SECONDS, while_connected=True)
        await super().shutdown(sockets)
        if self.server_state.tasks:  # cancelled; each says so to its client
            await asyncio.wait(list(self.server_state.tasks), timeout=LAST_CALL_SECONDS)
        LOGGER.info("ended")

    async def _wait(self, seconds: float, *, while_connected: bool = False) -> None:
        """Wait some seconds, unless the server is told to end at once."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.force_exit:
            if while_connected and not self.server_state.connections:
                return
            await asyncio.sleep(LAST_CALL_SECONDS / 10)

    def _cut_all(self) -> None:
        """End all connections, whatever their requests wait for."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _shut_out(listener: socket.socket) -> None:
    """Let nobody new come to the door, so that all who stand there can be let in before it closes.

    Closing it at once would cut those off that the system has connected and we have not heard yet.
    Linux lets a program drop packets to a socket. These are the ones that ask for a connection;
    their senders ask again a second later, and then find the door closed.
    """
    program = b"".join(struct.pack("HBBI", *step) for step in ONLY_CONNECTED)
    steps = ctypes.create_string_buffer(program)
    described = struct.pack("HL", len(ONLY_CONNECTED), ctypes.addressof(steps))
    with suppress(OSError):  # elsewhere, the door is closed a moment too early for some
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)


def _greeting(name: str, predictor: Predictor, listener: socket.socket) -> str:
    """What is said once requests are heard."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"Serving {name} with {predictor.runtime} at http://{shown}:{port}/"


def _listen(address: Address) -> socket.socket:
    """Open the door.

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
            "one, listen on 127.0.0.1, or add --insecure to let anybody use the model."
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
    """A line of JSON for each event."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {key: record.__dict__[key] for key in _FIELDS if key in record.__dict__}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


_FIELDS = ("method", "path", "status", "ms", "bytes", "client")


def _log_as_json() -> None:
    """Write events to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.getLogger().addHandler(handler)  # others' warnings and errors, too
    LOGGER.setLevel(logging.INFO)
