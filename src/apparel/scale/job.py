"""A job of predicting: its parts, what it is known by, and how far it has come."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apparel._version import __version__
from apparel.core.errors import UsageError
from apparel.data.inputs import FilePart, Part, is_url
from apparel.scale.job_folder import RECORDS, JobFolder

# Readers of data sets pass over names that begin so.
JOB, SUCCESS = "_job.json", "_SUCCESS"

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done, and where.

    Attributes:
        parts: of all images.
        suffix: of the files that are written.
        known_by: what the answers depend on, by what messages call it.
    """

    parts: Sequence[Part]
    suffix: str
    known_by: Mapping[str, str]

    @property
    def text(self) -> str:
        """What the job is known by, as it is written."""
        return json.dumps(dict(self.known_by), indent=1) + "\n"

    @property
    def n_images(self) -> int:
        """How many images it has."""
        return sum(part.n_images for part in self.parts)


def plan(parts: Sequence[Part], *, suffix: str, model: bytes, runtime: str, raw: bool) -> Job:
    """Plan a job.

    Args:
        parts: of all images.
        suffix: of the files that are to be written.
        model: what is in the model file.
        runtime: that computes.
        raw: whether photos are taken as they are.
    """
    known_by = {
        "version of apparel": __version__,
        "model": hashlib.sha256(model).hexdigest(),
        "images": _digest(parts),
        "parts": f"{len(parts)}",
        "format": suffix,
        "runtime": runtime,
        "setting of --raw": json.dumps(raw),
    }
    found = [replace(part, **_absolute(part)) for part in parts]
    return Job(parts=found, suffix=suffix, known_by=known_by)


def part_name(number: int, suffix: str) -> str:
    """The name of a part's file."""
    return f"part-{number:05}{suffix}"


def record_name(number: int) -> str:
    """The name of what is kept of a part until the job is done."""
    return f"{RECORDS}/part-{number:05}.json"


def check(folder: JobFolder, job: Job) -> None:
    """Check that a folder is free for a job, or has been begun by it.

    Raises:
        UsageError: it holds something else.
    """
    names = folder.names()
    if JOB not in names:
        if strange := names - {RECORDS}:
            raise UsageError(
                f"{folder.place} holds files, such as {min(strange)}, and no job of apparel. Name "
                "another folder with --output."
            )
        return
    begun = folder.read(JOB) or ""
    if begun != job.text:
        raise UsageError(
            f"{folder.place} holds the answers of another job, with {_difference(begun, job)}. "
            "Name another folder with --output, or delete this one."
        )
    if strange := names - {JOB, SUCCESS, RECORDS} - set(_part_names(job)):
        raise UsageError(
            f"{folder.place} holds {min(strange)}, which is no part of the job. Take it out, so "
            "that nobody takes it for an answer."
        )


def missing(folder: JobFolder, job: Job) -> list[int]:
    """The numbers of parts that are not done, or of which nobody knows what was counted."""
    names = folder.names()
    counted = {f"{RECORDS}/{name}" for name in folder.names(RECORDS)}
    return [
        number
        for number, name in enumerate(_part_names(job))
        if name not in names or record_name(number) not in counted
    ]


def records(folder: JobFolder, numbers: Iterable[int]) -> Iterator[Record]:
    """What was counted in parts that are done."""
    for number in numbers:
        yield json.loads(folder.read(record_name(number)) or "{}")


def _part_names(job: Job) -> Iterator[str]:
    return (part_name(number, job.suffix) for number in range(len(job.parts)))


def _difference(begun: str, job: Job) -> str:
    """In what a job differs from one that was begun."""
    other: dict[str, object] = {}
    with suppress(ValueError, TypeError):
        other = dict(json.loads(begun))
    different = [name for name, value in job.known_by.items() if other.get(name) != value]
    return f"another {' and another '.join(different)}"


def _digest(parts: Iterable[Part]) -> str:
    """SHA-256 of what is known of the images without reading them: names, sizes, tables."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, FilePart):
            told: object = [part.names, [_size(part, i) for i in range(part.n_images)]]
        else:
            told = [part.place, part.digest, part.first_row, part.n_images]
        digest.update(json.dumps(told).encode())
    return digest.hexdigest()


def _size(part: FilePart, i: int) -> int:
    """The bytes of a file; -1 where nobody knows, or it is not there."""
    place = part.places[i]
    if part.sizes[i] >= 0 or isinstance(place, bytes) or is_url(place):
        return part.sizes[i]
    try:
        return Path(place).stat().st_size
    except (OSError, ValueError):
        return -1


def _absolute(part: Part) -> dict[str, Any]:
    """Where a part's files are, for a process that works in another folder."""
    if isinstance(part, FilePart):
        return {"places": tuple(map(_absolute_place, part.places))}
    return {"place": _absolute_place(part.place)}


def _absolute_place(place: str | bytes) -> str | bytes:
    if isinstance(place, bytes) or is_url(place):
        return place
    return os.path.abspath(place)  # noqa: PTH100  # a Path throws at names that cannot be
