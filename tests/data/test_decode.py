import io
import os
import socket
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from apparel.data.decode import BadImageError, cost, decode, image_size, opening, read

SMALL = (12, 10, 3)  # sides of different length, so that no swap goes unseen
LIMIT = Image.MAX_IMAGE_PIXELS
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (*SMALL[:2], 3), dtype=np.uint8)
TURNED = {  # EXIF's orientation: how the stored rows and columns are to be shown
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


def encoded(image, form, **options):
    """The content of an image file."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def luma(colours):
    """ITU-R BT.601 in 16 bits of fixed point, as Pillow's documentation gives it, rounded."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def over_white(values, alpha):
    share = alpha.astype(float) / 255
    return np.rint(values * share + 255 * (1 - share)).astype(np.uint8)


def why(source, shape=SMALL, **options):
    """The message of a refused image, which is one line and the same for `decode`."""
    with pytest.raises(BadImageError) as caught:
        read(source, shape, **options)
    with pytest.raises(BadImageError) as again:
        decode(source, shape[:2], **options)
    message = str(caught.value)
    assert str(again.value) == message
    assert message.isprintable()
    assert message.endswith(".")
    return message


def files():
    """An intact file of each kind."""
    image = Image.fromarray(NOISE)
    palette, grey = image.quantize(16), image.convert("L")
    frames = {"save_all": True, "append_images": [grey.rotate(180)]}
    return {
        "png": encoded(image, "PNG", exif=exif(3)),
        "palette.png": encoded(palette, "PNG", transparency=bytes([0, 99, 255])),
        "frames.png": encoded(grey, "PNG", **frames),
        "jpg": encoded(image, "JPEG", exif=exif(6)),
        "progressive.jpg": encoded(image, "JPEG", progressive=True),
        "mpo.jpg": encoded(image, "MPO", save_all=True, append_images=[image]),
        "webp": encoded(image, "WEBP"),
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "frames.webp": encoded(grey, "WEBP", **frames),
        "gif": encoded(palette, "GIF"),
        "grey.gif": encoded(grey, "GIF"),
        "bmp": encoded(image, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "tiff": encoded(image, "TIFF"),
        "lzw.tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "deflate.tiff": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "fax.tiff": encoded(image.convert("1"), "TIFF", compression="group4"),
    }


FILES = files()


def few(*names, of):
    """Cases of which the default tier tries some, and the tier `security` all."""
    return [
        name if name in names else pytest.param(name, marks=pytest.mark.security) for name in of
    ]


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


def test_colours_become_grey_by_their_luma():
    content = encoded(NOISE, "PNG")
    np.testing.assert_array_equal(read(content, (12, 10, 1))[..., 0], luma(NOISE))


def test_grey_becomes_three_equal_channels():
    grey = NOISE[..., 0]
    for form in ("PNG", "GIF", "BMP", "TIFF"):
        image = read(encoded(grey, form), SMALL)
        np.testing.assert_array_equal(image, np.stack([grey] * 3, axis=-1))


def test_reading_as_grey_is_the_luma_of_reading_in_colour():
    for name, content in FILES.items():
        for size in ((12, 10), (7, 7), (30, 20)):
            colour, grey = read(content, (*size, 3)), read(content, (*size, 1))
            np.testing.assert_array_equal(grey[..., 0], luma(colour), err_msg=name)


def test_decoding_keeps_grey_and_colour_as_they_are_stored():
    grey, colour = encoded(NOISE[..., 0], "PNG"), encoded(NOISE, "PNG")
    for content, shape in ((grey, (5, 6, 1)), (colour, (5, 6, 3))):
        image = decode(content, (5, 6))
        assert (image.height, image.width) == (12, 10)
        np.testing.assert_array_equal(image.pixels, read(content, shape))


def test_black_and_white_becomes_0_and_255():
    bits = NOISE[..., 0] > 99
    for form, options in (("PNG", {}), ("BMP", {}), ("TIFF", {"compression": "group4"})):
        image = read(encoded(bits, form, **options), (12, 10, 1))
        np.testing.assert_array_equal(image[..., 0], bits * np.uint8(255))


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


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_every_transparency_of_every_value_shows_white(form):
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    pixels = np.stack([value, 255 - value, value, alpha], axis=-1).astype(np.uint8)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    image = read(encoded(pixels, form, **options), (256, 256, 3))
    np.testing.assert_array_equal(image[..., 0], over_white(value, alpha))
    np.testing.assert_array_equal(image[..., 1], over_white(255 - value, alpha))


def test_transparent_grey_stays_grey():
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    content = encoded(np.stack([value, alpha], axis=-1).astype(np.uint8), "PNG")
    image = decode(content, (256, 256)).pixels
    assert image.shape == (256, 256, 1)
    np.testing.assert_array_equal(image[..., 0], over_white(value, alpha))


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
    [*((form, None) for form in ("PNG", "GIF", "BMP", "TIFF")),
     ("PNG", 0), ("GIF", 0), ("PNG", bytes([51, 255]))],
)  # fmt: skip
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
def test_a_photos_own_rotation_is_applied(form):
    form, _, lzw = form.partition("-")
    options = {"compression": "tiff_lzw"} if lzw else {}
    options |= {"lossless": True} if form == "WEBP" else {}
    plain = read(encoded(NOISE, form, **options), SMALL)
    for orientation, turn in TURNED.items():
        expected = turn(plain)
        content = encoded(NOISE, form, exif=exif(orientation), **options)
        np.testing.assert_array_equal(read(content, expected.shape), expected)
        assert image_size(content) == expected.shape[:2]


def test_a_rotation_that_xmp_alone_tells_is_applied():
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for form, options in (("JPEG", {"xmp": packet}), ("WEBP", {"xmp": packet, "lossless": True}),
                          ("TIFF", {"tiffinfo": {700: packet}})):  # fmt: skip
        plain = read(
            encoded(NOISE, form, **{k: v for k, v in options.items() if k == "lossless"}), SMALL
        )
        content = encoded(NOISE, form, **options)
        np.testing.assert_array_equal(read(content, (10, 12, 3)), np.rot90(plain, -1))
        assert image_size(content) == (10, 12)


@pytest.mark.parametrize("metadata", [b"II*\0\x08\0\0\0\x01\0", b"Exif\0\0MM", b"\xff" * 40, b"x"])
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
    for size in [(80, 50), (50, 80), (12, 40), (7, 5), (10, 13), (300, 20), (1, 1)]:
        pixels = RANDOM.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        image = Image.fromarray(pixels).convert(mode)
        padded = ImageOps.pad(image, (10, 12), color=image.getpixel((0, 0)))
        expected = np.asarray(padded).reshape(12, 10, -1)
        np.testing.assert_array_equal(read(encoded(image, "PNG"), expected.shape), expected)


@pytest.mark.parametrize(
    ("size", "line"), [((1000, 1), np.s_[14:15]), ((1, 1000), np.s_[:, 14:15])]
)
def test_of_a_line_something_is_left(size, line):
    values = np.full(size[::-1], 200, np.uint8)
    values[0, 0] = 0
    image = read(encoded(values, "PNG"), (28, 28, 1)).copy()
    assert image[line].max() == 200
    image[line] = 0
    assert image.max() == 0


def loaded_sizes(monkeypatch):
    """What sizes images have, from now on, once they are decoded."""
    sizes = []
    load = ImageFile.ImageFile.load

    def spy(self):
        if self.tile:
            sizes.append(self.size)
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", spy)
    return sizes


@pytest.mark.parametrize(
    ("stored", "orientation", "wanted", "decoded"),
    [
        ((1600, 1200), 1, (28, 28), (200, 150)),
        ((1600, 1200), 6, (28, 28), (200, 150)),
        ((1600, 1200), 1, (150, 200), (400, 300)),
        (
            (1600, 1200),
            1,
            (151, 201),
            (800, 600),
        ),  # half of it would leave less than twice the size
        ((1600, 100), 1, (4, 64), (200, 13)),
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


# -- the header ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_the_header_tells_the_size(name, monkeypatch):
    sizes = loaded_sizes(monkeypatch)
    assert image_size(FILES[name]) == ((10, 12) if name == "jpg" else (12, 10))
    assert sizes == []


# -- broken files ----------------------------------------------------------------------


def test_a_truncated_file_is_refused(capfd):
    for name, content in FILES.items():
        # The first frame is in the first half.
        whole = len(content) // (2 if name.startswith("frames") or name == "mpo.jpg" else 1)
        for tenth in range(1, 10):
            assert "cut.img" in why(content[: whole * tenth // 10], name="cut.img"), name
    assert capfd.readouterr() == ("", "")


def attempt(source, **options):
    """Read an image, or give the message of its refusal."""
    try:
        return read(source, SMALL, **options)
    except BadImageError as error:
        return str(error)


@pytest.mark.parametrize("n", [6, pytest.param(60, marks=pytest.mark.security)])
def test_a_damaged_file_is_decoded_or_refused_in_silence(n, tmp_path, capfd):
    for name, content in FILES.items():
        random = np.random.default_rng(len(name))
        path = tmp_path / f"damaged.{name}"
        for k in range(n):
            damaged = bytearray(content)
            # The header, which has the sizes and offsets, gets half of the damage.
            at = int(random.integers(0, min(len(content), 150) if k % 2 else len(content)))
            damaged[at] = damaged[at] ^ (1 << k % 8) if k % 3 else int(random.integers(0, 256))
            path.write_bytes(damaged)
            for source in (path, bytes(damaged)):
                found = attempt(source, name="damaged.img")
                if isinstance(found, str):
                    assert found.count("damaged.img") == 1
                    assert found.isprintable()
                else:
                    assert (found.dtype, found.shape) == (np.uint8, SMALL)
                    assert min(image_size(source)) > 0
    assert capfd.readouterr() == ("", "")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


def patched(content, pattern, replacement):
    assert content.count(pattern) == 1
    return content.replace(pattern, replacement)


def bombs(width, height):
    """Files that claim to be of a size."""
    tags = [(256, 10, width), (257, 12, height)]
    tiff = FILES["tiff"]
    for tag, before, after in tags:
        head = struct.pack("<HHI", tag, 4, 1)
        tiff = patched(tiff, head + struct.pack("<I", before), head + struct.pack("<I", after))
    wide_high, high_wide = struct.pack("<HH", width, height), struct.pack(">HH", height, width)
    header = struct.pack("<I", 40)
    return {
        "png": png(width, height),
        "gif": patched(FILES["gif"], b"GIF87a\x0a\0\x0c\0", b"GIF87a" + wide_high),
        "bmp": patched(
            FILES["bmp"],
            header + struct.pack("<ii", 10, 12),
            header + struct.pack("<ii", width, height),
        ),
        "tiff": tiff,
        "jpg": patched(FILES["jpg"], b"\x08\0\x0c\0\x0a\x03", b"\x08" + high_wide + b"\x03"),
    }


@pytest.mark.parametrize(("width", "height"), [(10_000, 9_000), (60_000, 50_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(width, height, monkeypatch):
    assert width * height > LIMIT
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    webp = b"RIFF" + struct.pack("<I", 22) + b"WEBP" + canvas + b"\xff\xff\0" * 2
    sizes = loaded_sizes(monkeypatch)
    for content in bombs(width, height).values():
        assert "too large to open safely: it has more than the 89,478,485 pixels" in why(content)
        with pytest.raises(BadImageError, match="too large"):
            image_size(content)
    assert "too large to open safely" in why(webp)
    assert sizes == []


def test_an_image_at_the_limit_is_read_and_one_above_is_not(monkeypatch):
    content = encoded(NOISE, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 120)
    np.testing.assert_array_equal(read(content, SMALL), NOISE)
    for limit in (119, 60, 59, 1):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert f"more than the {limit} pixels" in why(content)


def test_a_side_of_0_is_refused():
    for width, height in ((0, 5), (5, 0), (0, 0)):
        for name, content in bombs(width, height).items():
            if name != "gif":  # grows as its frame needs
                assert why(content, name=name).startswith(name)


@pytest.mark.parametrize(
    "content",
    [
        b"this is no image\n",
        b"\x89PNG\r\n\x1a\n",
        bytes(500),
        b"\xff\xd8\xff",
        b"BM",
        b"<svg></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",  # Pillow would run a program
        b"P5 1 1 255\n\0",
    ],
)
def test_what_is_no_image_is_refused_with_its_beginning(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    message = why(path)
    assert message.startswith(f"{path} is no image of a format that is read")
    assert f"but it begins with {content[:12]!r}" in message


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "image.png"
    path.touch()
    assert why(path) == f"{path} is empty: 0 bytes. Copy it again, or leave it out."
    assert why(b"") == "the image is empty: 0 bytes. Copy it again, or leave it out."


def test_a_file_of_more_bytes_than_an_image_needs_is_refused(tmp_path):
    path = tmp_path / "image.webp"
    with path.open("wb") as file:
        file.write(FILES["webp"])
        file.truncate(opening.MAX_FILE_BYTES + 1)  # a hole, which takes no space
    assert "is too large to open safely: it has 1,073,741,825 bytes" in why(path)


@pytest.mark.parametrize(
    "error", [KeyError("x"), MemoryError(), RecursionError("a\nb"), struct.error()]
)
def test_whatever_pillow_throws_is_explained(monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert "is damaged or cut off" in why(FILES["png"])


def test_an_interruption_is_no_broken_file(monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFile.ImageFile, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(FILES["png"], SMALL)


def test_what_pillow_logs_is_not_printed():
    count = struct.pack("<HHIHH", 277, 3, 1, 3, 0)
    content = FILES["tiff"].replace(count, struct.pack("<HHIHH", 277, 3, 1, 9999, 0))
    assert content != FILES["tiff"]
    code = (
        "import sys; from apparel.data.decode import *\n"
        "try: read(sys.stdin.buffer.read(), (3, 3, 3))\nexcept BadImageError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=content, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"refused\n", b"")


# -- files made to take time or memory ----------------------------------------------------


def with_chunks(kind, body, times):
    """A PNG file with a chunk many times before its pixels."""
    at = FILES["png"].index(b"IDAT") - 4
    return FILES["png"][:at] + chunk(kind, body) * times + FILES["png"][at:]


def with_markers(content, times):
    """A JPEG file with something many times at its beginning."""
    return FILES["jpg"][:2] + content * times + FILES["jpg"][2:]


def with_extensions(content, times):
    """A GIF file with something many times before its pixels."""
    at = FILES["gif"].index(b",", 13 + 3 * 16)
    return FILES["gif"][:at] + content * times + FILES["gif"][at:]


FLOODS = {
    "text in png": with_chunks(b"tEXt", b"a\0b", 30_000),
    "nothing in png": with_chunks(b"prVt", b"", 30_000),
    "no pixels in png": with_chunks(b"IDAT", b"", 30_000),
    "markers in jpg": with_markers(b"\xff\xe5\0\2", 100_000),
    "comments in jpg": with_markers(b"\xff\xfe\0\2", 100_000),
    "filling in jpg": with_markers(b"\xff", 400_000),
    "comments in gif": with_extensions(b"!\xfe\1a\0", 80_000),
    "a comment in gif": with_extensions(b"!\xfe" + b"\1a" * 200_000 + b"\0", 1),
    "junk in gif": with_extensions(b"\0", 400_000),
}


@pytest.mark.parametrize(
    "name", few("no pixels in png", "markers in jpg", "a comment in gif", of=FLOODS)
)
def test_a_file_of_countless_parts_is_refused(name, tmp_path):
    assert "more parts than any image" in why(FLOODS[name])
    path = tmp_path / "flood"
    path.write_bytes(FLOODS[name])
    assert "more parts than any image" in why(path)


def costly(form, mode, size, **options):
    """An image whose file is small, and its pixels many."""
    image = Image.new(mode, size)
    if mode == "P":
        image.putpalette([1, 2, 3] * 256)
    return encoded(image, form, **options)


COSTLY = {
    "colour": ("PNG", "RGB", (33_010, 1001), {}),
    "turned": ("PNG", "RGB", (16_636, 1001), {"exif": exif(6)}),
    "transparent": ("PNG", "RGBA", (16_636, 1001), {}),
    "a palette": ("GIF", "P", (26_491, 1001), {}),
    "lossy": ("WEBP", "RGB", (8_351, 1001), {"method": 0}),
    "lossless": ("WEBP", "RGBA", (6_686, 1001), {"lossless": True, "method": 0}),
    "rows": ("PNG", "L", (1, 2_064_888), {}),
    "scans": ("JPEG", "RGB", (22_108, 1001), {"progressive": True, "subsampling": 0}),
}


@pytest.mark.parametrize("name", few("lossless", "rows", of=COSTLY))
def test_what_decoding_would_take_is_known_before_it_is_decoded(name, monkeypatch):
    form, mode, (width, height), options = COSTLY[name]
    content = costly(form, mode, (width, height), **options)
    sizes = loaded_sizes(monkeypatch)
    message = why(content)
    assert f"pixels would take {134:,}" in message
    assert "bytes of memory, and at most 134,217,728 are spent on an image" in message
    assert sizes == []
    smaller = costly(form, mode, (width, height - 1), **options)
    assert read(smaller, SMALL).shape == SMALL


@pytest.mark.security
def test_so_much_memory_is_taken(tmp_path):
    """Each kind of image near its limit, in a process of its own."""
    for name, (form, mode, (width, height), options) in COSTLY.items():
        (tmp_path / name).write_bytes(costly(form, mode, (width, height - 1), **options))
    code = (
        "import re, sys\nfrom pathlib import Path\nfrom apparel.data.decode import decode\n"
        "def peak(): return int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status')"
        ".read_text())[1])\n"
        "decode(sys.argv[1], (28, 28))\nbefore = peak()\n"
        "decode(sys.argv[2], (28, 28))\nprint(peak() - before)\n"
    )
    (tmp_path / "small").write_bytes(FILES["png"])
    for name in COSTLY:
        run = [sys.executable, "-c", code, tmp_path / "small", tmp_path / name]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert int(done.stdout) * 1024 < 150e6, name


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "CMYK", "1"])
def test_every_mode_is_the_same_in_strips(mode, monkeypatch):
    image = Image.fromarray(RANDOM.integers(0, 256, (30, 20, 4), dtype=np.uint8))
    if mode == "I;16":
        image = Image.fromarray(RANDOM.integers(0, 65536, (30, 20), dtype=np.uint16))
    elif mode == "P":
        image = image.convert("RGB").quantize(40)
    elif mode == "CMYK":
        image = Image.fromarray(np.asarray(image), "CMYK")
    else:
        image = image.convert(mode)
    options = {"transparency": bytes(range(0, 240, 6))} if mode == "P" else {}
    content = encoded(image, "TIFF" if mode == "CMYK" else "PNG", **options)
    whole = read(content, (30, 20, 3))
    monkeypatch.setattr(cost, "_STRIP_PIXELS", 130)
    np.testing.assert_array_equal(read(content, (30, 20, 3)), whole)


@pytest.mark.security
def test_a_jpeg_of_countless_scans_is_refused():
    content = encoded(Image.new("L", (2000, 2000)), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    n_scans = content.count(b"\xff\xda")
    most = cost.MOST_SCANNED // 2000**2
    for extra, refused in ((most - n_scans, False), (most - n_scans + 1, True)):
        repeated = content[:-2] + scan * extra + content[-2:]
        if refused:
            assert f"its 4,000,000 pixels come in {most + 1} scans, and" in why(repeated)
        else:
            assert read(repeated, SMALL).shape == SMALL


def tiled(side):
    """A TIFF file of 12 x 10 pixels in a tile of another size, packed."""
    pixels = zlib.compress(bytes(side * side))
    tags = [(256, 12), (257, 10), (258, 8), (259, 8), (262, 1), (277, 1), (322, side), (323, side),
            (324, 8 + 2 + 12 * 10 + 4), (325, len(pixels))]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


@pytest.mark.security
def test_a_small_tiff_in_a_huge_tile_is_refused():
    np.testing.assert_array_equal(read(tiled(16), (10, 12, 1)), np.zeros((10, 12, 1)))
    assert read(tiled(4096), (10, 12, 1)).shape == (10, 12, 1)
    assert "of memory, and at most 134,217,728 are spent" in why(tiled(11600))


def test_a_large_bmp_of_runs_is_refused():
    """Pillow fills a line that ends early pixel by pixel."""
    plain = bytearray(encoded(Image.new("L", (1000, 1100)), "BMP"))
    begins = int.from_bytes(plain[10:14], "little")
    plain[30:34] = struct.pack("<I", 1)
    message = why(bytes(plain[:begins]) + b"\0\0" * 1100)
    assert "its 1,100,000 pixels are stored as runs, and at most 1,048,576 are read" in message


ROOMY = {
    "text in png": with_chunks(b"tEXt", b"a\0" + b"b" * 1000, 1500),
    "markers in jpg": with_markers(b"\xff\xe5\xff\xff" + b"x" * 65533, 30),
    "a comment in gif": with_extensions(b"!\xfe" + (b"\xff" + b"a" * 255) * 4000 + b"\0", 1),
}


@pytest.mark.parametrize("name", ROOMY)
def test_an_image_with_much_beside_its_pixels_is_read(name):
    kind = name.rpartition(" ")[2]
    np.testing.assert_array_equal(read(ROOMY[name], SMALL), read(FILES[kind], SMALL))


def test_an_image_of_many_short_runs_is_read():
    """BMP's runs are read one by one, and are no parts."""
    plain = bytearray(encoded(Image.new("L", (100, 100)), "BMP"))
    begins = int.from_bytes(plain[10:14], "little")
    runs = b"".join(bytes((1, value)) for value in range(100)) + b"\0\0"
    plain[30:34] = struct.pack("<I", 1)
    image = read(bytes(plain[:begins]) + runs * 100 + b"\0\1", (100, 100, 1))
    np.testing.assert_array_equal(image[..., 0], np.tile(np.arange(100), (100, 1)))


# -- odd files and names ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device"])
def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path, kind):
    path, said = tmp_path / "image.png", {"pipe": "a pipe", "folder": "a folder"}
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "socket":
            server.bind(str(path))
        assert why(path).startswith(
            f"{path} is {said.get(kind, 'a device or socket')}, but expected"
        )


def test_a_missing_file_is_named(tmp_path):
    assert (
        why(tmp_path / "missing.png") == f"there is no file {tmp_path}/missing.png. Check its path."
    )
    assert "missing.png" in why(tmp_path / "link" / "missing.png")
    (tmp_path / "dead.png").symlink_to("nowhere")
    assert why(tmp_path / "dead.png").startswith("there is no file")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    assert "cannot be read" in why(f"{tmp_path}/{name}")


ODD_NAMES = {
    "with space.png": "with space.png",
    "two\nlines.png": r"two\nlines.png",
    "👗 dress.png": "👗 dress.png",
    "bell\x07\u202e.png": r"bell\x07\u202e.png",
    os.fsdecode(b"latin \xe9.png"): r"latin \udce9.png",
    "n" * 251 + ".png": "n" * 251 + ".png",
    "-": "-",
}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_read_and_shown_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES["bmp"])
    np.testing.assert_array_equal(read(path, SMALL), NOISE)
    path.write_bytes(b"no image")
    message = why(path)
    assert message.startswith(f"{tmp_path}/{ODD_NAMES[name]} is no image")
    assert message.count(ODD_NAMES[name]) == 1 or len(ODD_NAMES[name]) == 1
    message.encode()  # can be printed


def test_bytes_are_called_by_the_name_that_is_given():
    assert why(b"no image", name="table.parquet#7").startswith("table.parquet#7 is no image")
    assert why(b"no image").startswith("the image is no image")


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "image.png")
        path.write_bytes(FILES["png"])
        code = (  # root may read anything, so the process gives root up after its imports
            "import os, sys\nfrom apparel.data.decode import *\n"
            "read(sys.argv[1], (3, 3, 3))\n"
            "os.chmod(sys.argv[1], 0o644)\n"
            "if os.geteuid() == 0: os.setuid(65534)\n"
            "read(sys.argv[1], (3, 3, 3))\nprint('read')\n"
        )
        run = [sys.executable, "-c", code, path]
        assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "read\n"
        run[2] = code.replace("0o644", "0")
        done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"BadImageError: {path} cannot be read (Permission denied). Allow" in done.stderr


def test_several_threads_that_decode_tiff_leave_standard_error_as_it_was():
    buffer = io.BytesIO()
    Image.new("L", (300, 300)).save(buffer, "TIFF")
    content = buffer.getvalue()
    before = os.fstat(2)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: decode(content, (28, 28)), range(100)))
    after = os.fstat(2)
    assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)
