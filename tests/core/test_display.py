"""Figures appear in a notebook or on a screen, and nothing blocks without one."""

import io
import sys
import types

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from apparel.core import display


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch):
    """Whatever ran before, this process is no notebook."""
    monkeypatch.delitem(sys.modules, "ipykernel.zmqshell", raising=False)
    yield
    plt.close("all")


@pytest.fixture
def shows(monkeypatch):
    """How matplotlib was asked to show windows."""
    asked = []
    monkeypatch.setattr(plt, "show", lambda *, block: asked.append(block))
    return asked


@pytest.fixture
def kernel(monkeypatch):
    """A notebook's kernel; `shown` is what stands in its cells."""
    shown = []
    shell = types.SimpleNamespace(execution_count=1, enabled=[])
    shell.enable_matplotlib = shell.enabled.append
    shell.shown = shown
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", types.ModuleType("zmqshell"))
    return shell


@pytest.mark.parametrize(("backend", "opens"), [("agg", False), ("tkagg", True)])
def test_a_window_opens_on_a_screen_only_and_nothing_blocks(
    monkeypatch, shows, capfd, backend, opens
):
    monkeypatch.setattr(mpl, "get_backend", lambda: backend)
    figure = Figure()
    display.show(figure)
    assert [plt.figure(number) for number in plt.get_fignums()] == [figure] * opens
    assert shows == [False] * opens
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("terminal", "backend", "windows", "notebook", "waits"),
    [
        (True, "tkagg", 1, False, True),
        (True, "QtAgg", 0, False, False),
        (False, "QtAgg", 1, False, False),
        (True, "pdf", 1, False, False),
        (True, "module://matplotlib_inline.backend_inline", 1, False, False),
        (True, "tkagg", 1, True, False),
    ],
)
def test_only_a_person_with_open_windows_is_waited_for(
    monkeypatch, shows, capsys, terminal, backend, windows, notebook, waits
):
    stdin = io.StringIO()
    stdin.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(mpl, "get_backend", lambda: backend)
    monkeypatch.setattr(display, "in_notebook", lambda: notebook)
    for _ in range(windows):
        plt.figure()
    display.wait_for_windows()
    assert shows == [True] * waits
    said = "Close the figures' windows, or press Ctrl-C, to end.\n" * waits
    assert capsys.readouterr() == ("", said)


# -- in a notebook ---------------------------------------------------------------------


def test_a_notebook_shows_the_figure_inline_once_and_opens_no_window(kernel, shows):
    assert display.in_notebook()
    figure = Figure()
    display.show(figure)
    assert kernel.shown == [figure]
    assert kernel.enabled == ["inline"]
    figure._ipython_display_()  # what IPython does with a cell's last value
    assert kernel.shown == [figure]
    assert shows == []


def test_a_figure_of_an_earlier_cell_is_shown_again_when_named(kernel):
    figure = Figure()
    display.show(figure)
    kernel.execution_count += 1
    figure._ipython_display_()
    assert kernel.shown == [figure, figure]
    assert not hasattr(figure, "_ipython_display_")  # from here on IPython's own way
