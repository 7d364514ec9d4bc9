"""The notebook: it runs from top to bottom, shows its pictures once, and equals its twin."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOK = FOLDER / "apparel_classifier.ipynb"


@pytest.fixture(scope="module")
def stored() -> Any:
    import nbformat  # noqa: PLC0415  # not needed for the default tests

    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook: Any) -> list[Any]:
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [output for cell in cells for output in cell.outputs]


def printed(notebook: Any) -> str:
    streams = (o for o in outputs(notebook) if o.output_type == "stream" and o.name == "stdout")
    return "".join(stream.text for stream in streams)


def pictures(notebook: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def test_the_notebook_equals_its_plain_text_twin(stored: Any) -> None:
    import jupytext  # noqa: PLC0415  # as above

    twin = jupytext.read(NOTEBOOK.with_suffix(".py"))
    assert [(c.cell_type, c.source) for c in stored.cells] == [
        (c.cell_type, c.source) for c in twin.cells
    ]


def test_the_stored_outputs_are_those_of_a_full_run(stored: Any) -> None:
    text = printed(stored)
    assert "60000 training and 10000 test images" in text
    assert "epoch 15/15" in text
    assert "Test result on 10,000 images" in text
    assert pictures(stored) == 5
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_the_notebook_runs_from_top_to_bottom(stored: Any, tmp_path: Path) -> None:
    import nbformat  # noqa: PLC0415  # as above

    quick = nbformat.from_dict(stored)
    settings = next(c for c in quick.cells if c.source.endswith("seed=0)"))
    settings.source = settings.source.replace("LIMIT = None", "LIMIT = 300").replace(
        "EPOCHS = 15", "EPOCHS = 2"
    )
    path = tmp_path / "quick.ipynb"
    nbformat.write(quick, path)
    subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "--inplace", path], check=True, timeout=900
    )
    quick = nbformat.read(path, as_version=4)
    text = printed(quick)
    assert "300 training and 300 test images" in text
    assert "epoch 2/2" in text
    assert "What these results say" in text
    assert pictures(quick) == 5
    assert not [o for o in outputs(quick) if o.output_type == "stream" and o.name == "stderr"]
    assert (tmp_path / "refactored_fashion_cnn.keras").is_file()
