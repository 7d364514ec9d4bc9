"""One image file → pixels, by the rule of `apparel.data.decode`."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from apparel.data.decode import BadImageError, decode, image_size, read
from tests.data.made_images import (
    FILES,
    NOISE,
    RANDOM,
    SMALL,
    TURNED,
    encoded,
    exif,
    loaded_sizes,
    luma,
    over_white,
    why,
)

# -- intact files ----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF"])
def test_the_content_decides_the_format_and_every_pixel_is_kept(tmp_path, form):
    path = tmp_path / "image.jpg"
    path.write_bytes(encoded(NOISE, form, **({"lossless": True} if form == "WEBP" else {})))
    image = read(path, SMALL)
    assert (image.dtype, image.shape) == (np.uint8, SMALL)
    np.testing.assert_array_equal(image, NOISE)
    np.testing.assert_array_equal(read(str(path), SMALL), NOISE)
    np.testing.assert_array_equal(read(path.read_bytes(), SMALL), NOISE)


def test_reading_as_grey_is_the_luma_of_reading_in_colour():
    for name, content in FILES.items():
        for size in ((12, 10), (7, 7), (30, 20)):
            colour, grey = read(content, (*size, 3)), read(content, (*size, 1))
            np.testing.assert_array_equal(grey[..., 0], luma(colour), err_msg=name)


def test_decoding_keeps_grey_and_colour_as_they_are_stored():
    grey, colour = encoded(NOISE[..., 0], "PNG"), encoded(NOISE, "PNG")
    np.testing.assert_array_equal(read(grey, SMALL), np.stack([NOISE[..., 0]] * 3, axis=-1))
    np.testing.assert_array_equal(read(colour, (12, 10, 1))[..., 0], luma(NOISE))
    for content, shape in ((grey, (5, 6, 1)), (colour, (5, 6, 3))):
        image = decode(content, (5, 6))
        assert (image.height, image.width) == (12, 10)
        np.testing.assert_array_equal(image.pixels, read(content, shape))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_rounded(form):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values.astype(float) * 255 / 65535)
    np.testing.assert_array_equal(read(encoded(values, form), (256, 256, 1))[..., 0], expected)
    big_endian = encoded(values.astype(">u2"), "TIFF")
    np.testing.assert_array_equal(read(big_endian, (256, 256, 1))[..., 0], expected)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_no_known_range_are_refused_with_advice(mode):
    content = encoded(Image.new(mode, (10, 12), 7), "TIFF")
    assert "32 bits and no known range" in why(content)
    assert "Save it with 8 or 16" in why(content)
    with pytest.raises(BadImageError, match="32 bits"):
        image_size(content)


@pytest.mark.parametrize(("form", "options"), [("TIFF", {}), ("JPEG", {"quality": 100})])
def test_the_colours_of_print_are_converted(form, options):
    content = encoded(Image.new("CMYK", (16, 16), (200, 30, 90, 40)), form, **options)
    expected = (255 - np.array([200, 30, 90])) * (255 - 40) / 255
    assert Image.open(io.BytesIO(content)).mode == "CMYK"
    image = read(content, (16, 16, 3))
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), atol=2)


# -- transparency ----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_every_transparency_of_every_value_shows_white(form):
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    pixels = np.stack([value, 255 - value, value, alpha], axis=-1).astype(np.uint8)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    image = read(encoded(pixels, form, **options), (256, 256, 3))
    np.testing.assert_array_equal(image[..., 0], over_white(value, alpha))
    np.testing.assert_array_equal(image[..., 1], over_white(255 - value, alpha))
    if form == "PNG":  # transparent grey stays grey
        grey = decode(encoded(np.ascontiguousarray(pixels[..., 2:]), form), (256, 256)).pixels
        assert grey.shape == (256, 256, 1)
        np.testing.assert_array_equal(grey[..., 0], over_white(value, alpha))


def test_premultiplied_grey_of_tiff_shows_white():
    pixels = Image.new("LA", (10, 12), (100, 128))
    content = bytearray(encoded(pixels, "TIFF"))
    at = content.index(struct.pack("<HHIH", 338, 3, 1, 2))  # ExtraSamples: 2 means not multiplied
    content[at + 8] = 1
    assert Image.open(io.BytesIO(content)).mode == "La"
    # 100 of 128 opaque parts, and white shines through the other 127.
    np.testing.assert_allclose(read(bytes(content), SMALL), 100 + 127, atol=1)


@pytest.mark.parametrize(
    ("mode", "colour", "other", "transparency"),
    [
        ("L", 40, 90, 40),
        ("RGB", (1, 2, 3), (90, 90, 90), (1, 2, 3)),
        ("I;16", 40 * 257, 90 * 257, 40 * 257),
        ("1", 0, 1, 0),
    ],
)
def test_a_transparent_colour_shows_white(mode, colour, other, transparency):
    image = Image.new(mode, (10, 12), other)
    image.paste(colour, (0, 0, 10, 6))
    whole = read(encoded(image, "PNG", transparency=transparency), SMALL)
    assert np.unique(whole[:6]).tolist() == [255]
    assert np.unique(whole[6:]).tolist() == [255 if mode == "1" else 90]


@pytest.mark.parametrize(
    ("form", "transparency"),
    [("PNG", None), ("BMP", None), ("GIF", 0), ("PNG", bytes([51, 255]))],
)
def test_a_palette_is_looked_up(form, transparency):
    image = Image.new("P", (10, 12), 0)
    image.putpalette([40, 50, 60, 220, 210, 200])
    image.paste(1, (0, 6, 10, 12))
    options = {} if transparency is None else {"transparency": transparency}
    whole = read(encoded(image, form, **options), SMALL)
    alpha = {None: 255, 0: 0}.get(transparency, 51)
    expected = over_white(np.array([40, 50, 60]), np.array(alpha))
    assert np.unique(whole[:6].reshape(-1, 3), axis=0).tolist() == [expected.tolist()]
    assert np.unique(whole[6:].reshape(-1, 3), axis=0).tolist() == [[220, 210, 200]]


# -- several frames, rotation ----------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "TIFF", "MPO"])
def test_the_first_frame_is_read(form):
    frames = [Image.new("RGB", (10, 12), value) for value in ("#c80000", "#0000c8", "#000000")]
    options = {"lossless": True} if form == "WEBP" else {}
    content = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    opened = Image.open(io.BytesIO(content))
    assert (opened.n_frames, opened.format) == (3, form)
    np.testing.assert_allclose(read(content, SMALL), np.full(SMALL, [200, 0, 0]), atol=2)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "TIFF-lzw"])
def test_a_photos_own_rotation_is_applied(form, monkeypatch):
    form, _, lzw = form.partition("-")
    options = {"compression": "tiff_lzw"} if lzw else {}
    options |= {"lossless": True} if form == "WEBP" else {}
    plain = read(encoded(NOISE, form, **options), SMALL)
    for orientation, turn in TURNED.items():
        expected = turn(plain)
        content = encoded(NOISE, form, exif=exif(orientation), **options)
        np.testing.assert_array_equal(read(content, expected.shape), expected)
        with monkeypatch.context() as patch:
            loaded = loaded_sizes(patch)
            assert image_size(content) == expected.shape[:2]
        assert loaded == []  # the header tells it


def test_a_rotation_that_xmp_alone_tells_is_applied():
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for form, options in (("JPEG", {"xmp": packet}), ("TIFF", {"tiffinfo": {700: packet}})):
        plain, content = read(encoded(NOISE, form), SMALL), encoded(NOISE, form, **options)
        np.testing.assert_array_equal(read(content, (10, 12, 3)), np.rot90(plain, -1))
        assert image_size(content) == (10, 12)


@pytest.mark.parametrize("metadata", [b"II*\0\x08\0\0\0\x01\0", b"Exif\0\0MM", b"x"])
def test_broken_metadata_is_ignored_in_silence(metadata, capfd):
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {})):
        plain = read(encoded(NOISE, form, **options), SMALL)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            image = read(encoded(NOISE, form, exif=metadata, **options), SMALL)
        np.testing.assert_array_equal(image, plain)
        assert caught == []
    assert capfd.readouterr() == ("", "")


# -- other sizes -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_image_of_another_size_is_padded_as_pillow_does_it(mode):
    for size in [(80, 50), (50, 80), (7, 5), (10, 13), (300, 20), (1, 1)]:
        pixels = RANDOM.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        image = Image.fromarray(pixels).convert(mode)
        padded = ImageOps.pad(image, (10, 12), color=image.getpixel((0, 0)))
        expected = np.asarray(padded).reshape(12, 10, -1)
        np.testing.assert_array_equal(read(encoded(image, "PNG"), expected.shape), expected)
    line = np.full((1, 1000), 200, np.uint8)
    line[0, 0] = 0
    found = read(encoded(line, "PNG"), (28, 28, 1))  # where Pillow would leave nothing of it
    assert np.flatnonzero(found.max(axis=(1, 2)) == 200).tolist() == [14]


@pytest.mark.parametrize(
    ("stored", "orientation", "wanted", "decoded"),
    [
        ((1600, 1200), 1, (28, 28), (200, 150)),
        ((1600, 1200), 6, (28, 28), (200, 150)),
        ((1600, 1200), 1, (150, 200), (400, 300)),
        # Half of it would leave less than twice the size.
        ((1600, 1200), 1, (151, 201), (800, 600)),
        ((1600, 100), 6, (64, 4), (200, 13)),
        ((1600, 1200), 1, (1200, 1600), (1600, 1200)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_reduced_scale(
    monkeypatch, stored, orientation, wanted, decoded
):
    noise = RANDOM.integers(0, 256, (*(side // 20 for side in stored[::-1]), 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize(stored)
    content = encoded(photo, "JPEG", quality=95, exif=exif(orientation))
    turned = TURNED[orientation](np.asarray(Image.open(io.BytesIO(content))))
    whole = ImageOps.pad(Image.fromarray(turned), wanted[::-1], color=tuple(turned[0, 0].tolist()))
    sizes = loaded_sizes(monkeypatch)
    image = decode(content, wanted)
    assert sizes == [decoded]
    assert (image.height, image.width) == turned.shape[:2]
    difference = np.abs(image.pixels.astype(float) - np.asarray(whole))
    assert difference.mean() < 5  # turned wrongly, it is above 30
    assert image_size(content)[1] == turned.shape[1]
