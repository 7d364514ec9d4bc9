import io
import re
import sys

import pytest

from apparel.training import progress_bar
from apparel.training.progress_bar import BarReporter, EpochEnd, LineReporter, epoch_reporter

MEASURES = {"precision": 0.1, "val_accuracy": 0.5, "loss": 1.23456, "accuracy": 0.4, "val_loss": 2}


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


def test_an_epochs_line_shows_the_main_measures_and_the_time_left():
    line = str(EpochEnd(epoch=2, epochs=5, seconds=30.2, left=90.6, measures=MEASURES))
    assert line == (
        "epoch 2/5  loss 1.2346  accuracy 0.4000  val_loss 2.0000  val_accuracy 0.5000  "
        "(30 s, about 1 min 31 s left)"
    )


def test_the_last_epoch_has_no_time_left():
    line = str(EpochEnd(epoch=5, epochs=5, seconds=61, left=0, measures={"loss": 1}))
    assert line == "epoch 5/5  loss 1.0000  (1 min 1 s)"


def test_where_time_ends_training_nobody_knows_how_many_epochs_there_will_be():
    line = str(EpochEnd(epoch=5, epochs=None, seconds=61, left=9, measures={"loss": 1}))
    assert line == "epoch 5  loss 1.0000  (1 min 1 s, about 9 s left)"


def go(reporter, epochs=2, steps=3):
    for epoch in range(1, epochs + 1):
        reporter.epoch_begins(epoch)
        for step in range(1, steps + 1):
            share = (epoch - 1 + step / steps) / epochs
            reporter.step_ends(share, {"loss": 1 / step, "accuracy": 0.5})
        reporter.epoch_ends(
            EpochEnd(epoch, epochs, 1.0, epochs - epoch, {"loss": 0.5, "accuracy": 0.25})
        )
    reporter.close()


LINES = [
    "epoch 1/2  loss 0.5000  accuracy 0.2500  (1 s, about 1 s left)",
    "epoch 2/2  loss 0.5000  accuracy 0.2500  (1 s)",
]


def test_without_a_terminal_there_is_one_line_an_epoch():
    stream = io.StringIO()
    go(LineReporter(stream))
    assert stream.getvalue().splitlines() == LINES


def test_a_line_is_there_as_soon_as_its_epoch_ends():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    LineReporter(stream).epoch_ends(EpochEnd(1, 1, 1.0, 0.0, {}))
    assert raw.getvalue().startswith(b"epoch 1/1")


def test_on_a_terminal_the_epochs_lines_stay_and_the_bar_goes(terminal):
    go(BarReporter(2, terminal))
    shown = plain(terminal.getvalue())
    for line in LINES:
        assert line in shown
    assert "━" in shown
    assert terminal.getvalue().endswith("\x1b[1A\x1b[2K")  # up, and the bar's line is wiped


def test_the_bar_shows_the_share_of_all_training_the_measures_and_the_time_left(terminal):
    reporter = BarReporter(4, terminal)
    try:
        reporter.epoch_begins(3)
        reporter.step_ends(0.55, {"loss": 0.123456, "accuracy": 0.75, "precision": 0.9})
        reporter._progress.refresh()
    finally:
        reporter.close()
    shown = plain(terminal.getvalue())
    assert "epoch 3/4" in shown
    assert " 55%" in shown
    assert "loss 0.1235  accuracy 0.7500" in shown
    assert "left" in shown


def test_closing_gives_the_cursor_back(terminal):
    reporter = BarReporter(1, terminal)
    assert "\x1b[?25l" in terminal.getvalue()
    reporter.close()
    assert "\x1b[?25h" in terminal.getvalue()


@pytest.mark.parametrize(
    ("kernel", "stream", "kind"),
    [
        (False, Terminal(), BarReporter),
        (False, io.StringIO(), LineReporter),
        (True, Terminal(), LineReporter),
    ],
)
def test_the_reporter_fits_where_the_progress_goes(monkeypatch, kernel, stream, kind):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress_bar, "in_notebook", lambda: kernel)
    reporter = epoch_reporter(1)
    assert type(reporter) is kind
    go(reporter, epochs=1, steps=1)
    used, unused = (out, stream) if kernel else (stream, out)
    assert "epoch 1/1" in used.getvalue()
    assert unused.getvalue() == ""
