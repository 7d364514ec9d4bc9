"""`check.json`: what a check of the data found."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from apparel.core.errors import ModelFileError
from apparel.core.records import CheckedImage, CopiedImage, DataCheck

CHECK_FILE = "check.json"


def data_check(check: DataCheck) -> dict[str, object]:
    """Lay out what a check of the data found as `check.json`: plain types."""
    return {
        "is_clean": check.is_clean,
        **asdict(check),
        "sizes": [
            {"height": height, "width": width, "images": count}
            for (height, width), count in check.sizes.items()
        ],
    }


def check_json(check: DataCheck) -> str:
    """Give the text of `check.json`: in ASCII, as names of files need not be UTF-8."""
    return json.dumps(data_check(check), indent=2) + "\n"


def read_check(folder: Path) -> DataCheck | None:
    """Read back what `data_check` laid out, or None where the data were not checked.

    Args:
        folder: where `check.json` is.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / CHECK_FILE
    if not path.exists():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        del read["is_clean"]  # follows from the rest
        sizes = {(size["height"], size["width"]): size["images"] for size in read["sizes"]}
        pairs = {name: _copied(read[name]) for name in ("duplicates", "leaks", "conflicts")}
        images = {name: _checked(read[name]) for name in ("unusual", "blank")}
        names, shape = tuple(read["class_names"]), tuple(read["img_shape"])
        shapes = {"class_names": names, "img_shape": shape, "sizes": sizes}
        return DataCheck(**{**read, **shapes, **pairs, **images})
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} holds no check of data ({error!r}). Write it again with `apparel check`."
        ) from error


def _copied(pairs: list[dict[str, Any]]) -> tuple[CopiedImage, ...]:
    """Read back pairs of images that show the same."""
    return tuple(
        CopiedImage(
            first=CheckedImage(**pair["first"]),
            second=CheckedImage(**pair["second"]),
            exact=pair["exact"],
            mirrored=pair["mirrored"],
        )
        for pair in pairs
    )


def _checked(images: list[dict[str, Any]] | None) -> tuple[CheckedImage, ...] | None:
    """Read back images, or that they were not looked for."""
    return None if images is None else tuple(CheckedImage(**image) for image in images)
