"""Photos of clothes → images like those of Fashion-MNIST."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from apparel.core.errors import DataError
from apparel.data import fashion_photo
from apparel.data.fashion_photo import like_fashion_mnist

NO_BACKGROUND = "found no plain background to trim"
WHOLE = (
    "trimmed the background", "cleared the background", "negated", "shrank to 28 pixels",
    "sharpened", "stretched the contrast", "centred", "made grey",
)  # fmt: skip
# A Gaussian of radius and standard deviation 1, taken away from a centre that counts twice the sum.
SHARPEN = np.array(
    [[-0.0624, -0.1028, -0.0624], [-0.1028, 1.6609, -0.1028], [-0.0624, -0.1028, -0.0624]]
)


@pytest.fixture(scope="session")
def items(clothes):
    """Sixty test images of Fashion-MNIST, (60, 28, 28)."""
    return clothes[:60, ..., 0]


def blunted(pixels):
    """The image that sharpening turns into this one."""
    padded = np.pad(pixels.astype(float), 8)
    kernel = np.zeros(padded.shape)
    kernel[:3, :3] = SHARPEN
    kernel = np.roll(kernel, (-1, -1), (0, 1))
    restored = np.fft.ifft2(np.fft.fft2(padded) / np.fft.fft2(kernel)).real
    return np.clip(restored[8:-8, 8:-8], 0, 255)


def photographed(item, *, seed, background=(246, 246, 246), dark=False):
    """A photo of an image of Fashion-MNIST: off-centre, tinted, unevenly lit, noisy, JPEG."""
    random = np.random.default_rng(seed)
    width, height, side = 350, 450, int(random.integers(240, 340))
    large = Image.fromarray(blunted(item).astype(np.float32)).resize((side, side), 3)
    canvas = np.zeros((height, width))
    top, left = random.integers(4, height - side - 4), random.integers(4, width - side - 4)
    canvas[top : top + side, left : left + side] = np.clip(large, 0, 255)
    share = canvas[..., None] / 255
    tint = np.array(background) * random.uniform(0.95, 1.04, 3)
    colours = tint + (255 - tint) * share if dark else tint * (1 - share)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = random.uniform(0, 2 * np.pi)
    light = 0.9 + 0.1 * (np.cos(angle) * x + np.sin(angle) * y) - 0.05 * (x**2 + y**2)
    noisy = colours * light[..., None] + random.normal(0, 4, (height, width, 1))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    return Image.open(buffer)


def drawn(size, box, *, ground=240, item=40):
    """A filled rectangle on a plain ground."""
    image = Image.new("L", size, ground)
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=item)
    return image


def filled(pixels):
    """First and last row and column that are not black, and how many."""
    rows, columns = (np.flatnonzero((pixels[:, :, 0] > 0).any(axis=axis)) for axis in (1, 0))
    return rows[0], rows[-1], columns[0], columns[-1]


# -- images that are cut out already ---------------------------------------------------


def test_an_image_of_the_right_size_is_negated_and_made_grey_where_it_has_to_be(items):
    for item in items:
        image = Image.fromarray(item)
        for made, taken in ((image, ()), (image.convert("RGB"), ()),
                            (Image.fromarray(255 - item), ("negated",))):  # fmt: skip
            pixels, steps = like_fashion_mnist(made)
            assert (pixels.dtype, pixels.shape, steps) == (np.uint8, (28, 28, 1), taken)
            np.testing.assert_array_equal(pixels[:, :, 0], item)
    pixels, steps = like_fashion_mnist(Image.new("RGB", (28, 28), (100, 0, 0)))
    assert steps == ("made grey",)
    assert np.unique(pixels).tolist() == [30]  # 0.299 of the red


# -- photos ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_photos_become_the_images_that_they_show(items, n):
    differences = []
    for seed, item in enumerate(items[:n]):
        pixels, steps = like_fashion_mnist(photographed(item, seed=seed))
        assert steps == WHOLE
        differences.append(np.abs(pixels[:, :, 0].astype(float) - item).mean())
    # The images differ from each other by 66 in the mean, and after a move of half a pixel by 18.
    assert np.mean(differences) < 20
    assert np.max(differences) < 45


@pytest.mark.parametrize("background", [(250, 200, 160), (180, 180, 180), (20, 25, 30)])
def test_a_coloured_grey_or_black_background_becomes_black(items, background):
    dark = background[0] < 100
    for seed, item in enumerate(items[:4]):
        photo = photographed(item, seed=seed, background=background, dark=dark)
        pixels, steps = like_fashion_mnist(photo)
        assert ("negated" in steps) != dark
        difference = np.abs(pixels[:, :, 0].astype(float) - item)
        assert difference.mean() < 30
        assert (pixels[:, :, 0][ndimage.maximum_filter(item, 5) == 0] == 0).all()


@pytest.mark.parametrize(
    ("size", "box", "bounds"),
    [
        # 300 x 120 pixels become 28 x 11, which begin in row (28 - 11) // 2.
        ((640, 480), (50, 40, 350, 160), (8, 18, 0, 27)),
        ((480, 640), (200, 20, 280, 580), (0, 27, 12, 15)),
        ((100, 100), (30, 30, 70, 70), (0, 27, 0, 27)),
    ],
)
@pytest.mark.parametrize(("ground", "item"), [(240, 40), (0, 255)])
def test_an_item_is_trimmed_shrunk_and_centred(size, box, bounds, ground, item):
    pixels, steps = like_fashion_mnist(drawn(size, box, ground=ground, item=item))
    assert filled(pixels) == bounds
    assert ("negated" in steps) == (ground > item)
    assert steps[0] == "trimmed the background"
    assert pixels.max() == 255


def test_specks_and_grain_do_not_count_as_the_item():
    random = np.random.default_rng(0)
    pixels = np.asarray(drawn((480, 480), (120, 120, 360, 360))).astype(float)
    pixels += random.normal(0, 8, pixels.shape)
    for row, column in random.integers(0, 470, (30, 2)):
        pixels[row : row + 5, column : column + 5] = 60
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    assert filled(like_fashion_mnist(image)[0]) == (0, 27, 0, 27)
    assert like_fashion_mnist(image)[0].min() > 150


def test_an_image_without_a_plain_background_is_taken_whole():
    noise = np.random.default_rng(0).integers(0, 256, (56, 112), dtype=np.uint8)
    noise[[0, 0, -1, -1], [0, -1, 0, -1]] = 250
    pixels, steps = like_fashion_mnist(Image.fromarray(noise))
    assert steps == (
        NO_BACKGROUND, "negated", "shrank to 28 pixels", "sharpened", "stretched the contrast",
        "centred",
    )  # fmt: skip
    shrunk = (255.0 - noise).reshape(14, 4, 28, 4).mean(axis=(1, 3))
    sharp = np.clip(ndimage.correlate(shrunk, SHARPEN, mode="nearest"), 0, None)
    np.testing.assert_allclose(pixels[7:21, :, 0], sharp * 255 / sharp.max(), atol=1)
    assert not pixels[:7].any()
    assert not pixels[21:].any()


def test_a_small_item_is_enlarged_and_not_sharpened():
    pixels, steps = like_fashion_mnist(drawn((40, 40), (10, 10, 24, 24)))
    assert steps == (
        "trimmed the background", "cleared the background", "negated", "enlarged to 28 pixels",
        "stretched the contrast", "centred",
    )  # fmt: skip
    assert np.unique(pixels).tolist() == [255]


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (900, 3), (29, 28)])
def test_a_plain_image_of_any_size_shows_no_item(size):
    pixels, steps = like_fashion_mnist(Image.new("L", size, 100))
    assert pixels.shape == (28, 28, 1)
    assert NO_BACKGROUND in steps


# -- files -----------------------------------------------------------------------------


def test_a_file_is_turned_upright_and_laid_on_white(tmp_path, items):
    image = Image.new("RGBA", (900, 700), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((100, 300, 799, 449), fill=(200, 20, 20, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    image.save(tmp_path / "i.png", exif=exif)
    pixels, steps = fashion_photo.read(tmp_path / "i.png")
    assert filled(pixels) == (0, 27, 11, 16)
    assert steps == WHOLE
    Image.fromarray(items[0]).save(tmp_path / "i.png")
    pixels, steps = fashion_photo.read(tmp_path / "i.png")
    np.testing.assert_array_equal(pixels[:, :, 0], items[0])
    assert steps == ()
    (tmp_path / "i.png").write_text("no image")
    with pytest.raises(DataError, match=r"i\.png"):
        fashion_photo.read(tmp_path / "i.png")
