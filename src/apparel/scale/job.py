"""A job of predicting: its shards, its identity, and the folder that it writes to."""

import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apparel._version import __version__
from apparel.core.atomic_files import drop_partial, is_partial, locked, write_text
from apparel.core.errors import UsageError
from apparel.data.inputs.shards import FileShard, Shard
from apparel.data.storage import filesystem, is_url, stored_errors

# Readers of data sets skip names that begin with an underscore.
JOB, SUCCESS = "_job.json", "_SUCCESS"
# A folder inside, of records that are kept until the job is done.
RECORDS = "_parts"

Record = dict[str, Any]


class JobFolder:
    """A folder on a disk that all nodes share, or in object storage; its files are whole or absent.

    Attributes:
        place: its path or URL.
    """

    def __init__(self, place: str) -> None:
        """Open a folder, which need not exist.

        Args:
            place: its path or URL.

        Raises:
            UsageError: there is a file of this name.
            DataError: it is no such URL.
            ApparelError: a package for it is not installed.
        """
        if not is_url(place) and Path(place).exists() and not Path(place).is_dir():
            raise UsageError(
                f"{place} is a file. With --ray, answers are written to a folder of shards: name "
                "one that is new."
            )
        self.place = place.rstrip("/")
        self._is_local = not is_url(place)
        self._system, self._path = filesystem(self.place)

    def names(self, inside: str = "") -> set[str]:
        """List the folder, or a folder inside; it is empty where there is none."""
        path = f"{self._path}/{inside}".rstrip("/")
        with self._errors():
            self._system.invalidate_cache()
            if not self._system.isdir(path):
                return set()
            found = [Path(name) for name in self._system.ls(path, detail=False)]
        return {path.name for path in found if not is_partial(path)} - {""}

    def has(self, name: str) -> bool:
        """Tell whether a file exists."""
        with self._errors():
            self._system.invalidate_cache()
            return bool(self._system.exists(f"{self._path}/{name}"))

    def read(self, name: str) -> str | None:
        """Read a text file; None where there is none."""
        with self._errors():
            try:
                return bytes(self._system.cat_file(f"{self._path}/{name}")).decode(errors="replace")
            except FileNotFoundError:
                return None

    def write(self, name: str, text: str) -> None:
        """Write a text file, and make the folder that it is in."""
        with self.target(name) as path:
            write_text(path, text)

    @contextmanager
    def target(self, name: str) -> Iterator[Path]:
        """Give the path of a file that the block writes whole or not at all."""
        if self._is_local:
            yield Path(self._path, name)
            return
        with tempfile.TemporaryDirectory(prefix="apparel-") as folder:
            path = Path(folder, Path(name).name)
            yield path
            # Object storage shows no file before all of it is there, but other storages do.
            aside = f"{self._path}/{RECORDS}/{uuid.uuid4().hex}"
            with self._errors():
                self._system.makedirs(f"{self._path}/{RECORDS}", exist_ok=True)
                self._system.put_file(str(path), aside)
                self._system.mv(aside, f"{self._path}/{name}")

    def drop(self, inside: str) -> None:
        """Delete a folder inside."""
        with self._errors():
            if self._system.exists(f"{self._path}/{inside}"):
                self._system.rm(f"{self._path}/{inside}", recursive=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep out other commands on this machine, and delete what killed processes left.

        Raises:
            ApparelError: another command works on the job.
        """
        if not self._is_local:  # what processes leave there is among the records
            yield
            return
        with locked(Path(self._path)):
            drop_partial(Path(self._path))
            yield
            drop_partial(Path(self._path))

    def _errors(self) -> AbstractContextManager[None]:
        return nullcontext() if self._is_local else stored_errors(self.place)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job, and how much of it is done.

    Attributes:
        shards: all images, divided.
        suffix: ending of the files that are written; it names their format.
        identity: everything that the answers depend on, by what messages call it.
    """

    shards: Sequence[Shard]
    suffix: str
    identity: Mapping[str, str]

    @property
    def text(self) -> str:
        """The identity as it is written to the folder."""
        return json.dumps(dict(self.identity), indent=1) + "\n"

    @property
    def n_images(self) -> int:
        """Number of images of all shards."""
        return sum(shard.n_images for shard in self.shards)

    def check(self, folder: JobFolder) -> None:
        """Check that a folder is free, or was begun by this job.

        Raises:
            UsageError: it holds something else.
        """
        names = folder.names()
        if JOB not in names:
            if strange := names - {RECORDS}:
                raise UsageError(
                    f"{folder.place} holds files, such as {min(strange)}, and no job of apparel. "
                    "Name another folder with --output."
                )
            return
        begun = folder.read(JOB) or ""
        if begun != self.text:
            raise UsageError(
                f"{folder.place} holds the answers of another job, with "
                f"{self._difference(begun)}. Name another folder with --output, or delete this one."
            )
        if strange := names - {JOB, SUCCESS, RECORDS} - set(self._shard_names()):
            raise UsageError(
                f"{folder.place} holds {min(strange)}, which is not part of the job. Take it out, "
                "so that it is not mistaken for an answer."
            )

    def missing(self, folder: JobFolder) -> list[int]:
        """List the numbers of shards that lack their file or its record."""
        names, counted = folder.names(), folder.names(RECORDS)
        return [
            number
            for number, name in enumerate(self._shard_names())
            if name not in names or Path(record_name(number)).name not in counted
        ]

    def _shard_names(self) -> Iterator[str]:
        return (shard_name(number, self.suffix) for number in range(len(self.shards)))

    def _difference(self, begun: str) -> str:
        """Name what differs from the job that a folder was begun by."""
        other: dict[str, object] = {}
        with suppress(ValueError, TypeError):
            other = dict(json.loads(begun))
        different = [name for name, value in self.identity.items() if other.get(name) != value]
        return f"another {' and another '.join(different)}"


def plan(shards: Sequence[Shard], *, suffix: str, model: bytes, runtime: str, raw: bool) -> Job:
    """Plan a job.

    Args:
        shards: all images, divided.
        suffix: ending of the files to write.
        model: content of the model file.
        runtime: name and version of the runtime that computes.
        raw: take photos as they are.
    """
    identity = {
        "version of apparel": __version__,
        "model": hashlib.sha256(model).hexdigest(),
        "images": _digest(shards),
        "parts": f"{len(shards)}",
        "format": suffix,
        "runtime": runtime,
        "setting of --raw": json.dumps(raw),
    }
    return Job(shards=list(map(_absolute, shards)), suffix=suffix, identity=identity)


def shard_name(number: int, suffix: str) -> str:
    """Name the file of a shard's answers."""
    return f"part-{number:05}{suffix}"


def record_name(number: int) -> str:
    """Name the record of a shard, which is kept until the job is done."""
    return f"{RECORDS}/part-{number:05}.json"


def _digest(shards: Iterable[Shard]) -> str:
    """Hash what is known of the images without reading them: names, sizes, tables."""
    digest = hashlib.sha256()
    for shard in shards:
        if isinstance(shard, FileShard):
            known: object = [shard.names, [_size(shard, i) for i in range(shard.n_images)]]
        else:
            known = [shard.place, shard.digest, shard.first_row, shard.n_images]
        digest.update(json.dumps(known).encode())
    return digest.hexdigest()


def _size(shard: FileShard, i: int) -> int:
    """Look up the bytes of a file; -1 where they are unknown, or it is missing."""
    place = shard.places[i]
    if shard.sizes[i] >= 0 or isinstance(place, bytes) or is_url(place):
        return shard.sizes[i]
    try:
        return Path(place).stat().st_size
    except (OSError, ValueError):
        return -1


def _absolute(shard: Shard) -> Shard:
    """Make paths absolute, for a process that works in another folder."""
    if isinstance(shard, FileShard):
        return replace(shard, places=tuple(map(_absolute_place, shard.places)))
    return replace(shard, place=_absolute_place(shard.place))


def _absolute_place(place: Any) -> Any:
    if isinstance(place, bytes) or is_url(place):
        return place
    return os.path.abspath(place)  # noqa: PTH100  # a Path raises at names that cannot exist
