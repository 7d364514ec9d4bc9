"""Progress is told or not; foreign text is printable and of bounded length; durations."""

import pytest

from apparel.core import messages


@pytest.mark.parametrize(
    "text", ["a\r\n\x1b[2J\0", "a\u202eb", "\udcff", "\U000e0001" * 500, "x" * 10**6]
)
def test_whatever_a_file_holds_is_shown_on_one_short_line(text):
    for found, limit in (
        (messages.printable(text), messages.MAX_NAME),
        (messages.printable(text, 20), 20),
        (messages.shown(text), messages.MAX_VALUE),
        (messages.shown([text]), messages.MAX_VALUE),
        (messages.shown(text.encode("utf-8", "surrogateescape")), messages.MAX_VALUE),
        (messages.reason(ValueError(text)), messages.MAX_REASON),
        (messages.listed([text] * 100), 10 * messages.MAX_VALUE),
    ):
        assert found.isprintable()
        assert len(found) <= limit


def test_what_can_be_printed_stays_as_it_is():
    name = "coats/Mäntel.png"
    assert messages.printable(name) == messages.printable(name, len(name)) == name
    assert messages.printable(name, 8) == "coats..."
    assert messages.printable("a\n.png") == r"a\n.png"
    assert messages.shown(name) == "'coats/Mäntel.png'"
    assert messages.shown("a" * 61) == "'" + "a" * 55 + "...'"
    assert messages.shown(list(range(100))) == "100 entries"


def test_an_error_gives_its_reason_or_its_name():
    assert messages.reason(ValueError("two\nlines.")) == "two lines"
    assert messages.reason(ValueError()) == "ValueError"


def test_names_are_listed_up_to_six():
    assert messages.listed([]) == "none"
    assert messages.listed("abcdef") == "a, b, c, d, e, f"
    assert messages.listed("abcdefg") == "a, b, c, d, e, f, ..."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59.4, "59 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min"), (90_000, "25 h 0 min")],
)
def test_a_duration_has_one_or_two_units(seconds, said):
    assert messages.duration(seconds) == said


def test_a_quiet_function_says_something_only_in_a_command(capsys):
    quietly = messages.quiet(messages.quiet(messages.say))
    quietly("no")
    messages.say("by itself")
    with messages.verbose():
        quietly("in a command")
    quietly("no")
    assert capsys.readouterr().out == "by itself\nin a command\n"
