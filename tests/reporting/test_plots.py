"""Figures are read back: text, labels, colours, lengths; each renders without a warning."""

import io
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from apparel.core.records import Calibration, History, Prediction, Saliency
from apparel.evaluation.metrics import evaluate
from apparel.reporting import plots
from apparel.reporting.plots._style import BLUE, FAINT, GREY, VERMILLION
from tests.reporting.made import label_issues, robustness

FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip


def assert_renders(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=20)
    assert file.getvalue().startswith(b"\x89PNG")


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def legend(ax):
    return ax.get_legend_handles_labels()[1]


def said(figure):
    return [text.get_text() for text in figure.texts]


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# -- history -----------------------------------------------------------------------------


def history(epochs, *, validation=True, interrupted=False):
    steps = np.arange(epochs)
    metrics = {"loss": 1 / (steps + 1), "accuracy": 1 - 0.5 / (steps + 1)}
    if validation:
        metrics |= {"val_loss": 0.3 + (steps - 2) ** 2 / 1000, "val_accuracy": 0.9 - steps / 1000}
    return History(
        history={name: tuple(values.tolist()) for name, values in metrics.items()},
        seconds=(1.0,) * epochs,
        dtype="float32",
        interrupted=interrupted,
    )


@pytest.mark.parametrize(
    ("record", "title", "drawn"),
    [
        (history(1, validation=False), "Training, 1 epoch", ["training"]),
        (
            history(1, interrupted=True),
            "Training, interrupted after 1 epoch; best by validation loss: epoch 1",
            ["training", "validation", "best epoch: 1"],
        ),
        (
            replace(history(15), restored_epoch=5),
            "Training, 15 epochs; the weights of epoch 5 were kept",
            ["training", "validation", "kept epoch: 5"],
        ),
        (
            History(history={}, seconds=(), dtype="float32", interrupted=True),
            "Training, interrupted after 0 epochs",
            [],
        ),
    ],
)
def test_history_shows_what_there_is(record, title, drawn):
    figure = plots.history_figure(record)
    assert figure.get_suptitle() == title
    for ax in figure.axes:
        assert list(lines(ax)) == drawn
        assert [text.get_text() for text in ax.texts] == ([] if drawn else ["no data"])
        if record.epochs == 1:
            low, high = ax.get_xlim()
            assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]
    assert_renders(figure)


def test_history_shows_both_metrics_of_both_sets_by_epoch():
    record = history(15)
    figure = plots.history_figure(record)
    assert figure.get_suptitle() == "Training, 15 epochs; best by validation loss: epoch 3"
    assert [ax.get_ylabel() for ax in figure.axes] == ["accuracy", "loss"]
    for ax, metric in zip(figure.axes, ("accuracy", "loss"), strict=True):
        drawn = lines(ax)
        assert list(drawn) == legend(ax) == ["training", "validation", "best epoch: 3"]
        training, validation = drawn["training"], drawn["validation"]
        assert training.get_xdata().tolist() == list(range(1, 16))
        assert tuple(training.get_ydata()) == record.history[metric]
        assert tuple(validation.get_ydata()) == record.history[f"val_{metric}"]
        assert list(drawn["best epoch: 3"].get_xdata()) == [3, 3]
        assert all(tick == int(tick) for tick in ax.get_xticks())
        assert training.get_linestyle() != validation.get_linestyle()  # not by colour alone


# -- confusion matrix --------------------------------------------------------------------

CONFUSION = np.array([[1500, 500, 0], [1, 2999, 0], [0, 0, 0]])
NAMES = ("Shirt", "Coat", "Bag")


def test_a_confusion_matrix_shows_counts_and_row_shares_under_its_names():
    figure = plots.confusion_matrix_figure(CONFUSION, NAMES)
    ax, bar = figure.axes
    assert np.reshape([text.get_text() for text in ax.texts], (3, 3)).tolist() == [
        ["1,500\n75.0 %", "500\n25.0 %", "0"],
        ["1\n<0.1 %", "2,999\n>99.9 %", "0"],
        ["0", "0", "0"],
    ]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true class", "predicted class")
    assert tick_labels(ax.xaxis) == tick_labels(ax.yaxis) == list(NAMES)
    assert ax.get_ylim() == (3, 0)  # row 0 is at the top, where its name is
    assert ax.get_title() == "Confusion matrix of 5,000 images"
    assert bar.get_ylabel() == "share of the true class"
    heatmap = ax.collections[0]
    assert np.ravel(heatmap.get_array())[:3].tolist() == [0.75, 0.25, 0]
    assert (heatmap.norm.vmin, heatmap.norm.vmax) == (0, 1)


@pytest.mark.parametrize("classes", [1, 10])
def test_the_text_of_a_confusion_matrix_fits_its_cell(classes):
    figure = plots.confusion_matrix_figure(np.full((classes, classes), 9999), FASHION[:classes])
    FigureCanvasAgg(figure).draw()
    ax = figure.axes[0]
    cell = ax.get_window_extent()
    text = ax.texts[0].get_window_extent()
    assert text.width < cell.width / classes
    assert text.height < cell.height / classes
    for label in (ax.xaxis.label, ax.yaxis.label):
        box = label.get_window_extent()
        assert min(box.x0, box.y0) >= 0


