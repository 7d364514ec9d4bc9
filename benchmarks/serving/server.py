"""A server in a process of its own, and a plain client of it."""

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SECONDS = 30
HOST = "127.0.0.1"


@dataclass
class Answer:
    """The answer to one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Client:
    """A client of a server on this machine.

    Attributes:
        port: port of the server.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, path: str, body: bytes | None = None, *, method: str | None = None, **headers: str
    ) -> Answer:
        """Send one request on a connection of its own."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=SECONDS)) as connection:
            connection.request(method or ("GET" if body is None else "POST"), path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())

    def infer(self, request: Any) -> Answer:
        """Ask by the Open Inference Protocol, in JSON."""
        return self.ask("/v2/models/m/infer", json.dumps(request).encode())

    def predict(self, *files: tuple[str, bytes], query: str = "") -> Answer:
        """Send image files as a form."""
        body, kind = form(*files)
        return self.ask(f"/predict{query}", body, Content_Type=kind)


class Server(Client):
    """A client that can also look at the server's process.

    Attributes:
        process: the server.
    """

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        super().__init__(port)
        self.process, self._log = process, log

    def log(self) -> list[dict[str, Any]]:
        """Read the lines that it wrote to standard error."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def tracebacks(self) -> int:
        """Count the errors that it did not expect."""
        return self._log.read_text().count("Traceback")

    def resident_mb(self) -> float:
        """Read its resident memory."""
        return self._memory_mb("VmRSS")

    def peak_mb(self) -> float:
        """Read its highest resident memory since `forget_peak`."""
        return self._memory_mb("VmHWM")

    def forget_peak(self) -> None:
        """Reset its highest resident memory."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        """Count its open files and connections."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def _memory_mb(self, which: str) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{which}:\s+(\d+)", text)
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def serving(model: Path, folder: Path, *options: str) -> Iterator[Server]:
    """Serve a model on a free port of the loopback, and end the server behind.

    Args:
        model: the file.
        folder: folder for its log.
        options: options of `apparel serve`.
    """
    log = folder / "log"
    command = [sys.executable, "-m", "apparel", "serve", str(model), "--port", "0", *options]
    environment = {k: v for k, v in os.environ.items() if k != "APPAREL_TOKEN"}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process,
    ):
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://.*:(\d+)/", line)
            if not found:
                raise RuntimeError(f"the server did not start: {line}{log.read_text()}")
            yield Server(process, int(found[1]), log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def form(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """Write files as a form; return it and its type."""
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="files"; filename="'
        + name.encode()
        + b'"\r\nContent-Type: application/octet-stream\r\n\r\n'
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join([*parts, b"--edge--\r\n"]), "multipart/form-data; boundary=edge"


def png(image: NDArray[np.uint8]) -> bytes:
    """Write an image, grey with or without an axis for it or in colour, as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image).save(file, "PNG")
    return file.getvalue()
