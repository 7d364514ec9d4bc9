"""Every error has its exit code."""

import re

import pytest

from apparel.core import errors

EXIT_CODES = {
    errors.ApparelError: 1,
    errors.UsageError: 2,
    errors.StepOrderError: 2,
    errors.DataError: 3,
    errors.ModelFileError: 4,
    errors.DataUnavailableError: 5,
}


@pytest.mark.parametrize(("error", "code"), EXIT_CODES.items())
def test_each_error_has_its_exit_code(error, code):
    assert error("x").exit_code == code
    assert issubclass(error, errors.ApparelError)


def test_no_error_is_without_an_exit_code_under_test():
    found = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)}
    assert found == set(EXIT_CODES)


def test_the_tree_in_the_docstring_tells_the_same_codes():
    drawn = dict(re.findall(r"(\w+Error) +(\d)", errors.__doc__))
    assert drawn == {error.__name__: str(code) for error, code in EXIT_CODES.items()}


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.StepOrderError, RuntimeError),
        (errors.DataError, ValueError),
        (errors.ModelFileError, ValueError),
        (errors.DataUnavailableError, OSError),
    ],
)
def test_an_error_can_be_caught_as_the_builtin_that_it_resembles(error, builtin):
    assert issubclass(error, builtin)
    assert str(error("what happened")) == "what happened"
