"""Lines and bar, as people see them."""

import io
import re
import sys
from types import SimpleNamespace

import pytest

from apparel.core.messages import quiet
from apparel.training import progress_bar
from apparel.training.progress import StepProgress
from apparel.training.progress_bar import EpochLines, ProgressBar, progress_display

METRICS = {"precision": 0.1, "val_accuracy": 0.5, "loss": 1.23456, "accuracy": 0.4, "val_loss": 2}
VALUES = "loss 1.2346  accuracy 0.4000  val_loss 2.0000  val_accuracy 0.5000"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("epochs", "named"), [(5, "epoch 2/5"), (None, "epoch 2")])
def test_without_a_terminal_there_is_one_line_an_epoch_at_once(epochs, named):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    log = SimpleNamespace(seconds=[1.0, 30.2], seconds_left=90.6)
    lines = EpochLines(StepProgress(9), log, epochs, stream)
    lines.on_epoch_end(1, METRICS)
    log.seconds_left = 0.0
    lines.on_epoch_end(1, {"loss": 1})
    assert raw.getvalue().decode() == (
        f"{named}  {VALUES}  (30 s, about 1 min 31 s left)\n{named}  loss 1.0000  (30 s)\n"
    )


def test_a_terminal_shows_a_bar_of_all_training_above_which_the_epochs_lines_stay(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, progress = Terminal(), StepProgress(20)
    log = SimpleNamespace(seconds=[1.0], seconds_left=0.0)
    bar = ProgressBar(progress, log, 4, terminal)
    assert "\x1b[?25l" in terminal.getvalue()  # hides the cursor
    try:
        bar.on_epoch_begin(2)
        progress.steps = 11
        bar.on_train_batch_end(0, {"loss": 0.123456, "accuracy": 0.75, "precision": 0.9})
        bar._bar.refresh()
        bar.on_epoch_end(2, METRICS)
    finally:
        bar.close()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())  # without control codes
    for part in ("epoch 3/4", "━", " 55%", "loss 0.1235  accuracy 0.7500", "left"):
        assert part in shown
    assert f"epoch 3/4  {VALUES}  (1 s)" in shown
    assert "\x1b[?25h" in terminal.getvalue()  # shows it again
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
    asked = StepProgress(1), SimpleNamespace(seconds=[1.0], seconds_left=0.0), 1
    quiet(progress_display)(*asked).on_epoch_end(0, {"loss": 1})
    assert (out.getvalue(), stream.getvalue()) == ("", "")
    display = progress_display(*asked)
    display.on_epoch_end(0, {"loss": 1})
    display.close()
    assert type(display) is kind
    used, unused = (out, stream) if kernel else (stream, out)
    assert "epoch 1/1" in used.getvalue()
    assert unused.getvalue() == ""
