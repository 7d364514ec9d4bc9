"""Figures are read back: text, labels, colours, lengths; each renders without a warning."""

import io
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from apparel.core.records import (
    Attack,
    Calibration,
    CorruptionCurve,
    History,
    Interval,
    Prediction,
    Robustness,
    Saliency,
)
from apparel.evaluation.metrics import evaluate
from apparel.reporting.plots import (
    calibration_figure,
    confusion_matrix_figure,
    draw_abstention,
    draw_confidences,
    draw_confusion_matrix,
    draw_curves,
    draw_image,
    draw_map,
    draw_reliability,
    history_figure,
    mistakes_figure,
    predictions_figure,
    robustness_figure,
)
from apparel.reporting.plots.style import BLUE, FAINT, GREY, VERMILLION

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PNG = b"\x89PNG"


def render(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def history(epochs, *, validation=True, interrupted=False):
    steps = np.arange(epochs)
    measures = {"loss": 1 / (steps + 1), "accuracy": 1 - 0.5 / (steps + 1)}
    if validation:
        measures |= {"val_loss": 0.3 + (steps - 2) ** 2 / 1000, "val_accuracy": 0.9 - steps / 1000}
    return History(
        history={name: tuple(values.tolist()) for name, values in measures.items()},
        seconds=(1.0,) * epochs,
        dtype="float32",
        interrupted=interrupted,
    )


def prediction(true=6, *, channels=1, image=True, names=FASHION, dtype=np.uint8):
    probabilities = np.zeros(len(names), dtype=np.float32)
    probabilities[0], probabilities[-1] = 0.25, 0.75
    pixels = np.full((28, 28, channels), 255 if dtype == np.uint8 else 1, dtype=dtype)
    return Prediction(
        name="test image 12",
        probabilities=probabilities,
        class_names=names,
        image=pixels if image else None,
        true=true,
    )


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def cells(ax, classes):
    return np.reshape([text.get_text() for text in ax.texts], (classes, classes))


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def titles(figure):
    return [part.get_suptitle() for part in figure.subfigs if part.get_suptitle()]


def test_history_shows_both_measures_of_both_sets_by_epoch():
    record = history(15)
    figure = history_figure(record)

    assert [ax.get_ylabel() for ax in figure.axes] == ["accuracy", "loss"]
    for ax, measure in zip(figure.axes, ("accuracy", "loss"), strict=True):
        drawn = lines(ax)
        assert list(drawn) == ["training", "validation", "best epoch: 3"]
        assert drawn["training"].get_xdata().tolist() == list(range(1, 16))
        assert tuple(drawn["training"].get_ydata()) == record.history[measure]
        assert tuple(drawn["validation"].get_ydata()) == record.history[f"val_{measure}"]
        assert list(drawn["best epoch: 3"].get_xdata()) == [3, 3]
        assert all(tick == int(tick) for tick in ax.get_xticks())
        assert [text.get_text() for text in ax.get_legend().get_texts()] == list(drawn)
    assert render(figure).startswith(PNG)


def test_history_curves_differ_in_more_than_colour():
    drawn = lines(history_figure(history(5)).axes[0])
    training, validation = drawn["training"], drawn["validation"]

    assert (training.get_color(), validation.get_color()) == (BLUE, VERMILLION)
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_one_epoch_is_visible_and_has_one_tick():
    figure = history_figure(history(1))
    ax = figure.axes[0]

    assert lines(ax)["training"].get_marker() == "o"
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]
    assert render(figure).startswith(PNG)


@pytest.mark.parametrize(
    ("record", "title"),
    [
        (history(15), "Training, 15 epochs; best by validation loss: epoch 3"),
        (history(1, validation=False), "Training, 1 epoch"),
        (history(4, validation=False, interrupted=True), "Training, interrupted after 4 epochs"),
        (
            history(1, interrupted=True),
            "Training, interrupted after 1 epoch; best by validation loss: epoch 1",
        ),
        (
            replace(history(15), restored_epoch=5),
            "Training, 15 epochs; the weights of epoch 5 were kept",
        ),
    ],
)
def test_history_title(record, title):
    figure = history_figure(record)

    assert figure.get_suptitle() == title
    assert render(figure).startswith(PNG)


