"""Colours, labels and axes shared by all figures.

Colours are from the colour-blind-safe palette of Okabe and Ito (2008); a line style, marker, sign
or word repeats what a colour says.
"""

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

BLUE, VERMILLION, GREY, FAINT = "#0072B2", "#D55E00", "#595959", "#9A9A9A"


def text_figure(message: str) -> Figure:
    """Create a figure that holds a line of text only."""
    figure = Figure(figsize=(6, 1))
    figure.text(0.5, 0.5, message, ha="center", va="center")
    return figure


def percent_ticks(*axes: Axis) -> None:
    """Write the ticks of axes as percentages."""
    for axis in axes:
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def percent(share: float) -> str:
    """Write a share, 0 to 1; '<0.1 %' and '>99.9 %' for almost none and almost all."""
    if 0 < share < 0.0005:  # noqa: PLR2004  # would be rounded to 0.0
        return "<0.1 %"
    return ">99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"  # noqa: PLR2004


def short(name: str, longest: int = 24) -> str:
    """Shorten a name in its middle, so that a long label leaves room for the drawing."""
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2]}…{name[1 - longest // 2 :]}"
