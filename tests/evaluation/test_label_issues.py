"""Label issues on probabilities where the wrong labels are known, and the command's files."""

import csv

import numpy as np
import pytest

from apparel.data import loading
from apparel.data.sources import fashion_mnist
from apparel.evaluation import label_issues
from apparel.reporting import text
from apparel.runs.files import read_check, read_suspects
from apparel.runs.run_directory import RunDirectory
from apparel.training import cross_validation
from tests.conftest import Command


def planted(n=600, n_classes=3, n_wrong=12, seed=0):
    """Probabilities of a good model, labels of which some are wrong, the true classes, and which
    labels are wrong."""
    random = np.random.default_rng(seed)
    true = np.arange(n) % n_classes
    probabilities = random.dirichlet(np.ones(n_classes) * 0.2, n) * 0.3
    probabilities[np.arange(n), true] += 0.7
    labels, wrong = true.copy(), random.permutation(n)[:n_wrong]
    labels[wrong] = (labels[wrong] + random.integers(1, n_classes, n_wrong)) % n_classes
    return probabilities.astype(np.float32), labels, true, wrong


@pytest.mark.parametrize("n_classes", [2, 20])
def test_planted_labels_are_found_with_what_they_should_be(n_classes):
    probabilities, labels, true, wrong = planted(n_classes=n_classes)
    names = tuple(map(str, range(n_classes)))
    found = label_issues.find(probabilities, labels, names, split="train")
    # The number of wrong labels is estimated with care: some may stay, no right one is suspected.
    assert set(found.indices.tolist()) <= set(wrong.tolist())
    assert len(found.indices) > len(wrong) / 2
    np.testing.assert_array_equal(found.suggested, true[found.indices])
    np.testing.assert_array_equal(found.given, labels[found.indices])
    assert (np.diff(found.label_quality) >= 0).all()
    assert (found.split, found.n_images, found.class_names) == ("train", 600, names)
    # The quality is the margin to the likeliest other class.
    given = probabilities[found.indices, found.given]
    others = probabilities[found.indices].copy()
    others[np.arange(len(given)), found.given] = 0
    np.testing.assert_allclose(found.label_quality, (given - others.max(axis=1) + 1) / 2, atol=1e-6)


def made_up_probabilities(dataset, *_):
    """Out-of-sample probabilities that contradict a few labels."""

    def predicted(labels):
        said = labels.copy()
        said[::50] = (said[::50] + 1) % 10
        return (0.9 * np.eye(10)[said] + 0.01).astype(np.float32)

    return cross_validation.OutOfSample(
        train=predicted(dataset.train_labels), test=predicted(dataset.test_labels)
    )


@pytest.mark.parametrize("trained", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_command_writes_the_list_that_it_prints(
    run_copy, command: Command, tmp_path, monkeypatch, trained
):
    if not trained:
        monkeypatch.setattr(cross_validation, "cross_validate", made_up_probabilities)
    done = command("suspects", "run")
    assert done.returncode == 0, done.stderr
    for split in ("train", "test"):
        with (run_copy / f"suspects_{split}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert f"{len(rows)} of 1,000 labels of {split} images are suspicious" in done.stdout
        assert list(rows[0]) == ["rank", "index", "given", "suggested", "label_quality"]
        assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
        assert all(row["given"] != row["suggested"] for row in rows)
        picture = run_copy / "plots" / f"suspects_{split}.png"
        assert picture.read_bytes()[:4] == b"\x89PNG"
        assert f"Written: {picture.relative_to(tmp_path)}" in done.stdout
    found = read_suspects(run_copy, RunDirectory.open(run_copy).settings(), read_check(run_copy))
    assert [issues.split for issues in found] == ["train", "test"]
    assert text.label_issue_lines(found[1]) in done.stdout
    assert 'id="suspects"' in (run_copy / "report.html").read_text(encoding="utf-8")
    labels = loading.load(limit=1000).test_labels
    names = fashion_mnist.FASHION_MNIST_LABELS
    assert all(row["given"] == names[labels[int(row["index"])]] for row in rows)