def test_the_epoch_whose_weights_were_kept_is_marked():
    for ax in history_figure(replace(history(15), restored_epoch=5)).axes:
        kept = lines(ax)["kept epoch: 5"]
        assert list(kept.get_xdata()) == [5, 5]


def test_history_without_validation_marks_no_best_epoch():
    ax = history_figure(history(4, validation=False)).axes[1]

    assert list(lines(ax)) == ["training"]


def test_history_without_an_epoch_says_so():
    record = History(history={}, seconds=(), dtype="float32", interrupted=True)
    figure = history_figure(record)

    assert figure.get_suptitle() == "Training, interrupted after 0 epochs"
    assert [ax.texts[0].get_text() for ax in figure.axes] == ["nothing on record"] * 2
    assert render(figure).startswith(PNG)


def test_markers_thin_out_over_many_epochs():
    line = lines(draw_curves(history(200), "loss"))["training"]

    assert line.get_markevery() == 10


CONFUSION = np.array([[1500, 500, 0], [1, 2999, 0], [0, 0, 0]])
NAMES = ("Shirt", "Coat", "Bag")


def test_confusion_matrix_cells_hold_count_and_row_percentage():
    figure = confusion_matrix_figure(CONFUSION, NAMES)

    assert cells(figure.axes[0], 3).tolist() == [
        ["1,500\n75.0 %", "500\n25.0 %", "0"],
        ["1\n<0.1 %", "2,999\n>99.9 %", "0"],
        ["0", "0", "0"],
    ]


def test_confusion_matrix_names_its_axes():
    ax = confusion_matrix_figure(CONFUSION, NAMES).axes[0]

    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true class", "predicted class")
    assert tick_labels(ax.xaxis) == tick_labels(ax.yaxis) == list(NAMES)
    # Row 0 is at the top, where its name is.
    assert ax.get_ylim() == (3, 0)
    assert ax.get_title() == "Confusion matrix of 5,000 images"


def test_confusion_matrix_is_coloured_by_row_share():
    figure = confusion_matrix_figure(np.array([[50, 50], [4, 4]]), ("Shirt", "Coat"))
    ax, bar = figure.axes

    assert np.ravel(ax.collections[0].get_array()).tolist() == [0.5] * 4
    assert (ax.collections[0].norm.vmin, ax.collections[0].norm.vmax) == (0, 1)
    assert bar.get_ylabel() == "share of the true class"


def test_confusion_matrix_text_contrasts_with_its_cell():
    ax = confusion_matrix_figure(np.array([[95, 5], [0, 100]]), ("Shirt", "Coat")).axes[0]
    dark, light, zero, _ = (to_hex(text.get_color()) for text in ax.texts)

    assert dark == "#ffffff"
    assert light == "#262626"
    assert zero == FAINT.lower()


