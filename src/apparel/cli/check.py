"""`apparel check`: find leaks, wrong labels and broken files in a data set."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from apparel.cli.arguments import OF_CHECK
from apparel.core.atomic_files import check_writable, write_text
from apparel.core.errors import UsageError
from apparel.core.messages import quiet
from apparel.core.records import DataCheck
from apparel.core.settings import Settings
from apparel.data import image_table, loading
from apparel.data.quality.check import check_all
from apparel.reporting import text
from apparel.runs import files


def main(parsed: Namespace) -> int:
    """Check, print what was found, and say in the exit code whether the data are clean."""
    found = check(
        parsed.source,
        output=parsed.output,
        fix=parsed.fix,
        data_dir=parsed.data_dir,
        **{name: getattr(parsed, name) for name in OF_CHECK},
    )
    print(text.check_lines(found))
    for path in (parsed.output, parsed.fix):
        if path:
            print(f"Written: {path}")
    return 0 if found.is_clean else 1


@quiet
def check(
    source: str,
    *,
    output: str | os.PathLike[str] | None = None,
    fix: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> DataCheck:
    """Find leaks, wrong labels and broken files in a data set.

    Args:
        source: its name or path.
        output: a .json file that lists all findings by name.
        fix: a new .csv file that lists the images that are left without what spoils the data.
        data_dir: folder with the data set's files.
        **settings: `split_seed`, `limit`, `test_split` and `image_size`, as in
            `ApparelClassifier`.

    Raises:
        UsageError: there is no such setting or source, a file may not be written, or there is to be
            a table of images that are not in files of their own.
        DataUnavailableError: the named set cannot be had.
        DataError: the source is no labelled set of images, or a class would have none left.
        OSError: a file cannot be written.

    Example:
        >>> apparel.check("photos").is_clean
    """
    if unknown := sorted(settings.keys() - set(OF_CHECK)):
        raise UsageError(
            f"check has no setting {unknown[0]!r}. Leave it out; there are {', '.join(OF_CHECK)}."
        )
    # Files that cannot be read are reported, however many there are.
    chosen = Settings(**settings, max_bad=1.0)
    listing, table = Path(output) if output else None, Path(fix) if fix else None
    if listing:
        if listing.suffix != ".json":
            raise UsageError(f"findings are written as .json, not to {listing}. Name such a file.")
        check_writable(listing)
    if table:
        image_table.check_place(table, source)
        check_writable(table)
    dataset = loading.load(source, data_dir=data_dir, **chosen.of_data)
    if table:
        image_table.need_image_files(dataset)
    found = check_all(dataset)
    if listing:
        files.write_check(listing, found)
    if table:
        write_text(table, image_table.cleaned_table(dataset, found, table))
    return found
