"""The first two steps of `ApparelClassifier`: from a source to prepared images and labels."""

import os
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.records import ARRAYS, Dataset, Splits
from apparel.data import loading
from apparel.data.arrays import from_arrays
from apparel.data.image_table import SPLITS, image_folder, image_table
from apparel.data.loading import Source
from apparel.data.quality import screening
from apparel.data.splits import is_prepared, prepare, without_grey_axis
from apparel.estimator import IMG_SHAPE, N_CLASSES, ArrayClassifier, need
from apparel.reporting import text
from apparel.runs.folder import IMAGES_FILE
from apparel.runs.run_directory import RunDirectory


class DataSteps(ArrayClassifier):
    """`import_data` and `prepare_data`, and what later steps ask about the images."""

    def import_data(self, source: Source = "fashion-mnist") -> Self:
        """Load a data set, from wherever it can be had.

        Args:
            source: "fashion-mnist"; or the path of a folder of class folders, of IDX files or of
                tables, or of a `.csv`, `.parquet` or `.npz` file; or arrays, as
                ((x_train, y_train), (x_test, y_test)) or (X, y).

        Raises:
            UsageError: a setting makes no sense, or there is no such source.
            DataUnavailableError: no place has the named set.
            DataError: the source is broken, or does not have `n_classes` or `img_shape`.
        """
        settings = self._settings()
        if self.run_dir is not None and self._run is None:
            request = {
                "settings": asdict(settings),
                "source": _source_name(source),
                "data_dir": os.fspath(self.data_dir) if self.data_dir else None,
            }
            self._run = RunDirectory.create(self.run_dir, name=settings.model_name, request=request)
        dataset = loading.load(source, data_dir=self.data_dir, **settings.of_data)
        self._follow(dataset)
        dataset = self._screened(dataset)
        self.labels = list(dataset.class_names)
        self.train_images = without_grey_axis(dataset.train_images)
        self.test_images = without_grey_axis(dataset.test_images)
        self.train_labels, self.test_labels = dataset.train_labels, dataset.test_labels
        self.orig_test_labels = dataset.test_labels
        self._manifest = {"source": dataset.source}
        self._dataset = dataset, self._images_and_labels("import_data")
        print(
            f"{dataset.source}: {len(dataset.train_images)} training and "
            f"{len(dataset.test_images)} test images of {dataset.n_classes} classes"
        )
        return self

    def prepare_data(self) -> Self:
        """Scale pixels to [0, 1], add the channel axis, one-hot the labels.

        Called again, it changes nothing.

        Raises:
            StepOrderError: `import_data` was not called.
            DataError: images, labels and class names do not fit together.
        """
        arrays = self._images_and_labels("prepare_data")
        if is_prepared(*arrays[:2]):
            return self
        dataset = self._untouched(arrays) or from_arrays(
            *arrays,
            class_names=self.labels,
            source=str(self._manifest.get("source", ARRAYS)),
        )
        splits = prepare(dataset, self._settings())
        self.train_images, self.train_labels = splits.train_images, splits.train_labels
        self.test_images, self.test_labels = splits.test_images, splits.test_labels
        self.orig_test_labels = dataset.test_labels
        self._manifest = dataset.origin
        self._dataset = None
        self._validation = dataset.validation, splits.train_images
        self._image_list = dataset.image_list
        return self

    def _follow(self, dataset: Dataset) -> None:
        """Take over what the data have, where nothing else was asked for.

        Raises:
            DataError: something else was.
        """
        for name, default in (("n_classes", N_CLASSES), ("img_shape", IMG_SHAPE)):
            asked, found = getattr(self, name), getattr(dataset, name)
            asked = tuple(asked) if isinstance(asked, list) else asked
            if asked not in (default, self._followed.get(name), found):
                raise DataError(
                    f"{dataset.source} has {dataset.n_classes} classes of images of shape "
                    f"{dataset.img_shape}, but {name}={asked} was asked for. Leave it out to get "
                    "what the data have."
                )
        self.n_classes, self.img_shape = dataset.n_classes, dataset.img_shape
        self._followed = {"n_classes": self.n_classes, "img_shape": self.img_shape}

    def _screened(self, dataset: Dataset) -> Dataset:
        """Say what is wrong with the images, and leave out training images that leak."""
        self.data_check = found = screening.screen(dataset)
        if dataset.files or not found.is_clean:
            print(text.check_summary(found))
        if self.keep_leaks:
            return dataset
        print(text.left_out_line(found), end="")
        return screening.without_leaks(dataset, found)

    def _leaked(self, n_images: int) -> NDArray[np.bool_]:
        """Which test images were trained on as well, as far as is known."""
        leaked = np.zeros(n_images, bool)
        if self.keep_leaks and self.data_check and self._validation[1] is self.train_images:
            leaked[self.data_check.leaked_test] = True
        return leaked

    def _write_image_table(self, run: RunDirectory, splits: Splits) -> None:
        """Record which image files are trained on, validated on and tested on.

        Only for images that are in files of their own and were not replaced by hand.
        """
        images = self._image_list if self._validation[1] is self.train_images else None
        folder = image_folder(images) if images else None
        if images is None or folder is None:
            return
        of_image = np.zeros(len(images.names), np.int64)
        of_image[splits.validation] = SPLITS.index("validation")
        of_image[len(splits.train_labels) :] = SPLITS.index("test")
        path = run.path / IMAGES_FILE
        kept = np.ones(len(of_image), bool)
        try:
            table = image_table(images, folder, splits=of_image, kept=kept, table=path)
        except DataError as error:  # a name that only the system can read must not end a run
            print(f"{IMAGES_FILE} was not written: {error}")
        else:
            run.write_text(IMAGES_FILE, table)

    def _untouched(self, arrays: tuple[Any, ...]) -> Dataset | None:
        """The data set as it was imported, unless somebody has put in other arrays since."""
        if self._dataset is None:
            return None
        dataset, imported = self._dataset
        same = all(a is b for a, b in zip(arrays, imported, strict=True))
        return dataset if same and tuple(self.labels) == dataset.class_names else None

    def _prepared_arrays(self, step: str) -> tuple[Any, ...]:
        """What `_images_and_labels` gives, once it is prepared.

        Raises:
            StepOrderError: it was not imported or not prepared.
        """
        arrays = self._images_and_labels(step)
        for images, labels in (arrays[:2], arrays[2:]):
            need(is_prepared(images, labels), step, "prepare_data")
        return arrays

    def _images_and_labels(self, step: str) -> tuple[Any, ...]:
        """Training images and labels, then test images and labels.

        Raises:
            StepOrderError: they were not imported.
        """
        arrays = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        return tuple(need(array, step, "import_data") for array in arrays)


def _source_name(source: Source) -> str:
    """What a run records of its source; arrays have no name."""
    return os.fspath(source) if isinstance(source, str | os.PathLike) else ARRAYS
