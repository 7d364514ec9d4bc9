"""The section of the page about the data: their size, and the images that spoil a result."""

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from apparel.core.messages import printable
from apparel.core.records import CheckedImage, CopiedImage, Report
from apparel.reporting.html._pictures import picture
from apparel.reporting.text import check_summary, left_out_line

# Shown of each kind.
MOST_PAIRS, MOST_IMAGES, MOST_FILES = 12, 24, 100


def data_section(report: Report) -> dict[str, Any] | None:
    """Collect the content of the section; None where the data were not checked."""
    check = report.check
    if check is None:
        return None
    # Leaks have pictures of their own.
    near = [
        pair
        for pair in check.duplicates
        if not pair.exact and (pair.splits == {"test"} or "test" not in pair.splits)
    ]
    # There is an accuracy without leaks only where leaks were kept.
    kept = "accuracy_without_leaks" in report.evaluation.metrics
    leaks = "Trained on and tested on" if kept else "Tested on, so left out of training"
    lines = check_summary(check) if kept else f"{check_summary(check)}\n{left_out_line(check)}"
    pairs = {
        leaks: check.leaks,
        "The same image with two labels": check.conflicts,
        "Nearly the same": near,
    }
    images = {"Unlike the rest": check.unusual or (), "Blank": check.blank or ()}
    counts = check.images_per_class.values()
    return {
        "lines": [_with_code(line) for line in lines.splitlines()],
        "splits": list(check.images_per_class),
        "rows": [
            *zip(check.class_names, zip(*counts, strict=True), strict=True),
            ("all", [sum(of_split) for of_split in counts]),
        ],
        "pairs": [_pairs(title, found, report) for title, found in pairs.items() if found],
        "images": [
            {
                "title": title,
                "count": len(found),
                "shown": [_image(image, report) for image in found[:MOST_IMAGES]],
            }
            for title, found in images.items()
            if found
        ],
        "unreadable": {
            "title": "Cannot be read",
            "count": len(check.unreadable),
            "shown": [
                (printable(name), printable(why))
                for name, why in list(check.unreadable.items())[:MOST_FILES]
            ],
        },
    }


def _with_code(line: str) -> Markup:
    """Set text between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(line))))  # noqa: S704  # escaped


def _pairs(title: str, found: Sequence[CopiedImage], report: Report) -> dict[str, Any]:
    """The first pairs with their pictures."""
    return {
        "title": title,
        "count": len(found),
        "shown": [
            {
                "images": [_image(pair.first, report), _image(pair.second, report)],
                "likeness": f"{'' if pair.exact else 'nearly '}the same pixels"
                f"{', mirrored' if pair.mirrored else ''}",
            }
            for pair in found[:MOST_PAIRS]
        ],
    }


def _image(image: CheckedImage, report: Report) -> dict[str, str]:
    """A picture and the names of its image."""
    images = report.test_images if image.split == "test" else report.train_images
    return {
        "name": printable(image.name),
        "label": image.label,
        "split": image.split,
        "image": picture(images[image.index]),
    }
