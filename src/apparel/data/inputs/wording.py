"""What messages say of places and of the errors of others: short, on one line, and harmless."""

from apparel.data.decode.opening import one_line

# Letters of a library's own message.
_REASON = 300


def shown(found: object) -> str:
    """A place, or something from a file."""
    return one_line(str(found))


def reason(error: BaseException) -> str:
    """Why something failed; some libraries say nothing."""
    return one_line(" ".join(str(error).split()).rstrip(".")[:_REASON] or type(error).__name__)
