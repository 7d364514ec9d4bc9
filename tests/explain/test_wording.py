import pytest

from apparel.explain.findings.wording import listed, points


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("a", "a"),
        ("ab", "a and b"),
        ("abc", "a, b and c"),
        ("abcdef", "a, b, c, d, e and f"),
        ("abcdefg", "a, b, c, d, e and 2 others"),
    ],
)
def test_a_list_has_its_first_few_names(names, text):
    assert listed(list(names)) == text


def test_a_list_ends_as_it_is_told():
    assert listed(["a", "b"], last="or") == "a or b"


def test_a_difference_has_no_sign():
    assert points(-0.0512) == points(0.0512) == "5.1 percentage points"
