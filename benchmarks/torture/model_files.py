"""Open hostile model files, and honest ones: the first are all refused, the second all opened."""

import tempfile
import time
from pathlib import Path

from tests import honest_keras, hostile_keras

from apparel import keras_file
from apparel.core.errors import ModelFileError

SECONDS = 2.0


def hostile_files() -> dict[str, object]:
    """Open every hostile `.keras` file of the tests.

    Returns:
        How many there are, how many were refused, and the longest that one took; under "holds",
        whether all were, in time, and the file that they would write is not there.
    """
    with tempfile.TemporaryDirectory() as name:
        canary = Path(name, "canary")
        cases = hostile_keras.cases(canary)
        seconds = [_refused(Path(name), case.content, case.suffix) for case in cases.values()]
        untouched = not canary.exists()
    refused = [found for found in seconds if found is not None]
    return {
        "files": len(cases),
        "refused": len(refused),
        "longest_seconds": round(max(refused), 3),
        "canary_untouched": untouched,
        "holds": len(refused) == len(cases) and untouched and max(refused) <= SECONDS,
    }


def honest_files(n: int) -> dict[str, object]:
    """Write and open models of every kind, size and number format; compare every weight.

    Args:
        n: how many.
    """
    with tempfile.TemporaryDirectory() as name:
        kinds = honest_keras.check_many(Path(name), n)
    return {"files": n, "opened": len(kinds), "kinds": len(set(kinds)), "holds": len(kinds) == n}


def _refused(folder: Path, content: bytes, suffix: str) -> float | None:
    """The seconds that it took to refuse a file; None where it was opened."""
    path = folder / f"m{suffix}"
    path.write_bytes(content)
    start = time.perf_counter()
    try:
        keras_file.read(path)
    except ModelFileError:
        return time.perf_counter() - start
    return None
