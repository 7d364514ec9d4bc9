"""Lines and bar, as people see them."""

import io
import re
import sys
from types import SimpleNamespace

import pytest

from apparel.training import progress_bar
from apparel.training.progress import StepProgress
from apparel.training.progress_bar import EpochLines, ProgressBar, progress_display

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


@pytest.mark.parametrize(("epochs", "named"), [(5, "epoch 2/5"), (None, "epoch 2")])
def test_an_epoch_has_a_line(epochs, named):
    stream, log = io.StringIO(), SimpleNamespace(seconds=[1.0, 30.2], seconds_left=90.6)
    EpochLines(StepProgress(9), log, epochs, stream).on_epoch_end(1, METRICS)
    assert stream.getvalue() == (
        f"{named}  loss 1.2346  accuracy 0.4000  val_loss 2.0000  val_accuracy 0.5000  "
        "(30 s, about 1 min 31 s left)\n"
    )


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


def test_epochs_have_a_line_each_at_once_and_the_bar_goes(terminal):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    trained(EpochLines, stream)
    lines = raw.getvalue().decode().splitlines()
    assert lines == [
        "epoch 1/2  loss 0.5000  accuracy 0.2500  (1 s, about 1 s left)",
        "epoch 2/2  loss 0.5000  accuracy 0.2500  (1 s)",
    ]
    trained(ProgressBar, terminal)
    shown = plain(terminal.getvalue())
    assert all(line in shown for line in [*lines, "━"])
    assert terminal.getvalue().endswith("\x1b[1A\x1b[2K")  # up, and the bar's line is wiped


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
