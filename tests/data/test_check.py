"""The check of a data set, on sets where everything that spoils them is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from apparel.core.errors import ModelFileError
from apparel.core.records import FEWEST_TO_TRAIN, IMBALANCE, CheckedImage, Files, Unusual
from apparel.data import arrays
from apparel.data.quality.check import check_data, exact_duplicates_of
from apparel.runs.files import read_check, write_check

NAMES = ("ant", "bee")
N_TRAIN, N_TEST = 24, 8


def made_up(same=(), labels=None, validation=None, files=False, names=NAMES):
    """A set of 24 training and 8 test images.

    Args:
        same: pairs of positions, test images from 24 on; the second gets the pixels of the first.
        labels: position: its label; others take turns.
        validation: positions of validation images.
        files: whether images have names.
    """
    images = np.random.default_rng(0).integers(0, 256, (N_TRAIN + N_TEST, 6, 5, 1), np.uint8)
    of = np.arange(N_TRAIN + N_TEST) % len(names)
    for first, second in same:
        images[second] = images[first]
        of[second] = of[first]
    for position, label in (labels or {}).items():
        of[position] = label
    dataset = arrays.from_arrays(
        images[:N_TRAIN], of[:N_TRAIN], images[N_TRAIN:], of[N_TRAIN:],
        class_names=names, source="made up",
    )  # fmt: skip
    return replace(
        dataset,
        validation=None if validation is None else np.array(validation),
        files=Files(
            train=[f"train/{i}.png" for i in range(N_TRAIN)],
            test=[f"test/{i}.png" for i in range(N_TEST)],
            unreadable={"train/x.png": "train/x.png is empty."},
            sizes={(6, 5): 31, (12, 10): 1},
        )
        if files
        else None,
    )


def alike(dataset, pairs, mirrored=()):
    """Duplicates with the exact ones of a set, and pairs that are alike; some links are given."""
    exact = exact_duplicates_of(dataset)
    links = sorted({second: first for first, second in reversed(pairs)}.items())
    first = np.array([f for _, f in links], np.int64)
    second = np.array([s for s, _ in links], np.int64)
    turned = np.array([(f, s) in mirrored for s, f in links], bool)
    order = np.argsort(np.concatenate([exact.second, second]))
    return replace(
        exact,
        first=np.concatenate([exact.first, first])[order],
        second=np.concatenate([exact.second, second])[order],
        exact=np.concatenate([exact.exact, np.zeros(len(first), bool)])[order],
        mirrored=np.concatenate([exact.mirrored, turned])[order],
        distance=np.zeros(len(order), np.float32),
        alike=np.array(pairs, np.int64).reshape(-1, 2),
        alike_mirrored=np.array([pair in mirrored for pair in pairs], bool),
    )


def places(pairs):
    """Where pairs are, and how alike: split and index of both, exact, mirrored."""
    return [
        (p.first.split, p.first.index, p.second.split, p.second.index, p.exact, p.mirrored)
        for p in pairs
    ]


# -- copies ----------------------------------------------------------------------------------


def test_images_on_both_sides_are_leaks_and_have_names():
    # Images 2 and 4 are test image 1; image 6 is test images 2 and 3.
    dataset = made_up(same=[(2, 4), (2, 25), (6, 26), (6, 27), (28, 29), (8, 10)])
    found = check_data(dataset, exact_duplicates_of(dataset), None)
    assert places(found.leaks) == [
        ("training", 2, "test", 1, True, False),
        ("training", 4, "test", 1, True, False),
        ("training", 6, "test", 2, True, False),
        ("training", 6, "test", 3, True, False),
    ]
    assert found.leaked_training == [2, 4, 6]
    assert found.leaked_test == [1, 2, 3]
    assert not found.is_clean
    assert found.leaks[1].first == CheckedImage(
        split="training", index=4, name="train 4", label="ant"
    )
    assert found.leaks[1].second.name == "test 1"
    assert len(found.duplicates) == 6
    named = made_up(same=[(2, 25)], files=True, validation=[2, 3])
    found = check_data(named, exact_duplicates_of(named), None)
    (leak,) = found.leaks
    assert leak.first == CheckedImage(split="validation", index=2, name="train/2.png", label="ant")
    assert leak.second.name == "test/1.png"


def test_an_image_that_is_alike_leaks_and_its_other_neighbours_need_not():
    # 2 is like 4, 4 is like test image 0; 2 is not. 6 and 8 have the same pixels and two partners;
    # 10 and 12 have the same pixels, and the first one is like test image 4.
    dataset = made_up(same=[(6, 8), (6, 27), (10, 12)])
    found = check_data(dataset, alike(dataset, [(2, 4), (4, 24), (6, 26), (10, 28)]), None)
    assert places(found.leaks) == [
        ("training", 4, "test", 0, False, False),
        ("training", 6, "test", 2, False, False),
        ("training", 6, "test", 3, True, False),
        ("training", 8, "test", 3, True, False),
        ("training", 10, "test", 4, False, False),
        ("training", 12, "test", 4, False, False),
    ]
    assert found.leaked_training == [4, 6, 8, 10, 12]


def test_mirror_images_leak_but_are_no_conflict():
    dataset = made_up(labels={2: 0, 24: 0, 4: 0, 25: 1})
    duplicates = alike(dataset, [(2, 24), (4, 25)], mirrored={(2, 24), (4, 25)})
    found = check_data(dataset, duplicates, None)
    assert places(found.leaks) == [("training", 2, "test", 0, False, True)]
    assert found.conflicts == ()
    assert places(found.duplicates) == places(found.leaks)
    as_they_are = check_data(dataset, alike(dataset, [(2, 24), (4, 25)]), None)
    assert places(as_they_are.conflicts) == [("training", 4, "test", 1, False, False)]
    assert as_they_are.leaked_training == [2, 4]


def test_one_image_with_two_labels_is_a_conflict():
    dataset = made_up(same=[(1, 3), (1, 25), (5, 7), (9, 11)], labels={3: 0, 25: 1, 7: 1, 11: 0})
    found = check_data(dataset, exact_duplicates_of(dataset), None)
    assert places(found.conflicts) == [
        ("training", 1, "training", 3, True, False),
        ("training", 3, "test", 1, True, False),
        ("training", 9, "training", 11, True, False),
    ]
    assert not found.is_clean
    assert [p.second.label for p in found.conflicts] == ["ant", "bee", "ant"]


# -- counts ----------------------------------------------------------------------------------


def test_small_classes_and_imbalance_are_those_of_the_images_trained_on():
    names = ("ant", "bee", "cat")
    labels = {i: 0 if i < 15 else 1 for i in range(N_TRAIN)} | {22: 2, 23: 2}
    dataset = made_up(labels=labels, names=names, validation=[0, 15, 22])
    found = check_data(dataset, exact_duplicates_of(dataset), None)
    assert found.images_per_class == {
        "training": [14, 6, 1],
        "validation": [1, 1, 1],
        "test": [3, 3, 2],
    }
    assert FEWEST_TO_TRAIN == 10
    assert found.small_classes == {"bee": 6, "cat": 1}
    assert found.imbalance == 14
    assert IMBALANCE == 3
    assert (found.unusual, found.blank) == (None, None)


def test_unusual_and_blank_images_are_found_by_their_places_in_their_order():
    dataset = made_up(files=True, validation=[6])
    unusual = Unusual(positions=np.array([26, 6, 3]), blank=np.array([0], np.int64))
    found = check_data(dataset, exact_duplicates_of(dataset), unusual)
    assert [(image.split, image.index, image.name) for image in found.unusual] == [
        ("test", 2, "test/2.png"),
        ("validation", 6, "train/6.png"),
        ("training", 3, "train/3.png"),
    ]
    assert [image.name for image in found.blank] == ["train/0.png"]
    assert (found.source, found.sha256) == ("made up", dataset.sha256)
    assert (found.img_shape, found.sizes) == ((6, 5, 1), {(6, 5): 31, (12, 10): 1})
    assert found.is_clean


# -- its record ------------------------------------------------------------------------------


@pytest.fixture
def check_of_much():
    """A check that found some of everything."""
    dataset = made_up(same=[(2, 25), (3, 5)], labels={5: 0, 7: 0}, files=True, validation=[2])
    found = check_data(dataset, alike(dataset, [(7, 9)], mirrored={(7, 9)}), None)
    odd = CheckedImage(split="test", index=1, name="b\udcff\n.png", label="bee")
    return replace(found, unusual=(odd, replace(odd, index=2)), blank=())


def test_a_check_is_written_and_read_back(check_of_much, tmp_path):
    assert read_check(tmp_path) is None
    path = tmp_path / "check.json"
    write_check(path, check_of_much)
    assert read_check(tmp_path) == check_of_much
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read["is_clean"] is False
    assert read["leaks"] == [
        {
            "first": {"split": "validation", "index": 2, "name": "train/2.png", "label": "ant"},
            "second": {"split": "test", "index": 1, "name": "test/1.png", "label": "ant"},
            "exact": True,
            "mirrored": False,
        }
    ]
    assert read["sizes"] == [
        {"height": 6, "width": 5, "images": 31},
        {"height": 12, "width": 10, "images": 1},
    ]
    assert read["unreadable"] == {"train/x.png": "train/x.png is empty."}
    assert [image["index"] for image in read["unusual"]] == [1, 2]
    not_looked_for = replace(check_of_much, unusual=None, blank=None)
    write_check(path, not_looked_for)
    assert read_check(tmp_path) == not_looked_for


def test_a_broken_file_is_refused(check_of_much, tmp_path):
    write_check(tmp_path / "check.json", check_of_much)
    laid_out = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    for broken in ([], {}, laid_out | {"mood": "good"}, laid_out | {"leaks": [{"first": 1}]}):
        (tmp_path / "check.json").write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(ModelFileError, match=r"check\.json holds no check .*apparel check"):
            read_check(tmp_path)