def test_a_matrix_of_many_classes_has_colours_and_some_names():
    names = [f"class {k}" for k in range(1000)]
    figure = plots.confusion_matrix_figure(np.ones((1000, 1000), np.int64), names)
    ax = figure.axes[0]
    assert list(ax.texts) == []
    assert tick_labels(ax.xaxis) == names[::25]
    np.testing.assert_allclose(ax.get_xticks(), np.arange(0, 1000, 25) + 0.5)
    assert max(figure.get_size_inches()) < 20
    assert_renders(figure)


# -- calibration -----------------------------------------------------------------------


def evaluated(temperature=1.0, threshold=0.6):
    """Two classes, six images; an overconfident model."""
    sure = np.array([0.95, 0.9, 0.72, 0.7, 0.62, 0.55], np.float32)
    return evaluate(
        np.stack([sure, 1 - sure], axis=1),
        np.array([0, 0, 1, 0, 1, 0]),
        ("ant", "bee"),
        calibration=Calibration(
            temperature=temperature, target_accuracy=0.9, threshold=threshold, n_images=10
        ),
    )


def test_reliability_shows_accuracy_and_images_by_confidence():
    ax = plots.calibration_figure(evaluated()).axes[0]
    np.testing.assert_allclose(
        [bar.get_height() for bar in ax.containers[0]], [1 / 6, 1 / 6, 2 / 6, 1 / 6, 1 / 6]
    )
    (points,) = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    confidence, accuracy = np.array(points.lines[0].get_data(), float)
    np.testing.assert_allclose(confidence, [0.55, 0.62, 0.71, 0.9, 0.95], rtol=1e-6)
    np.testing.assert_allclose(accuracy, [1, 0, 0.5, 1, 1])
    drawn = ["perfect calibration", "share of the images", "accuracy, error 0.273"]
    assert legend(ax) == drawn
    # With a calibration, the diagram before it is drawn as well.
    before = legend(plots.calibration_figure(evaluated(temperature=2.0)).axes[0])
    assert len(before) == 4
    assert any(label.startswith("before calibration, error ") for label in before)


def test_abstaining_shows_the_curve_and_the_accuracy_at_the_threshold():
    ax = plots.calibration_figure(evaluated()).axes[1]
    curve = ax.get_lines()[0]
    np.testing.assert_allclose(curve.get_xdata(), np.arange(1, 7) / 6)
    np.testing.assert_allclose(curve.get_ydata(), [1, 1, 2 / 3, 3 / 4, 3 / 5, 4 / 6])
    assert legend(ax) == [
        "accuracy of answers", "asked for: 90.0 %", "answers 83.3 %, 60.0 % correctly",
    ]  # fmt: skip
    without = plots.calibration_figure(evaluated(threshold=None)).axes[1]
    assert legend(without) == ["accuracy of answers"]


# -- robustness --------------------------------------------------------------------------


def test_each_corruption_has_a_curve():
    names = ("noise", "blur", "shift", "fog", "$rain$")
    figure = plots.robustness_figure(robustness(*names))
    assert tuple(ax.get_title() for ax in figure.axes) == names
    for ax in figure.axes:
        curve, unchanged = ax.get_lines()
        np.testing.assert_allclose(curve.get_xydata(), [[1, 0.9], [2.5, 0.05]])
        assert set(unchanged.get_ydata()) == {0.9}
        assert ax.get_xlabel() == "metres"
        assert ax.get_ylim() == (0, 1)
    assert figure.get_suptitle() == (
        "90.0 % on unchanged images (dotted); 0.0 % where every pixel may be changed by 0.1 to "
        "mislead the model"
    )
    assert_renders(figure)


# -- predictions -------------------------------------------------------------------------


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


def bars_of(prediction):
    return plots.predictions_figure([prediction]).axes[-1]


@pytest.mark.parametrize(
    ("true", "title", "colour"),
    [
        (9, "✓ predicted: Ankle boot · true: Ankle boot", BLUE),
        (6, "✗ predicted: Ankle boot · true: Shirt", VERMILLION),
        (None, "predicted: Ankle boot · true: unknown", GREY),
    ],
)
def test_a_prediction_is_judged_by_sign_and_colour(true, title, colour):
    figure = plots.predictions_figure([prediction(true)])
    image, bars = figure.axes
    (part,) = figure.subfigs
    assert (part.get_suptitle(), part.texts[0].get_color()) == (title, colour)
    assert to_hex(image.spines["top"].get_edgecolor()) == colour.lower()
    shown = [to_hex(bars.patches[k].get_facecolor()) for k in (0, 9)]
    assert shown == [FAINT.lower(), colour.lower()]
    marked = [k for k, text in enumerate(bars.texts) if "◀ true" in text.get_text()]
    assert marked == ([] if true is None else [true])


