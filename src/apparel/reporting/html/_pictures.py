"""Images, saliency maps and charts as elements inside a page."""

import base64
import html
import io
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from apparel.core.records import Images
from apparel.reporting.plots._style import BLUE, FAINT, GREY, VERMILLION

# Pixels of the longer side; larger ones would only make the page heavy.
LARGEST_SIDE = 64
# Opacity of a saliency map over its image.
OPACITY = 0.6
# The page's variables for the colours of figures, so that charts suit light and dark pages.
_THEME = {
    "#000000": "ink",
    "#ffffff": "page",
    "#b0b0b0": "line",
    "#cccccc": "line",
    BLUE.lower(): "blue",
    VERMILLION.lower(): "red",
    GREY.lower(): "soft",
    FAINT.lower(): "faint",
}


def picture(image: Images) -> str:
    """Encode an image.

    Args:
        image: shape (h, w, c) of 1, 3 or 4 channels, uint8, or float32 in [0, 1].

    Returns:
        A `data:` URL: a PNG of at most 64 pixels a side for grey images, else a JPEG.
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        pixels = (pixels * 255).round().astype(np.uint8)
    grey = pixels.shape[-1] == 1
    return _encoded(pixels[..., 0] if grey else pixels[..., :3], "png" if grey else "jpeg")


def heat(values: NDArray[np.float32]) -> str:
    """Encode a saliency map that is laid over its image.

    Args:
        values: shape (h, w), 0 to 1.

    Returns:
        A `data:` URL of a translucent PNG.
    """
    colours = mpl.colormaps["inferno"](values)
    colours[..., 3] = OPACITY
    return _encoded((colours * 255).round().astype(np.uint8), "png")


def _encoded(pixels: NDArray[Any], kind: str) -> str:
    """A `data:` URL of uint8 pixels."""
    drawn, file = Image.fromarray(pixels), io.BytesIO()
    drawn.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    drawn.save(file, kind, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def chart(figure: Figure, label: str) -> Markup:
    """Draw a figure as an SVG element with the colours of the page.

    Args:
        figure: a figure of one chart.
        label: the text for screen readers. It also keeps the figure's identifiers apart from those
            of other figures on the page.

    Returns:
        The element, as wide as its place allows.
    """
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    drawing = file.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    for colour, variable in _THEME.items():
        drawing = drawing.replace(colour, f"var(--{variable})")
    drawing = re.sub(r'\s(width|height)="[\d.]+pt"', "", drawing, count=2)
    # Groups are numbered alike in every figure, and nothing refers to them.
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)
    labelled = f'<svg role="img" aria-label="{html.escape(label)}"'
    # matplotlib has escaped the texts of the figure.
    return Markup(drawing.replace("<svg", labelled, 1))  # noqa: S704