@pytest.mark.parametrize("classes", [1, 2, 10, 30])
def test_confusion_matrix_text_fits_its_cell(classes):
    names = FASHION * (classes // 10) or FASHION[:classes]
    figure = confusion_matrix_figure(np.full((classes, classes), 9999), names)

    FigureCanvasAgg(figure).draw()
    ax = figure.axes[0]
    cell = ax.get_window_extent()
    text = ax.texts[0].get_window_extent()
    assert text.width < cell.width / classes
    assert text.height < cell.height / classes
    for label in (ax.xaxis.label, ax.yaxis.label):
        box = label.get_window_extent()
        assert min(box.x0, box.y0) >= 0


def test_confusion_matrix_draws_on_given_axes():
    ax = Figure().subplots()

    assert draw_confusion_matrix(np.eye(2, dtype=np.int64), ("Shirt", "Coat"), ax=ax) is ax


@pytest.mark.parametrize("count", [1, 4, 7, 50])
def test_predictions_of_any_number(count):
    figure = predictions_figure([prediction() for _ in range(count)])

    assert len(titles(figure)) == count
    assert len(figure.axes) == 2 * count


@pytest.mark.parametrize("count", [1, 3, 9])
def test_predictions_render(count):
    assert render(predictions_figure([prediction() for _ in range(count)])).startswith(PNG)


def test_no_predictions_is_an_error():
    with pytest.raises(ValueError, match="at least one prediction"):
        predictions_figure([])


@pytest.mark.parametrize(
    ("true", "title", "colour"),
    [
        (9, "✓ predicted: Ankle boot · true: Ankle boot", BLUE),
        (6, "✗ predicted: Ankle boot · true: Shirt", VERMILLION),
        (None, "predicted: Ankle boot · true: unknown", GREY),
    ],
)
def test_prediction_is_judged_by_sign_and_colour(true, title, colour):
    figure = predictions_figure([prediction(true)])
    image, bars = figure.axes

    assert titles(figure) == [title]
    assert figure.subfigs[0].texts[0].get_color() == colour
    assert to_hex(image.spines["top"].get_edgecolor()) == colour.lower()
    assert to_hex(bars.patches[9].get_facecolor()) == colour.lower()
    assert to_hex(bars.patches[0].get_facecolor()) == FAINT.lower()
    assert render(figure).startswith(PNG)


def test_bars_show_the_confidence_in_every_class():
    ax = draw_confidences(prediction())

    assert [bar.get_width() for bar in ax.patches] == [25, *[0] * 8, 75]
    assert tick_labels(ax.yaxis) == list(FASHION)
    values = [text.get_text() for text in ax.texts]
    assert values == ["25.0 %", *["0.0 %"] * 5, "0.0 % ◀ true", "0.0 %", "0.0 %", "75.0 %"]
    bold = [label.get_fontweight() == "bold" for label in ax.get_yticklabels()]
    assert bold == [name == "Shirt" for name in FASHION]
    # The first class is on top.
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_an_unknown_label_marks_no_class():
    ax = draw_confidences(prediction(true=None))

    assert not any("true" in text.get_text() for text in ax.texts)


def test_a_prediction_without_image_has_bars_alone():
    figure = predictions_figure([prediction(image=False), prediction()])

    assert [len(part.axes) for part in figure.subfigs] == [1, 2]
    assert figure.subfigs[0].axes[0].get_xlabel() == "test image 12"
    assert render(figure).startswith(PNG)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_grey_or_in_colour(channels, dtype):
    ax = draw_image(prediction(channels=channels, dtype=dtype))
    (image,) = ax.get_images()

    assert image.get_array().shape == ((28, 28) if channels == 1 else (28, 28, channels))
    if channels == 1:  # an all-white image must not be stretched to black
        assert image.get_clim() == (0, 255 if dtype == np.uint8 else 1)
    assert ax.get_xlabel() == "test image 12"
    assert render(ax.figure).startswith(PNG)


@pytest.mark.parametrize(
    "name", [r"$\no_such_command$", "$unbalanced", "a very long name " * 20, "Ü"]
)
def test_odd_class_names_neither_break_nor_squeeze_a_figure(name):
    names = (name, *NAMES[1:])

    assert render(predictions_figure([prediction(true=0, names=names)])).startswith(PNG)
    assert render(confusion_matrix_figure(CONFUSION, names)).startswith(PNG)


def test_long_names_are_shortened_in_the_middle():
    ax = draw_confidences(prediction(true=0, names=("a" * 30 + "b" * 30, "c")))

    assert tick_labels(ax.yaxis)[0] == "a" * 12 + "…" + "b" * 11


def test_figures_leave_no_global_state():
    before = dict(mpl.rcParams)
    history_figure(history(2))
    confusion_matrix_figure(CONFUSION, NAMES)
    predictions_figure([prediction()])

    import matplotlib.pyplot as plt  # noqa: PLC0415  # only to ask it what it holds

    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


# -- calibration -----------------------------------------------------------------------


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def evaluated(temperature=1.0, threshold=0.6):
    """Two classes, six images; a model surer than it should be."""
    sure = np.array([0.95, 0.9, 0.72, 0.7, 0.62, 0.55], np.float32)
    return evaluate(
        np.stack([sure, 1 - sure], axis=1),
        np.array([0, 0, 1, 0, 1, 0]),
        ("ant", "bee"),
        calibration=Calibration(
            temperature=temperature, target_accuracy=0.9, threshold=threshold, n_images=10
        ),
    )


def test_reliability_shows_accuracy_over_confidence_and_how_many_images_there_are():
    ax = draw_reliability(evaluated().reliability)
    bars = ax.containers[0]
    np.testing.assert_allclose(
        [bar.get_height() for bar in bars], [1 / 6, 1 / 6, 2 / 6, 1 / 6, 1 / 6]
    )
    (points,) = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    confidence, accuracy = np.array(points.lines[0].get_data(), float)
    np.testing.assert_allclose(confidence, [0.55, 0.62, 0.71, 0.9, 0.95], rtol=1e-6)
    np.testing.assert_allclose(accuracy, [1, 0, 0.5, 1, 1])
    assert labels(ax) == [
        "as accurate as confident", "share of the images", "accuracy, error 0.273",
    ]  # fmt: skip


def test_reliability_without_the_temperature_is_drawn_beside_it():
    result = evaluated(temperature=2.0)
    ax = draw_reliability(result.reliability, result.reliability_before)
    assert any(label.startswith("before, error ") for label in labels(ax))
    drawn = calibration_figure(result).axes[0]
    assert labels(drawn) == labels(ax)
    assert not any("before" in label for label in labels(calibration_figure(evaluated()).axes[0]))


def test_abstaining_shows_the_curve_and_what_the_threshold_gives():
    result = evaluated()
    ax = draw_abstention(result.abstention, result.calibration)
    curve = ax.get_lines()[0]
    np.testing.assert_allclose(curve.get_xdata(), np.arange(1, 7) / 6)
    np.testing.assert_allclose(curve.get_ydata(), [1, 1, 2 / 3, 3 / 4, 3 / 5, 4 / 6])
    assert labels(ax) == [
        "accuracy of answers", "asked for: 90.0 %", "answers 83.3 %, 60.0 % correctly",
    ]  # fmt: skip


def test_without_a_threshold_abstaining_is_the_curve_alone():
    result = evaluated(threshold=None)
    assert labels(draw_abstention(result.abstention, result.calibration)) == ["accuracy of answers"]


@pytest.mark.parametrize("n_images", [1, 2])
def test_calibration_of_a_few_equal_images_is_drawn(n_images):
    probabilities = np.tile(np.array([[1, 0]], np.float32), (n_images, 1))
    assert render(
        calibration_figure(evaluate(probabilities, np.zeros(n_images, int), ("ant", "bee")))
    ).startswith(PNG)


# -- images made worse -------------------------------------------------------------------


def robustness(names):
    accuracies = (Interval(0.9, 0.85, 0.93), Interval(0.4, 0.35, 0.46))
    return Robustness(
        n_images=300,
        accuracy=Interval(0.925, 0.9, 0.95),
        curves=tuple(
            CorruptionCurve(name=name, unit="pixels", strengths=(1, 3), accuracies=accuracies)
            for name in names
        ),
        attack=Attack(epsilon=0.1, steps=40, n_images=300, accuracy=Interval(0.0, 0.0, 0.01)),
    )


@pytest.mark.parametrize("names", [("noise",), ("noise", "blur", "shift", "fog", "$rain$")])
def test_each_corruption_has_a_curve(names):
    figure = robustness_figure(robustness(names))
    assert tuple(ax.get_title() for ax in figure.axes) == names
    for ax in figure.axes:
        curve, unchanged = ax.get_lines()
        np.testing.assert_allclose(curve.get_xydata(), [[1, 0.9], [3, 0.4]])
        assert set(unchanged.get_ydata()) == {0.925}
        assert ax.get_xlabel() == "pixels"
        assert ax.get_ylim() == (0, 1)
    assert "92.5 % on the images as they are" in figure.get_suptitle()
    assert "0.0 % where every pixel may be changed by 0.1" in figure.get_suptitle()
    assert render(figure).startswith(PNG)


# -- mistakes ----------------------------------------------------------------------------


def mistake(index, channels=1):
    probabilities = np.full(10, 0.02, np.float32)
    probabilities[6] = 0.82
    image = np.linspace(0, 1, 12 * channels, dtype=np.float32).reshape(3, 4, channels)
    return Prediction(
        name=f"test image {index}",
        probabilities=probabilities,
        class_names=FASHION,
        image=image,
        true=0,
    )


def maps(n):
    values = np.linspace(0, 1, n * 12, dtype=np.float32).reshape(n, 3, 4)
    return Saliency(grad_cam=values, occlusion=1 - values)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_mistake_is_shown_with_its_two_maps(n, channels):
    mistakes, saliency = [mistake(k, channels) for k in range(n)], maps(n)
    figure = mistakes_figure(mistakes, saliency)
    parts = [part for part in figure.subfigs if part.axes]
    assert len(parts) == n
    for k, part in enumerate(parts):
        assert part.get_suptitle() == "T-shirt/top → Shirt (82.0 %)"
        plain, grad_cam, occlusion = part.axes
        assert [ax.get_xlabel() for ax in part.axes] == [
            f"test image {k}", "Grad-CAM", "occlusion",
        ]  # fmt: skip
        assert len(plain.images) == 1
        np.testing.assert_array_equal(grad_cam.images[1].get_array(), saliency.grad_cam[k])
        np.testing.assert_array_equal(occlusion.images[1].get_array(), saliency.occlusion[k])
    assert render(figure).startswith(PNG)


def test_without_a_mistake_the_figure_says_so():
    figure = mistakes_figure([], maps(0))
    assert [text.get_text() for text in figure.texts] == ["The model made no mistake."]
    assert render(figure).startswith(PNG)


def test_raw_pixels_are_drawn_on_their_own_scale():
    ax = draw_map(np.full((3, 4, 1), 128, np.uint8), None)
    assert ax.images[0].get_clim() == (0, 255)


# -- a thousand classes ------------------------------------------------------------------


def many(n_classes, n=3000):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(n_classes), n).astype(np.float32)
    names = tuple(f"class {k}" for k in range(n_classes))
    return evaluate(probabilities, random.integers(0, n_classes, n), names)


