"""Axes → SVG that takes its colours from the page, so that it is readable in light and dark."""

import io
import re
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from apparel.reporting.plots.style import BLUE, FAINT, GREY, VERMILLION

# Colours of figures, and the page's variables for them.
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


def svg(ax: Axes, label: str) -> str:
    """Draw the figure of some Axes as an SVG element for an HTML page.

    Args:
        ax: whose whole figure is drawn.
        label: what a screen reader says; also sets its identifiers apart from those of other
            figures on the page.

    Returns:
        The element, as wide as its place allows.
    """
    figure = ax.figure
    if not isinstance(figure, Figure):  # a part of one, which has no canvas of its own
        figure = figure.figure
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
    return drawing.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
