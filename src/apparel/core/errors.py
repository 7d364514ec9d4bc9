"""The errors apparel raises on purpose, each with the exit code of the command.

ApparelError                 1  what was asked could not be done
├── UsageError               2  an option or argument makes no sense
├── StepOrderError           2  a step was called before the one it needs
├── DataError                3  the input data are broken or do not fit
├── ModelFileError           4  a model file is broken, foreign or does not fit
└── DataUnavailableError     5  the data set could not be had from any source

A message says what happened, what was expected, what was received and what to do next.
"""


class ApparelError(Exception):
    """Base of every error that apparel raises on purpose."""

    exit_code = 1


class UsageError(ApparelError, ValueError):
    """An option or argument makes no sense."""

    exit_code = 2


class StepOrderError(ApparelError, RuntimeError):
    """A step was called before the step that it needs."""

    exit_code = 2


class DataError(ApparelError, ValueError):
    """The input data are broken or do not fit."""

    exit_code = 3


class ModelFileError(ApparelError, ValueError):
    """A model file is broken, foreign or does not fit."""

    exit_code = 4


class DataUnavailableError(ApparelError, OSError):
    """The data set could not be had from any source."""

    exit_code = 5
