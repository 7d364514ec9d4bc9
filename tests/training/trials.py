"""Trials that train nothing, and a clock that counts them."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from apparel.training.tuning.trial import Outcome

POOR = 3


@dataclass
class MadeUp:
    """Trainings in four steps, which go on where a process left them.

    Each is better than those before, but one is poor. While there is a file `hold`, what begins
    waits after its first step.
    """

    folder: Path
    networks: tuple = ("planned", "cnn")

    def run(self, number, parameters, report):
        state, end = self.folder / f"state-{number}", self.folder / f"end-{number}"
        if end.exists():
            accuracy, stopped = json.loads(end.read_text())
            return Outcome(accuracy=accuracy, stopped=stopped, directory=self.folder)
        done = int(state.read_text()) if state.exists() else 0
        accuracy, stopped = 0.0, False
        self._note("begin", number, done, parameters)
        for step in range(done, 4):
            state.write_text(str(step + 1))
            while step == 0 and (self.folder / "hold").exists():
                time.sleep(0.05)
            accuracy = (0.01 if number == POOR else 0.1 + 0.1 * number) * (step + 1) / 4
            stopped = step < 3 and not report((10, 30, 60)[step], accuracy)
            if stopped:
                break
        end.write_text(json.dumps([accuracy, stopped]))
        self._note("end", number, step + 1, parameters)
        return self.run(number, parameters, report)

    def _note(self, what, number, done, parameters):
        with (self.folder / "log").open("a") as file:
            file.write(json.dumps([what, number, done, parameters, os.getpid()]) + "\n")


@dataclass
class Counting:
    """Has room for so many trials, and interrupts the search once where a file says so."""

    folder: Path
    trials: int

    def has_room(self, begun):
        if begun >= 3 and (self.folder / "interrupt").exists():
            (self.folder / "interrupt").unlink()
            raise KeyboardInterrupt
        return begun < self.trials

    def tick(self):
        return 0.0


def log(folder, what):
    """The entries of a kind in the log of trials: what, number, steps done, parameters, process."""
    lines = (folder / "log").read_text().splitlines() if (folder / "log").exists() else []
    return [entry for entry in map(json.loads, lines) if entry[0] == what]
