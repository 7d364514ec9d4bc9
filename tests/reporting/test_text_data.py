"""Lines about a check of the data."""

from dataclasses import replace

import numpy as np

from apparel.core.records import CheckedImage, CopiedImage, DataCheck, Splits
from apparel.reporting import text


def place(split, index, name, label="ant"):
    return CheckedImage(split=split, index=index, name=name, label=label)


LEAK = CopiedImage(
    first=place("training", 0, "train/a.png"),
    second=place("test", 1, "test/b.png"),
    exact=True,
    mirrored=False,
)


def checked(**changes):
    nothing = dict.fromkeys(("duplicates", "leaks", "conflicts", "unusual", "blank"), ())
    values = {
        "source": "pictures",
        "sha256": "abc",
        "class_names": ("ant", "bee, the"),
        "images_per_class": {"training": [1200, 900], "test": [30, 10]},
        "img_shape": (28, 20, 3),
        "sizes": {(28, 20): 2140},
        "unreadable": {},
    }
    return DataCheck(**(nothing | values | changes))


def test_clean_data_are_counted_and_called_clean():
    lines = text.check_lines(checked()).splitlines()
    assert lines == [
        "pictures: 2,140 coloured images of 28 x 20",
        "",
        "class       training        test",
        "ant            1,200          30",
        "bee, the         900          10",
        "all            2,100          40",
        "",
        "The data are clean: no test image is also trained on, no image has two labels, and every "
        "file can be read.",
    ]
    assert text.check_summary(checked(unusual=None, blank=None)) == lines[-1]  # not searched for


def test_sizes_are_summed_up():
    sizes = {(480, 640): 2000, (100, 1200): 139, (900, 600): 1}
    heading = text.check_lines(checked(sizes=sizes, img_shape=(64, 64, 1))).splitlines()[0]
    assert heading == (
        "pictures: 2,140 grey images of 64 x 64 (height x width), resized from 3 sizes, "
        "100 x 1200 to 900 x 600, most often 480 x 640"
    )


def test_each_problem_has_a_line_with_its_count_names_and_advice():
    found = checked(
        images_per_class={"training": [1200, 4], "validation": [5, 5], "test": [30, 10]},
        unreadable={"c\nd.png": "c\\nd.png is empty.", "e.png": "e.png is empty."},
        duplicates=(
            replace(LEAK, second=place("training", 3, "train/d.png")),
            replace(LEAK, second=place("training", 4, "train/e.png"), exact=False),
            replace(LEAK, second=place("validation", 5, "val/f.png")),
            LEAK,
        ),
        leaks=(
            LEAK,
            replace(LEAK, second=place("test", 2, "test/c.png")),
            replace(LEAK, first=place("validation", 9, "val/i.png"), mirrored=True),
        ),
        conflicts=(replace(LEAK, second=place("test", 7, "test/h.png", "bee, the")),),
        unusual=tuple(place("training", i, f"{i}.png") for i in range(5)),
        blank=(place("test", 8, "test/i.png"),),
    )
    assert text.check_summary(found).splitlines() == [
        "2 training images show the same as a test image (train/a.png and test/b.png; train/a.png "
        "and test/c.png; val/i.png and test/b.png mirrored): training on them would inflate the "
        "accuracy. `apparel check --fix FILE` writes a table without them (image files only).",
        "2 images show the same as another with a different label (train/a.png: ant and "
        "test/h.png: bee, the): a model cannot learn both. Correct the wrong label, or leave both "
        "out with `apparel check --fix`.",
        "2 files cannot be read (c\\nd.png; e.png): c\\nd.png is empty.",
        "1 image is in training and validation (train/a.png and val/f.png): this inflates the "
        "validation accuracy. Keep each in only one of them.",
        "2 images duplicate an earlier one of the same split, 1 with the same pixels "
        "(train/a.png and train/d.png; train/a.png and train/e.png): they count more than others. "
        "`apparel check --fix` leaves out those with the same pixels.",
        "1 class has fewer than 10 training images (bee, the 4): single images decide what is "
        "learnt of them. Add images, or leave the class out.",
        "ant has 300.0 times as many training images as bee, the: training weights all classes "
        "equally. Read the balanced accuracy, or add images of the small classes.",
        "5 images are unlike the rest (0.png; 1.png; 2.png; …): check that they belong to the "
        "data.",
        "1 image is blank (test/i.png): remove it.",
    ]
    assert text.check_lines(found).endswith("\n\n" + text.check_summary(found))


def test_more_leaks_than_can_be_named_are_cut_short():
    leaks = tuple(replace(LEAK, first=place("training", i, f"{i}.png")) for i in range(1500))
    line = text.check_summary(checked(leaks=leaks))
    assert line.startswith("1,500 training images show the same as a test image (0.png and ")
    assert "2.png and test/b.png; …): " in line
    assert "3.png" not in line
    one = checked(leaks=(LEAK,))
    assert text.check_summary(one).startswith("1 training image shows the same as a test image (tr")
    assert text.left_out_line(one) == (
        "1 training image that duplicates test images was left out. --keep-leaks keeps them.\n"
    )
    assert text.left_out_line(checked()) == ""
    near = replace(LEAK, second=place("training", 3, "train/d.png"), exact=False)
    assert text.check_summary(checked(duplicates=(near,))).endswith("they count more than others.")


def test_class_weights_are_mentioned_where_training_uses_them():
    images, labels, none = np.zeros((0, 8, 8, 1)), np.zeros((0, 2)), np.zeros(0, np.int64)
    splits = Splits(
        train_images=images, train_labels=labels, test_images=images, test_labels=labels,
        training=none, validation=none,
        manifest={"images_per_class": {"training": [1200, 0, 9]}},
    )  # fmt: skip
    assert text.class_weights_line(splits) == ""
    assert text.class_weights_line(replace(splits, class_weights=np.ones(3, np.float32))) == (
        "Class weights: the largest class has 1,200 training images and the smallest 9, so classes "
        "count equally instead of images.\n"
    )
