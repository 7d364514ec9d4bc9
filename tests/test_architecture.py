"""docs/architecture.md shows the rooms and arrows that the imports have."""

import re
from pathlib import Path

import grimp
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
# `__init__` and `_version` hold names, and `__main__` two lines.
LOOSE = {"_version", "__main__"}


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    """Each room → the rooms that it imports."""
    graph = grimp.build_graph("apparel", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {"apparel"}:
        room = module.split(".")[1]
        imported = graph.find_modules_directly_imported_by(module) - {"apparel"}
        found.setdefault(room, set()).update(name.split(".")[1] for name in imported)
    return {room: to - {room} - LOOSE for room, to in found.items() if room not in LOOSE}


def test_the_table_has_every_room_and_arrow(arrows: dict[str, set[str]]) -> None:
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|.*\| ?(.*?) ?\|$", PAGE, re.MULTILINE)
    assert {room for room, _ in rows} == set(arrows)
    for room, words in rows:
        names = set(re.findall(r"\w+", words))
        if "all" in names:
            names = set(arrows) - {room} - (names - {"all", "but"})
        assert arrows[room] <= names, room
        assert "all" in words or arrows[room] == names, room


def test_the_picture_has_the_arrows_that_follow_from_no_others(
    arrows: dict[str, set[str]],
) -> None:
    drawn = {
        (start, end)
        for start, ends in re.findall(r"^    (\w+) --> (.+)$", PAGE, re.MULTILINE)
        for end in ends.split(" & ")
    }

    def below(room: str) -> set[str]:
        return arrows[room].union(*(below(other) for other in arrows[room]))

    needed = {
        (room, other)
        for room in arrows
        for other in arrows[room] - set().union(*(below(via) for via in arrows[room]))
    }
    assert drawn == needed


def test_every_file_that_the_page_names_exists() -> None:
    root = Path(__file__).parents[1]
    named = set(re.findall(r"`((?:src|tests|docs|benchmarks|scripts)/[\w./-]+)`", PAGE))
    rooms = re.findall(r"`((?!tests/)\w+/[\w/]+\.py)`", PAGE)
    named |= {f"src/apparel/{name}" for name in rooms}
    assert [name for name in sorted(named) if not (root / name).exists()] == []