def test_bars_show_the_confidence_in_every_class():
    ax = bars_of(prediction())
    assert [bar.get_width() for bar in ax.patches] == [25, *[0] * 8, 75]
    assert tick_labels(ax.yaxis) == list(FASHION)
    assert [ax.texts[k].get_text() for k in (0, 1, 9)] == ["25.0 %", "0.0 %", "75.0 %"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first class is on top
    long = bars_of(prediction(true=0, names=("a" * 30 + "b" * 30, "c")))
    assert tick_labels(long.yaxis)[0] == "a" * 12 + "…" + "b" * 11


@pytest.mark.parametrize(("true", "last"), [(0, "class 0"), (None, "class 980")])
def test_of_many_classes_the_most_probable_and_the_true_one_have_bars(true, last):
    names = tuple(f"class {k}" for k in range(1000))
    rising = np.linspace(0, 1, 1000, dtype=np.float32)
    asked = Prediction(name="x", probabilities=rising, class_names=names, true=true)
    expected = [f"class {k}" for k in range(999, 980, -1)]
    assert tick_labels(bars_of(asked).yaxis) == [*expected, last]


def test_a_prediction_without_image_has_bars_only():
    figure = plots.predictions_figure([prediction(image=False), prediction()])
    assert [len(part.axes) for part in figure.subfigs] == [1, 2]
    assert figure.subfigs[0].axes[0].get_xlabel() == "test image 12"
    assert_renders(figure)
    with pytest.raises(ValueError, match="at least one prediction"):
        plots.predictions_figure([])


@pytest.mark.parametrize(
    ("channels", "dtype", "full"), [(1, np.uint8, 255), (1, np.float32, 1), (3, np.uint8, 255)]
)
def test_images_are_grey_or_in_colour(channels, dtype, full):
    ax = plots.predictions_figure([prediction(channels=channels, dtype=dtype)]).axes[0]
    (image,) = ax.get_images()
    assert image.get_array().shape == ((28, 28) if channels == 1 else (28, 28, channels))
    if channels == 1:  # an all-white image must not be stretched to black
        assert image.get_clim() == (0, full)
    assert ax.get_xlabel() == "test image 12"


@pytest.mark.parametrize("name", [r"$\no_such_command$", "a very long name " * 20])
def test_odd_class_names_neither_break_nor_squeeze_a_figure(name):
    names = (name, *NAMES[1:])
    assert_renders(plots.predictions_figure([prediction(true=0, names=names)]))
    assert_renders(plots.confusion_matrix_figure(CONFUSION, names))


# -- mistakes and label issues -----------------------------------------------------------


@pytest.mark.parametrize(("n", "channels"), [(1, 1), (2, 3)])
def test_each_mistake_is_shown_with_its_two_maps(n, channels):
    values = np.linspace(0, 1, n * 28 * 28, dtype=np.float32).reshape(n, 28, 28)
    saliency = Saliency(grad_cam=values, occlusion=1 - values)
    figure = plots.mistakes_figure([prediction(channels=channels)] * n, saliency)
    parts = [part for part in figure.subfigs if part.axes]
    assert len(parts) == n
    for k, part in enumerate(parts):
        assert part.get_suptitle() == "Shirt → Ankle boot (75.0 %)"
        names = [ax.get_xlabel() for ax in part.axes]
        assert names == ["test image 12", "Grad-CAM", "occlusion"]
        plain, grad_cam, occlusion = (ax.images for ax in part.axes)
        assert len(plain) == 1
        np.testing.assert_array_equal(grad_cam[1].get_array(), saliency.grad_cam[k])
        np.testing.assert_array_equal(occlusion[1].get_array(), saliency.occlusion[k])
    assert_renders(figure)
    nothing = Saliency(grad_cam=values[:0], occlusion=values[:0])
    assert said(plots.mistakes_figure([], nothing)) == ["The model made no mistake."]


@pytest.mark.parametrize(("m", "rest"), [(7, ""), (40, "; the first 25")])
def test_the_first_25_label_issues_are_shown(m, rest):
    images = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 5, 1), np.uint8)
    found = label_issues(m)
    figure = plots.label_issues_figure(found, images)
    assert figure.get_suptitle() == f"{m} of 100 test labels may be wrong{rest}"
    assert len(figure.axes) == min(m, 25)
    for k, ax in enumerate(figure.axes):
        assert ax.get_title() == f"{NAMES[k % 3]}\n→ {NAMES[(k + 1) % 3]}?"
        assert ax.get_xlabel() == str(found.indices[k])
        assert (ax.images[0].get_array() == found.indices[k]).all()
    assert said(plots.label_issues_figure(label_issues(0), images)) == ["No label is suspicious."]


def test_figures_leave_no_global_state():
    before = dict(mpl.rcParams)
    plots.history_figure(history(2))
    plots.confusion_matrix_figure(CONFUSION, NAMES)

    import matplotlib.pyplot as plt  # noqa: PLC0415  # only to ask for its open figures

    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before
