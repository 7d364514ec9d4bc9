"""Every error has its exit code, and can be caught as the builtin that it resembles."""

from apparel.core import errors

EXIT_CODES = {
    errors.ApparelError: (1, Exception),
    errors.UsageError: (2, ValueError),
    errors.StepOrderError: (2, RuntimeError),
    errors.DataError: (3, ValueError),
    errors.ModelFileError: (4, ValueError),
    errors.DataUnavailableError: (5, OSError),
}


def test_each_error_has_its_exit_code_and_its_builtin():
    found = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)}
    assert found == set(EXIT_CODES)
    for error, (code, builtin) in EXIT_CODES.items():
        assert error("x").exit_code == code
        assert issubclass(error, errors.ApparelError)
        assert issubclass(error, builtin)
        assert str(error("what happened")) == "what happened"
