"""The trials of a search: what is read, said and drawn of them."""

import csv

import pytest

from apparel.core.errors import ModelFileError
from apparel.core.records import Trial
from apparel.reporting.plots import trials_figure
from apparel.reporting.text import trial_table, validation_verdict
from apparel.runs.search_folder import read_trials, write_trials


def trial(number, state, accuracies, **recipe):
    shown = {"model_name": "fast", "width": 32, "learning_rate": 0.1, "batch_size": 512,
             "label_smoothing": 0.1, "flip": True, "shift": 0, "erase": 0.0}  # fmt: skip
    return Trial(
        number=number, state=state, parameters={"network": "planned"}, recipe=shown | recipe,
        accuracies=tuple(accuracies), seconds=(2.5,) * len(accuracies),
        directory=f"trials/{number:03d}",
    )  # fmt: skip


TRIALS = (
    trial(0, "complete", (0.5, 0.8)),
    trial(1, "stopped", (0.9,), width=64),
    trial(2, "complete", (0.6, 0.85), model_name="cnn", width=None, flip=False),
    trial(3, "complete", (0.7, 0.85), erase=0.5),
    trial(4, "interrupted", ()),
)


def test_the_table_shows_the_best_first():
    header, *rows = trial_table(TRIALS).splitlines()
    assert [row.split()[0] for row in rows] == ["2", "3", "0", "1", "4"]
    assert " ".join(rows[0].split()) == "2 85.00% cnn - 0.1 512 0.1 no 0 0 2 5"
    assert rows[2].split()[-1] == "default"
    assert rows[3].split()[-1] == "stopped"
    assert rows[4].split()[1] == "-"
    end = header.index("seconds") + len("seconds")
    assert all(row[:end].rstrip() == row[:end] for row in rows)  # right-justified


def test_rows_hold_what_was_trained(tmp_path):
    write_trials(tmp_path, TRIALS)
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[2] == {
        "number": "2", "state": "complete", "model_name": "cnn", "width": "",
        "learning_rate": "0.1", "batch_size": "512", "label_smoothing": "0.1", "flip": "False",
        "shift": "0", "erase": "0.0", "val_accuracy": "0.85", "seconds": "5.0", "epochs": "2",
        "directory": "trials/002",
    }  # fmt: skip


def test_the_picture_has_a_line_for_each_trial():
    (ax,) = trials_figure(TRIALS).axes
    lines = {tuple(line.get_ydata()): line for line in ax.get_lines()}
    assert set(lines) == {t.accuracies for t in TRIALS if t.accuracies}
    assert list(ax.get_lines()[0].get_xdata()) == [2.5, 5.0]
    legend = [entry.get_text() for entry in ax.get_legend().get_texts()]
    assert sorted(legend) == ["best", "complete", "default setting", "stopped early"]
    assert ax.get_title() == "4 trials, 3 of them complete; best: 85.0 %"
    (stopped,) = trials_figure(TRIALS[1:2]).axes  # the best trial came to its end
    assert stopped.get_title() == "1 trials, 0 of them complete"
    (empty,) = trials_figure(()).axes
    assert [text.get_text() for text in empty.texts] == ["no data"]


@pytest.mark.parametrize(
    ("best", "default", "said"),
    [(0.92, 0.91, "is ahead: best setting 92.00%, default 91.00% on the 6,000"),
     (0.91, 0.91, "is level with the default"),
     (0.90, 0.91, "did not find a better setting than the default: best setting 90.00%")],
)  # fmt: skip
def test_it_is_said_whether_the_default_was_beaten(best, default, said):
    assert said in validation_verdict(best, default, 6000)


def test_a_file_that_describes_no_trial_is_said_to_be_so(tmp_path):
    folder = tmp_path / "trials" / "000"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"status": "complete", "recipe": {}}')
    with pytest.raises(ModelFileError, match="holds no trial of a search"):
        read_trials(tmp_path)
    (folder / "settings.json").write_text('{"status": "running"}')
    assert read_trials(tmp_path) == ()  # claimed, not yet begun
