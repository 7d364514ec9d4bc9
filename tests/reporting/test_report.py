"""The report and the model card are read back; nothing in them comes from elsewhere."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from PIL import Image

from apparel.core.records import (
    Calibration,
    CheckedImage,
    CopiedImage,
    Interval,
    Saliency,
)
from apparel.evaluation import metrics
from apparel.reporting import plots
from apparel.reporting.html._data_section import MOST_FILES, MOST_IMAGES, MOST_PAIRS
from apparel.reporting.html._pictures import chart, heat, picture
from apparel.reporting.html.page import (
    LARGEST_MATRIX,
    MOST_IN_CELL,
    MOST_ISSUES,
    MOST_PICTURES,
    html_page,
)
from apparel.reporting.model_card import model_card
from tests.reporting import test_text_data
from tests.reporting.made import label_issues, report_on, robustness

NAMES = ("T-shirt/top", "<b>bold</b>", "Bag & co")
VOID = {"meta", "img", "br", "input"}


def made_up(names=NAMES, n=60, shape=(8, 6, 1), sure=0.4, **changes):
    """A report on made-up probabilities."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % len(names)
    probabilities = random.dirichlet(np.ones(len(names)), n) * (1 - sure)
    probabilities[np.arange(n), labels] += sure
    evaluation = metrics.evaluate(
        probabilities.astype(np.float32),
        labels,
        names,
        calibration=Calibration(temperature=1.5, target_accuracy=0.9, threshold=0.5, n_images=9),
    )
    images = random.integers(0, 256, (n, *shape), dtype=np.uint8)
    return report_on(evaluation, images, **changes)


