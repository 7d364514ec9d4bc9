"""Which lines of some modules a call reaches, at little cost.

coverage.py measures whole programs and writes files; here thousands of short calls are measured,
and what counts is the lines that none before reached. A function whose lines have all been reached
is not watched any more.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, TypeAlias

# A module and a line in it.
Line: TypeAlias = tuple[str, int]


def modules_of(names: Iterable[str]) -> list[ModuleType]:
    """Import modules; a name that ends in `.*` means a package and all inside."""
    found = []
    for name in names:
        module = importlib.import_module(name.removesuffix(".*"))
        found.append(module)
        if name.endswith(".*"):
            inside = pkgutil.iter_modules(module.__path__, f"{module.__name__}.")
            found += [importlib.import_module(one.name) for one in inside]
    return found


class Watch:
    """Watches functions of modules.

    What runs when a module is imported is not counted: every call has reached it.

    Attributes:
        lines: all that can be reached.
        reached: those that were.
    """

    def __init__(self, modules: Iterable[ModuleType], reached: Iterable[Line] = ()) -> None:
        self.lines: set[Line] = set()
        self.reached = {(name, line) for name, line in reached}
        self._left: dict[CodeType, set[int]] = {}
        self._names: dict[str, str] = {}
        for module in modules:
            self._add(module)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note the lines that are reached inside."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def by_module(self) -> dict[str, tuple[int, int]]:
        """Name of each module: how many lines were reached, and how many there are."""
        names = sorted(self._names.values())
        return {
            name: (_count(self.reached & self.lines, name), _count(self.lines, name))
            for name in names
        }

    def missing(self) -> dict[str, list[int]]:
        """Name of each module: the lines that were not reached."""
        left: dict[str, list[int]] = {}
        for name, line in sorted(self.lines - self.reached):
            left.setdefault(name, []).append(line)
        return left

    def _add(self, module: ModuleType) -> None:
        path = module.__file__
        if path is None:
            return
        self._names[path] = module.__name__
        whole = compile(Path(path).read_text(encoding="utf-8"), path, "exec")
        for code in _functions(whole):
            found = {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}
            self.lines |= {(module.__name__, line) for line in found}
        self._left = {}

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """Begin to watch a call, if lines of its function are left."""
        code = frame.f_code
        left = self._left.get(code)
        if left is None:
            left = self._unreached(code)
        return self._line if left else None

    def _unreached(self, code: CodeType) -> set[int]:
        name = self._names.get(code.co_filename)
        left: set[int] = set()
        if name is not None:
            known = {line for _, _, line in code.co_lines() if line}
            left = {k for k in known if (name, k) in self.lines and (name, k) not in self.reached}
        self._left[code] = left
        return left

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            left = self._left[frame.f_code]
            if frame.f_lineno in left:
                left.discard(frame.f_lineno)
                self.reached.add((self._names[frame.f_code.co_filename], frame.f_lineno))
        return self._line


def _functions(code: CodeType) -> Iterator[CodeType]:
    """The code of functions, however deep, and not of modules and classes."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & 0x02:  # CO_NEWLOCALS, which functions have
                yield constant
            yield from _functions(constant)


def _count(lines: set[Line], name: str) -> int:
    return sum(of == name for of, _ in lines)
