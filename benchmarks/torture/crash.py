"""The possible contents of a disk after a power failure within a save.

A file system promises little: content that was not synced may be there, in part, as zeros, or not
at all; a name that was not synced with its folder may be there or not, whatever came later.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

# By path: the content.
Disk = dict[Path, bytes]


@dataclass(frozen=True)
class Call:
    """A system call that changes a disk.

    Attributes:
        name: "write", "sync", "rename", "unlink", or "sync_folder".
        path: that it is about; of a rename, the new name.
        content: that is written.
        source: of a rename, the old name.
    """

    name: str
    path: Path
    content: bytes = b""
    source: Path | None = None


def recorded(save: Callable[[], object]) -> list[Call]:
    """Save, and list the system calls."""
    calls: list[Call] = []

    def watch(owner: Any, name: str, note: Callable[..., Call]) -> Any:
        function = getattr(owner, name)

        def wrapper(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            calls.append(note(*arguments))
            return result

        return mock.patch.object(owner, name, wrapper)

    def synced(descriptor: int) -> Call:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        return Call("sync_folder" if path.is_dir() else "sync", path)

    def renamed(source: Any, target: Any) -> Call:
        return Call("rename", Path(target), source=Path(source))

    with ExitStack() as stack:
        for patch in (
            watch(Path, "write_bytes", lambda path, content: Call("write", path, content)),
            watch(os, "fsync", synced),
            watch(os, "replace", renamed),
            watch(os, "rename", renamed),
            watch(os, "unlink", lambda path, **_: Call("unlink", Path(path))),
        ):
            stack.enter_context(patch)
        save()
    return calls


def disks(before: Disk, calls: list[Call]) -> Iterator[Disk]:
    """Give the possible contents of a disk after a failure.

    Args:
        before: its content, all of it synced.
        calls: made up to the failure.
    """
    disk = _Disk(before)
    for call in calls:
        disk.apply(call)
    yield from disk.possible()


class _Disk:
    """Names and contents, both certain and uncertain."""

    def __init__(self, before: Disk) -> None:
        self.contents = list(before.values())
        self.certain = [True] * len(self.contents)
        self.names = {path: k for k, path in enumerate(before)}
        # As the process sees it, and the changes of names that are not synced.
        self.seen = dict(self.names)
        self.pending: list[Call] = []
        self.meant: list[int] = []

    def apply(self, call: Call) -> None:
        if call.name == "write":
            self.contents.append(call.content)
            self.certain.append(False)
            self.seen[call.path] = len(self.contents) - 1
            self._later(call, self.seen[call.path])
        elif call.name == "sync":
            self.certain[self.seen[call.path]] = True
        elif call.name == "rename" and call.source in self.seen:
            self.seen[call.path] = self.seen.pop(call.source)
            self._later(call, self.seen[call.path])
        elif call.name == "unlink":
            self._later(call, self.seen.pop(call.path, -1))
        elif call.name == "sync_folder":
            rest = [(c, k) for c, k in zip(self.pending, self.meant, strict=True)
                    if c.path.parent != call.path]  # fmt: skip
            for change, k in zip(self.pending, self.meant, strict=True):
                if change.path.parent == call.path:
                    _rename(self.names, change, k)
            self.pending, self.meant = [c for c, _ in rest], [k for _, k in rest]

    def possible(self) -> Iterator[Disk]:
        for done in itertools.product((True, False), repeat=len(self.pending)):
            names = dict(self.names)
            for happened, call, k in zip(done, self.pending, self.meant, strict=True):
                if happened:
                    _rename(names, call, k)
            unsure = sorted({k for k in names.values() if not self.certain[k]})
            for versions in itertools.product(range(4), repeat=len(unsure)):
                chosen = dict(zip(unsure, versions, strict=True))
                yield {
                    path: _version(self.contents[k], chosen.get(k, 3)) for path, k in names.items()
                }

    def _later(self, call: Call, content: int) -> None:
        self.pending.append(call)
        self.meant.append(content)


def _rename(names: dict[Path, int], call: Call, content: int) -> None:
    """Change names as a call does."""
    if call.name == "unlink":
        names.pop(call.path, None)
        return
    if call.source:
        names.pop(call.source, None)
    names[call.path] = content


def _version(content: bytes, version: int) -> bytes:
    """Nothing, the first half, zeros, or all of a content."""
    return (b"", content[: len(content) // 2], bytes(len(content)), content)[version]
