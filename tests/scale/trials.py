"""Trials that train nothing, and a clock that counts them."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from apparel.training.tuning import trial

POOR = 3


@dataclass
class MadeUp:
    """Trainings in four steps, which go on where a process left them.

    Each is better than those before, but one is poor.
    """

    folder: Path
    seconds: float = 0.0
    networks: tuple = ("planned", "cnn")

    def run(self, number, parameters, report):
        state = self.folder / f"state-{number}"
        done = int(state.read_text()) if state.exists() else 0
        final = 0.01 if number == POOR else 0.1 + 0.1 * number
        stopped = False
        self._note("begin", number, done, parameters)
        for step in range(done, 4):
            time.sleep(self.seconds)
            state.write_text(str(step + 1))
            accuracy = final * (step + 1) / 4
            if step < 3 and not report(25 * (step + 1), accuracy):
                stopped, final = True, accuracy
                break
        self._note("end", number, step + 1, parameters)
        return trial.Outcome(accuracy=final, stopped=stopped, directory=self.folder)

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
