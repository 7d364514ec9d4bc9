"""Show figures inline in a notebook, or in windows on a screen."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from apparel.core.messages import is_verbose, say

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def in_notebook() -> bool:
    """Tell whether this runs in a Jupyter kernel (a notebook, Colab, a console)."""
    # Only a kernel has loaded ipykernel, and importing it here would take a second.
    return "ipykernel.zmqshell" in sys.modules


def show(figure: "Figure") -> None:
    """Show a figure; without a notebook or a screen, or in a quiet function, do nothing.

    Nothing blocks: a window stays open while the program runs.
    """
    if not is_verbose():
        return
    if in_notebook():
        _show_inline(figure)
    else:
        _show_window(figure)


def _show_inline(figure: "Figure") -> None:
    """Display a figure in the cell's output, once.

    The methods that show a figure return it too, and as a cell's last value it would be
    shown a second time.
    """
    from IPython import get_ipython  # noqa: PLC0415  # present in a kernel only
    from IPython.display import display  # noqa: PLC0415  # as above

    shell: Any = get_ipython()
    shell.enable_matplotlib("inline")  # registers how a Figure becomes a picture
    display(figure)
    cell = shell.execution_count

    def display_later() -> None:
        del figure._ipython_display_  # type: ignore[attr-defined]  # IPython's protocol
        if shell.execution_count != cell:
            display(figure)

    figure._ipython_display_ = display_later  # type: ignore[attr-defined]  # as above


def _show_window(figure: "Figure") -> None:
    """Open a window for a figure if matplotlib's backend can."""
    if not _on_screen():
        return
    import matplotlib.pyplot as plt  # noqa: PLC0415  # it looks for a screen

    plt.figure(figure)
    plt.show(block=False)
    figure.canvas.flush_events()


def wait_for_windows() -> None:
    """Wait until the figures' windows are closed, if there are any and this is a terminal."""
    if not is_verbose() or in_notebook() or not sys.stdin.isatty() or not _on_screen():
        return
    import matplotlib.pyplot as plt  # noqa: PLC0415  # it looks for a screen

    if plt.get_fignums():
        say("Close the figures' windows, or press Ctrl-C, to end.", file=sys.stderr)
        with suppress(KeyboardInterrupt):
            plt.show(block=True)


def _on_screen() -> bool:
    """Tell whether matplotlib found a screen to open windows on."""
    import matplotlib as mpl  # noqa: PLC0415  # slow, and only where a figure is shown
    from matplotlib.backends import registry  # noqa: PLC0415  # as above

    on_screen: list[str] = registry.backend_registry.list_builtin(  # type: ignore[no-untyped-call]  # matplotlib's own
        registry.BackendFilter.INTERACTIVE
    )
    return mpl.get_backend().lower() in on_screen