@pytest.mark.parametrize("n_classes", [41, 1000])
def test_a_matrix_of_many_classes_has_colours_and_some_names(n_classes):
    result = many(n_classes)
    figure = confusion_matrix_figure(result.confusion, result.class_names)
    ax = figure.axes[0]
    assert list(ax.texts) == []
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert len(names) <= 41
    step = n_classes // len(names) if n_classes == 1000 else 2
    assert names == [f"class {k}" for k in range(0, n_classes, step)]
    np.testing.assert_allclose(ax.get_xticks(), np.arange(0, n_classes, step) + 0.5)
    totals = np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(
        ax.collections[0].get_array().reshape(n_classes, n_classes), result.confusion / totals
    )
    assert max(figure.get_size_inches()) < 20
    assert render(figure).startswith(PNG)


@pytest.mark.parametrize("true", [0, 999, None])
def test_of_a_thousand_confidences_the_highest_and_the_true_one_are_drawn(true):
    probabilities = np.linspace(0, 1, 1000, dtype=np.float32)
    probabilities /= probabilities.sum()
    names = tuple(f"class {k}" for k in range(1000))
    prediction = Prediction(name="x", probabilities=probabilities, class_names=names, true=true)
    shown = [label.get_text() for label in draw_confidences(prediction).get_yticklabels()]
    expected = [f"class {k}" for k in range(999, 979, -1)]
    if true == 0:
        expected[-1] = "class 0"
    assert shown == expected
    figure = predictions_figure([prediction] * 4)
    assert max(figure.get_size_inches()) < 20
    assert render(figure).startswith(PNG)


def test_the_other_figures_take_a_thousand_classes():
    result = many(1000, n=50)
    assert render(calibration_figure(result)).startswith(PNG)
