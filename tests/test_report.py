import base64
from html.parser import HTMLParser

import numpy as np
import pytest

from apparel import evaluate, report
from apparel.records import Finding

NAMES = ("T-shirt/top", "<b>bold</b>", "Bag & co")
HEADLINE = "9 of <i>10</i>."
FINDINGS = (
    Finding(topic="gap", text="It costs $5 & more.", advice="Try <it>.", weight=0.5),
    Finding(topic="imbalance", text="A < B.", advice="Add B.", weight=0.1),
)
FACTS = {"Seed": "0", "Processor": 'A "fast" <one>'}


@pytest.fixture
def evaluation():
    predicted = np.array([0, 1, 2, 0])
    probabilities = np.eye(3, dtype=np.float32)[predicted]
    return evaluate.evaluate(probabilities, np.array([0, 1, 2, 1]), NAMES)


class Page(HTMLParser):
    """The texts of a page by element, and the attributes of each tag."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.tags, self._open = {}, [], []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br"}:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts[self._open[-1]][-1] += data


@pytest.fixture
def plot(tmp_path):
    path = tmp_path / "p.png"
    path.write_bytes(bytes(range(256)))
    return path


@pytest.fixture
def html(evaluation, plot):
    return report.html(
        "cnn & <more>", evaluation, HEADLINE, FINDINGS, plots={'The "curve"': plot}, facts=FACTS
    )


def test_the_page_shows_every_figure_and_fact(html, evaluation):
    page = Page(html)
    assert page.texts["h1"] == page.texts["title"] == ["cnn & <more>"]
    assert "Test result on 4 images" in page.texts["h2"]
    assert HEADLINE in page.texts["p"]
    assert page.texts["li"] == ["It costs $5 & more.Try: Try <it>.", "A < B.Try: Add B."]
    assert html.count("<br>Try: ") == 2
    assert page.texts["pre"] == [evaluation.report]
    rows = dict(zip(page.texts["th"], page.texts["td"], strict=True))
    accuracy = evaluation.metrics["accuracy"]
    assert rows["Accuracy"] == (
        f"0.7500  (95 % interval {accuracy.low:.4f} to {accuracy.high:.4f})"
    )
    assert list(rows) == [
        "Accuracy", "Balanced accuracy", "Precision (macro)", "Recall (macro)", "F1 (macro)",
        "Top-2 accuracy", "Log loss", "Brier score", "Calibration error",
        "Seed", "Processor",
    ]  # fmt: skip
    assert rows["Processor"] == 'A "fast" <one>'


def test_pictures_are_inside_the_page(html, plot):
    ((_, picture),) = [tag for tag in Page(html).tags if tag[0] == "img"]
    kind, _, data = picture["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == plot.read_bytes()
    assert picture["alt"] == 'The "curve"'


def test_the_page_needs_no_other_file(html):
    page = Page(html)
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe"} == set()
    links = [
        value for _, held in page.tags for key, value in held.items() if key in {"src", "href"}
    ]
    assert all(value.startswith("data:") for value in links)
    assert "url(" not in html
    assert "@import" not in html


def test_the_card_shows_every_figure_and_fact(evaluation):
    card = report.model_card("cnn on data", evaluation, HEADLINE, FINDINGS, FACTS)
    lines = card.splitlines()
    assert lines[0] == "# cnn on data"
    assert "## Test result on 4 images" in lines
    accuracy = evaluation.metrics["accuracy"]
    assert f"| Accuracy | 0.7500 | {accuracy.low:.4f} to {accuracy.high:.4f} |" in lines
    assert sum(line.startswith("| ") for line in lines) == 1 + len(evaluation.metrics)
    start = lines.index(HEADLINE)
    assert lines[start + 1 : start + 6] == [
        "", "1. It costs $5 & more.", "   Try: Try <it>.", "2. A < B.", "   Try: Add B.",
    ]  # fmt: skip
    assert '- Processor: A "fast" <one>' in lines
    assert "T-shirt/top, <b>bold</b>, Bag & co" in card


def test_a_healthy_result_has_no_list(evaluation):
    html = report.html("t", evaluation, HEADLINE, (), plots={}, facts={})
    assert "Nothing stands out." in Page(html).texts["p"]
    assert "<ol>" not in html
    card = report.model_card("t", evaluation, HEADLINE, (), {})
    assert f"{HEADLINE}\n\nNothing stands out.\n\n## Files" in card


def test_nothing_of_a_template_is_left_unfilled(html, evaluation):
    card = report.model_card("t", evaluation, HEADLINE, (), {})
    for page in (html.replace("$5", ""), card):
        assert "$" not in page
