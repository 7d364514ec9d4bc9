"""What all figures share: colours, and words short enough to draw.

Colours are from the colour-blind-safe palette of Okabe and Ito (2008); what a colour
says, a line style, marker, sign or word says too.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, VERMILLION, GREY, FAINT = "#0072B2", "#D55E00", "#595959", "#9A9A9A"


def new_axes(size: tuple[float, float]) -> Axes:
    """Make the Axes of a new figure, width and height in inches."""
    return Figure(figsize=size, layout="constrained").subplots()


def percent(share: float) -> str:
    """Write a share, 0 to 1; '<0.1 %' and '>99.9 %' for what is not quite none or all."""
    if 0 < share < 0.0005:  # noqa: PLR2004  # would be rounded to 0.0
        return "<0.1 %"
    return ">99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"  # noqa: PLR2004


def short(name: str, longest: int = 24) -> str:
    """Shorten a name in its middle: an endless label would leave no room for the drawing."""
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2]}…{name[1 - longest // 2 :]}"
