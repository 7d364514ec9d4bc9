"""Lines and bar, as people see them."""

import io
import re
import sys
from types import SimpleNamespace

import pytest

from apparel.training import progress_bar
from apparel.training.progress import StepProgress
from apparel.training.progress_bar import EpochLines, ProgressBar, epoch_line, progress_display

METRICS = {"precision": 0.1, "val_accuracy": 0.5, "loss": 1.23456, "accuracy": 0.4, "val_loss": 2}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 100 columns that understands every control code."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def plain(text):
    """What a terminal's output says, without its control codes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (8.4, "8 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (80, "1 min 20 s"),
        (3599, "59 min 59 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_duration_has_one_or_two_units(seconds, said):
    assert progress_bar._duration(seconds) == said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            (1, 5, 30.2, 90.6, METRICS),
            "epoch 2/5  loss 1.2346  accuracy 0.4000  val_loss 2.0000  val_accuracy 0.5000  "
            "(30 s, about 1 min 31 s left)",
        ),
        ((4, 5, 61, 0, {"loss": 1}), "epoch 5/5  loss 1.0000  (1 min 1 s)"),
        ((4, None, 61, 9, {"loss": 1}), "epoch 5  loss 1.0000  (1 min 1 s, about 9 s left)"),
    ],
    ids=["metrics and time left", "the last epoch", "time ends training"],
)
def test_an_epoch_has_a_line(arguments, line):
    assert epoch_line(*arguments) == line


def trained(kind, stream, epochs=2, steps=3):
    """A training of so many epochs, each of which took a second, shown on a stream."""
    progress = StepProgress(epochs * steps)
    log = SimpleNamespace(seconds=[1.0], seconds_left=0.0)
    shown = kind(progress, log, epochs, stream) if stream else kind(progress, log, epochs)
    for epoch in range(epochs):
        shown.on_epoch_begin(epoch)
        for step in range(1, steps + 1):
            progress.steps += 1
            shown.on_train_batch_end(step, {"loss": 1 / step, "accuracy": 0.5})
        log.seconds_left = epochs - 1.0 - epoch
        shown.on_epoch_end(epoch, {"loss": 0.5, "accuracy": 0.25})
    shown.close()
    return shown


LINES = [
    "epoch 1/2  loss 0.5000  accuracy 0.2500  (1 s, about 1 s left)",
    "epoch 2/2  loss 0.5000  accuracy 0.2500  (1 s)",
]


def test_without_a_terminal_there_is_one_line_an_epoch_at_once():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    trained(EpochLines, stream)
    assert raw.getvalue().decode().splitlines() == LINES


def test_on_a_terminal_the_epochs_lines_stay_and_the_bar_goes(terminal):
    trained(ProgressBar, terminal)
    shown = plain(terminal.getvalue())
    for line in LINES:
        assert line in shown
    assert "━" in shown
    assert terminal.getvalue().endswith("\x1b[1A\x1b[2K")  # up, and the bar's line is wiped


def test_the_bar_shows_the_share_of_all_training_the_metrics_and_the_time_left(terminal):
    progress = StepProgress(20)
    bar = ProgressBar(progress, SimpleNamespace(), 4, terminal)
    assert "\x1b[?25l" in terminal.getvalue()  # hides the cursor
    try:
        bar.on_epoch_begin(2)
        progress.steps = 11
        bar.on_train_batch_end(0, {"loss": 0.123456, "accuracy": 0.75, "precision": 0.9})
        bar._bar.refresh()
    finally:
        bar.close()
    shown = plain(terminal.getvalue())
    assert "epoch 3/4" in shown
    assert " 55%" in shown
    assert "loss 0.1235  accuracy 0.7500" in shown
    assert "left" in shown
    assert "\x1b[?25h" in terminal.getvalue()  # shows it again


@pytest.mark.parametrize(
    ("kernel", "stream", "kind"),
    [
        (False, Terminal(), ProgressBar),
        (False, io.StringIO(), EpochLines),
        (True, Terminal(), EpochLines),
    ],
)
def test_the_display_fits_the_stream(monkeypatch, kernel, stream, kind):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress_bar, "in_notebook", lambda: kernel)
    assert type(trained(progress_display, None, epochs=1, steps=1)) is kind
    used, unused = (out, stream) if kernel else (stream, out)
    assert "epoch 1/1" in used.getvalue()
    assert unused.getvalue() == ""