class Page(HTMLParser):
    """The text of each element, and the attributes of each tag."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.tags, self._open = {}, [], []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, len(self.texts.setdefault(tag, []))))
            self.texts[tag].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for tag, number in self._open:
            self.texts[tag][number] += data

    def attributes(self, tag, **having):
        return [a for t, a in self.tags if t == tag and having.items() <= a.items()]


def unpacked(address):
    kind, _, data = address.partition(";base64,")
    return kind, Image.open(io.BytesIO(base64.b64decode(data)))


def squeezed(texts):
    return [" ".join(text.split()) for text in texts]


# -- the page --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain():
    """A report without label issues, robustness and a check of the data, and its page."""
    content = made_up()
    html = html_page(content)
    return content, html, Page(html)


def json_of(html, name):
    return json.loads(re.search(rf"const {name} = (\{{.*\}});\n", html)[1])


def test_the_top_shows_the_result_and_the_findings(plain):
    content, _, page = plain
    assert page.texts["h1"] == page.texts["title"] == ["cnn on <data> & more"]
    accuracy = content.evaluation.metrics["accuracy"]
    value, low, high = (f"{100 * x:.1f} %" for x in (accuracy.value, accuracy.low, accuracy.high))
    assert squeezed(page.texts["p"])[:3] == [
        "The model was trained.",
        f"{value} accuracy on 60 test images 95 % interval {low} to {high}",
        "It names some.",
    ]
    first, more = page.texts["ol"]
    assert squeezed([first]) == [
        " ".join(f"It costs ${k} & <more>. Try: Buy less." for k in (1, 2, 3))
    ]
    assert squeezed([more]) == ["It costs $4 & <more>. Try: Buy less."]
    assert "1 more" in page.texts["summary"]


def test_every_metric_and_fact_is_there(plain):
    content, _, page = plain
    text = " ".join(squeezed(page.texts["main"]))
    for found in content.evaluation.metrics.values():
        assert f"{found.value:.4f} {found.low:.4f} to {found.high:.4f}" in text
    for scores in content.evaluation.per_class:
        for found in (scores.precision, scores.recall, scores.f1):
            assert f"{100 * found.value:.1f} % {100 * found.low:.1f} % to" in text
    assert 'ProcessorA "fast" <one>' in text
    assert page.texts["code"] == ["apparel run --seed 3"]
    # Sections without content are left out.
    links = [held["href"] for held in page.attributes("a")]
    assert not {"#suspects", "#robustness", "#data"} & set(links)
    assert "h3" not in page.texts


def test_the_matrix_is_the_confusion_matrix_and_each_cell_has_its_images(plain):
    content, html, page = plain
    cells, evaluation = json_of(html, "cells"), content.evaluation
    for true, predicted in np.argwhere(evaluation.confusion):
        count = evaluation.confusion[true, predicted]
        buttons = page.attributes("button", **{"data-cell": f"{true}-{predicted}"})
        assert buttons[0]["aria-label"] == f"{NAMES[true]} taken for {NAMES[predicted]}: {count}"
        cell = cells[f"{true}-{predicted}"]
        assert (cell["true"], cell["predicted"]) == (NAMES[true], NAMES[predicted])
        assert cell["count"] == count
        assert len(cell["images"]) == min(count, MOST_IN_CELL)
        for index, address in cell["images"]:
            assert (evaluation.true[index], evaluation.predicted[index]) == (true, predicted)
            kind, drawn = unpacked(address)
            assert kind == "data:image/png"
            np.testing.assert_array_equal(np.asarray(drawn), content.test_images[index, ..., 0])


def test_the_slider_gives_coverage_and_accuracy(plain):
    content, html, _ = plain
    read = json_of(html, "thresholds")
    confidence = content.evaluation.probabilities.max(axis=1)
    right = content.evaluation.true == content.evaluation.predicted
    assert read["start"] == 50
    for k in (0, 37, 99):
        sure = confidence >= k / 100
        accuracy = right[sure].mean() if sure.any() else 0
        assert read["coverages"][k] == pytest.approx(sure.mean(), abs=1e-4)
        assert read["accuracies"][k] == pytest.approx(accuracy, abs=1e-4)


def test_each_mistake_has_its_image_and_maps(plain):
    content, _, page = plain
    assert len(page.attributes("img", **{"class": "grad-cam"})) == 3
    captions = squeezed(page.texts["figcaption"])
    for mistake, caption in zip(content.mistakes, captions, strict=True):
        assert caption.startswith(f"{mistake.class_names[mistake.true]} taken for {mistake.label}")
        assert caption.endswith(mistake.name)


def test_the_page_needs_no_other_file_and_describes_its_pictures(plain):
    _, html, page = plain
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object"} == set()
    for _, held in page.tags:
        for key in ("src", "href", "xlink:href"):
            assert held.get(key, "#").startswith(("data:", "#"))
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert all("alt" in held for held in page.attributes("img"))
    assert all(held["aria-label"] for held in page.attributes("svg"))
    assert page.attributes("html", lang="en")
    ids = [held["id"] for _, held in page.tags if "id" in held]
    assert len(ids) == len(set(ids))


def test_a_flawless_imbalanced_result_on_clean_data_says_so():
    nothing = np.zeros((0, 8, 6), np.float32)
    content = made_up(
        findings=(), mistakes=(), saliency=Saliency(grad_cam=nothing, occlusion=nothing)
    )
    balanced = {"balanced_accuracy": Interval(0.4321, 0.4, 0.5)}
    metrics = balanced | content.evaluation.metrics | balanced
    evaluation = replace(content.evaluation, metrics=metrics)
    check = checked(images_per_class={"training": [40, 20, 20], "test": [30, 20, 10]})
    page = Page(html_page(replace(content, evaluation=evaluation, check=check)))
    (line,) = page.texts["li"]
    assert line.startswith("The data are clean")
    assert "Nothing stands out." in page.texts["p"]
    assert "The model made no mistake." in page.texts["p"]
    assert "ol" not in page.texts
    assert page.texts["strong"] == ["43.2 %"]
    assert "balanced accuracy on" in squeezed(page.texts["p"])[1]


def test_many_classes_are_shown_by_their_confused_pairs():
    names = tuple(f"class {k}" for k in range(LARGEST_MATRIX + 1))
    html = html_page(made_up(names=names, n=2000, sure=0.05))
    assert 'class="matrix"' not in html
    cells = json_of(html, "cells").values()
    assert sum(len(cell["images"]) for cell in cells) <= MOST_PICTURES
    pairs = re.findall(r'<button type="button" data-cell="(\d+)-(\d+)">', html)
    assert len(pairs) == 30
    assert all(true != predicted for true, predicted in pairs)


@pytest.mark.parametrize("shape", [(96, 64, 3), (6, 6, 4)])
def test_coloured_and_large_images_make_small_pictures(shape):
    html = html_page(made_up(shape=shape))
    for cell in json_of(html, "cells").values():
        kind, drawn = unpacked(cell["images"][0][1])
        assert kind == "data:image/jpeg"
        assert max(drawn.size) == min(max(shape[:2]), 64)
    assert len(html) < 1_000_000


# -- sections that only some reports have ------------------------------------------------------

ISSUES = label_issues(36, NAMES, split="train", n_images=90)
TRAIN_IMAGES = np.random.default_rng(1).integers(0, 256, (90, 8, 6, 1), dtype=np.uint8)


def image(split, index, label="Bag & co"):
    return CheckedImage(split=split, index=index, name=f"<{split}>/{index}.png", label=label)


def pair(first, second, exact=False, mirrored=False):
    return CopiedImage(first=first, second=second, exact=exact, mirrored=mirrored)


def checked(**changes):
    made = {
        "class_names": NAMES,
        "images_per_class": {"training": [4000, 20, 5], "test": [30, 20, 10]},
        "img_shape": (8, 6, 1),
        "sizes": {},
    }
    return test_text_data.checked(**(made | changes))


LEAKS = tuple(pair(image("training", i), image("test", 59 - i), exact=i == 0) for i in range(15))
NEAR = pair(image("validation", 80), image("training", 81), mirrored=True)
CHECK = checked(
    duplicates=(LEAKS[1], NEAR, pair(image("test", 1), image("test", 2), exact=True)),
    leaks=LEAKS,
    conflicts=(pair(image("test", 3), image("training", 70, NAMES[1])),),
    unusual=tuple(image("training", i) for i in range(MOST_IMAGES + 1)),
    blank=(image("test", 9),),
    unreadable={f"<{k}>.png": "it is broken" for k in range(MOST_FILES + 1)},
)


@pytest.fixture(scope="module")
def full():
    """A report with every section, and its page."""
    content = made_up(
        train_images=TRAIN_IMAGES,
        label_issues=(ISSUES, label_issues(0, NAMES)),
        robustness=robustness("fog"),
        check=CHECK,
    )
    return content, Page(html_page(content))


def test_the_most_suspicious_labels_are_shown(full):
    _, page = full
    assert page.texts["h3"][:2] == ["36 of 90 training labels", "0 of 100 test labels"]
    shown = [held for held in page.attributes("img") if held["alt"].startswith("Labelled")]
    assert len(shown) == MOST_ISSUES
    captions = [c for c in squeezed(page.texts["figcaption"]) if c.startswith("labelled")]
    for k, (index, held, caption) in enumerate(zip(ISSUES.indices, shown, captions, strict=False)):
        given, suggested = NAMES[k % 3], NAMES[(k + 1) % 3]
        assert held["alt"] == f"Labelled {given}, perhaps {suggested}"
        assert caption == f"labelled {given}, perhaps {suggested}training image {index}"
        _, drawn = unpacked(held["src"])
        np.testing.assert_array_equal(np.asarray(drawn), TRAIN_IMAGES[index, ..., 0])


def test_robustness_is_shown_by_a_chart_for_each_corruption(full):
    _, page = full
    assert page.attributes("svg", **{"aria-label": "Accuracy under fog"})
    assert any("it classifies 0.0 % of 1,200 images correctly" in text for text in page.texts["p"])


def test_problems_of_the_data_are_shown_with_their_images(full):
    content, page = full
    assert page.attributes("a", href="#data")
    assert page.texts["h3"][2:] == [
        "Tested on, so left out of training: 15 pairs",
        "The same image with two labels: 1 pair",
        "Nearly the same: 1 pair",
        f"Unlike the rest: {MOST_IMAGES + 1} images",
        "Blank: 1 image",
        f"Cannot be read: {MOST_FILES + 1} files",
    ]
    expected = [one for leak in LEAKS[:MOST_PAIRS] for one in (leak.first, leak.second)]
    expected += [CHECK.conflicts[0].first, CHECK.conflicts[0].second, NEAR.first, NEAR.second]
    expected += [*CHECK.unusual[:MOST_IMAGES], *CHECK.blank]
    shown = [held for held in page.attributes("img") if ".png" in held["alt"]]
    for held, of in zip(shown, expected, strict=True):
        images = content.test_images if of.split == "test" else TRAIN_IMAGES
        drawn = unpacked(held["src"])[1]
        np.testing.assert_array_equal(np.asarray(drawn), images[of.index, ..., 0])
    captions = squeezed(page.texts["figcaption"])[3 + MOST_ISSUES :]
    assert captions[0] == (
        "Bag & co, training<training>/0.pngBag & co, test<test>/59.pngthe same pixels"
    )
    assert captions[1].endswith("nearly the same pixels")
    assert captions[MOST_PAIRS] == (
        "Bag & co, test<test>/3.png<b>bold</b>, training<training>/70.pngnearly the same pixels"
    )
    assert captions[MOST_PAIRS + 1].endswith("nearly the same pixels, mirrored")
    assert captions[-1] == "Bag & co, test<test>/9.png"


def test_the_data_are_counted_and_all_problems_listed(full):
    _, page = full
    rows = squeezed(page.texts["tr"])
    assert "T-shirt/top4,00030" in rows
    assert "all4,02560" in rows
    assert "<0>.pngit is broken" in rows
    assert f"<{MOST_FILES}>.pngit is broken" not in rows
    assert squeezed(page.texts["p"]).count("The first 12; all are in check.json.") == 1
    problems = squeezed(page.texts["li"])
    assert any(line.startswith("15 training images show the same as a test") for line in problems)
    assert "apparel check --fix" in page.texts["code"]


# -- pictures and charts -----------------------------------------------------------------------


def test_a_picture_is_equal_for_shares_and_pixels_and_a_map_is_translucent():
    pixels = np.arange(48, dtype=np.uint8).reshape(8, 6, 1)
    assert picture(pixels) == picture(pixels.astype(np.float32) / np.float32(255))
    _, drawn = unpacked(heat(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)))
    assert drawn.mode == "RGBA"
    assert {alpha for *_, alpha in drawn.get_flattened_data()} == {153}


def test_charts_take_their_colours_from_the_page(plain):
    drawing = chart(plots.calibration_figure(plain[0].evaluation), 'the "curve"')
    assert drawing.startswith('<svg role="img" aria-label="the &quot;curve&quot;"')
    assert "var(--blue)" in drawing
    assert "#0072b2" not in drawing
    assert re.search(r'<svg[^>]* width="', drawing) is None
    assert ">confidence</text>" in drawing


# -- the model card --------------------------------------------------------------------------


def test_the_card_has_a_head_for_hugging_face_and_every_figure_and_fact():
    content = made_up(title='a: "quoted" & #odd')
    _, head, text = model_card(content).split("---\n", maxsplit=2)
    read = yaml.safe_load(head)
    assert read["library_name"] == "keras"
    assert read["pipeline_tag"] == "image-classification"
    (model,) = read["model-index"]
    assert model["name"] == 'a: "quoted" & #odd'
    (result,) = model["results"]
    assert result["task"] == {"type": "image-classification"}
    assert result["dataset"] == {"name": "data, SHA-256 12ab", "type": "data", "split": "test"}
    for metric in result["metrics"]:
        found = content.evaluation.metrics[metric["type"]]
        assert metric["value"] == pytest.approx(found.value, abs=5e-5)
        assert f"{found.low:.4f} to {found.high:.4f}" in metric["name"]
    assert [metric["type"] for metric in result["metrics"]] == [
        "accuracy", "precision", "recall", "f1",
    ]  # fmt: skip
    assert text.startswith('\n# a: "quoted" & #odd\n')
    lines = text.splitlines()
    assert "## Test result on 60 images" in lines
    for found in content.evaluation.metrics.values():
        row = f"| {found.value:.4f} | {found.low:.4f} to {found.high:.4f} |"
        assert any(line.endswith(row) for line in lines)
    assert "1. It costs $1 & <more>." in lines
    assert '- Processor: A "fast" <one>' in lines
    assert "    apparel run --seed 3" in lines
    assert "The model was trained. Classes: T-shirt/top, <b>bold</b>, Bag & co." in lines
