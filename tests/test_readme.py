"""The README and the pages in docs/: their examples run and show real output."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
OUTPUTS = re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)


EPOCH = r"epoch \d+/\d+  loss .*\n"


def run(code: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    # Progress, and no remarks of the libraries beneath.
    assert re.fullmatch(f"({EPOCH})*", result.stderr)
    return result.stdout


def without_results(text: str) -> str:
    """Text without figures and class names, which differ from processor to processor."""
    text = re.sub(r"[\d.,%]+", "#", text)
    text = re.sub(r"T-shirt/top|Trouser|Pullover|Dress|Coat|Sandal|Shirt|Sneaker|Bag|Ankle boot",
                  "CLASS", text)  # fmt: skip
    return re.sub(r"\s+", " ", text)


@pytest.mark.slow
def test_the_first_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    printed = without_results(run(EXAMPLES[0], tmp_path))
    pieces = OUTPUTS[0].split("...\n")
    assert len(pieces) > 1
    for piece in pieces:
        assert without_results(piece).strip() in printed
    assert (tmp_path / "clothes.onnx").is_file()


@pytest.mark.slow
def test_the_scikit_learn_example_scores_digits(tmp_path: Path) -> None:
    printed = run(EXAMPLES[1], tmp_path)
    scores = [float(score) for score in re.findall(r"\d\.\d+", printed)]
    assert len(scores) == 3
    assert min(scores) > 0.85


def test_every_python_example_is_tested() -> None:
    assert len(EXAMPLES) == 2
    assert len(OUTPUTS) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether there is such a file, and such a heading in it, as GitHub names headings."""
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists() or not heading:
        return target.exists()
    titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
