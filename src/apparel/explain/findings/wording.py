"""Numbers and names in words, the same in every sentence."""

from collections.abc import Sequence

# Names listed in full; a data set may have a thousand classes.
MOST_NAMES = 5


def percent(share: float) -> str:
    """Write a share, 0 to 1; '100.0 %' and '0.0 %' mean exactly all and none."""
    digits = 1
    while 0 < share < 1 and float(f"{100 * share:.{digits}f}") in {0.0, 100.0}:
        digits += 1
    return f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """Write a difference of two shares in percentage points, without its sign."""
    return f"{abs(100 * difference):.1f} percentage points"


def one_in(share: float) -> str:
    """Write a share, above 0 and at most 0.5, as '1 image in 12 is' or '4 images in 10 are'."""
    tenths = round(10 * share)
    few = tenths <= 3  # noqa: PLR2004  # above, 1 in N steps too coarsely: 1 in 3, then 1 in 2
    return f"1 image in {round(1 / share):,} is" if few else f"{tenths} images in 10 are"


def listed(names: Sequence[str], *, last: str = "and") -> str:
    """Write at least one name as a list, the first few of many.

    Args:
        names: of classes.
        last: the word before the last one.
    """
    shown = list(names)
    if len(names) > MOST_NAMES + 1:
        shown = [*names[:MOST_NAMES], f"{len(names) - MOST_NAMES:,} others"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"
