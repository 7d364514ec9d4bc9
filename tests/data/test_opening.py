"""Image files that are broken, hostile or odd: each is named, and does no harm."""

import io
import os
import socket
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from apparel.data.decode import BadImageError, cost, decode, image_size, opening, read
from tests.data.made_images import FILES, NOISE, RANDOM, SMALL, encoded, loaded_sizes, why

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


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    webp = b"RIFF" + struct.pack("<I", 22) + b"WEBP" + canvas + b"\xff\xff\0" * 2
    sizes = loaded_sizes(monkeypatch)
    for content in bombs(10_000, 9_000).values():
        assert "too large to open safely: it has more than the 89,478,485 pixels" in why(content)
        with pytest.raises(BadImageError, match="too large"):
            image_size(content)
    assert "too large to open safely" in why(webp)
    assert sizes == []
    content = encoded(NOISE, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 120)
    np.testing.assert_array_equal(read(content, SMALL), NOISE)
    for limit in (119, 59):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert f"more than the {limit} pixels" in why(content)


def test_a_side_of_0_is_refused():
    for name, content in bombs(0, 5).items():
        if name != "gif":  # grows as its frame needs
            assert why(content, name=name).startswith(name)


@pytest.mark.parametrize(
    "content",
    [
        b"this is no image\n",
        b"\x89PNG\r\n\x1a\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",  # Pillow would run a program
    ],
)
def test_a_file_that_is_no_image_is_refused_with_its_beginning(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    message = why(path)
    assert message.startswith(f"{path} is no image of a format that is read")
    assert f"but it begins with {content[:12]!r}" in message


def test_an_empty_or_huge_file_is_refused(tmp_path):
    path = tmp_path / "image.png"
    path.touch()
    assert why(path) == f"{path} is empty: 0 bytes. Copy it again, or leave it out."
    assert why(b"") == "the image is empty: 0 bytes. Copy it again, or leave it out."
    with path.open("wb") as file:
        file.write(FILES["webp"])
        file.truncate(opening.MAX_FILE_BYTES + 1)  # a hole, which takes no space
    assert "is too large to open safely: it has 1,073,741,825 bytes" in why(path)


def test_every_error_of_pillow_is_explained_and_an_interruption_is_none(monkeypatch):
    errors = [KeyboardInterrupt(), RecursionError("a\nb"), MemoryError(), KeyError("x")]

    def fail(self):
        raise errors[-1]

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    while len(errors) > 1:
        assert "is damaged or cut off" in why(FILES["png"])
        errors.pop()
    with pytest.raises(KeyboardInterrupt):
        read(FILES["png"], SMALL)


def test_logs_of_pillow_are_not_printed():
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
    "no pixels in png": with_chunks(b"IDAT", b"", 30_000),
    "markers in jpg": with_markers(b"\xff\xe5\0\2", 100_000),
    "a comment in gif": with_extensions(b"!\xfe" + b"\1a" * 200_000 + b"\0", 1),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_file_of_countless_parts_is_refused(name, tmp_path):
    assert "more parts than any image" in why(FLOODS[name])
    path = tmp_path / "flood"
    path.write_bytes(FLOODS[name])
    assert "more parts than any image" in why(path)


COSTLY = {
    "colour": ("PNG", "RGB", (33_010, 1001), {}),
    "transparent": ("PNG", "RGBA", (16_636, 1001), {}),
    "lossless": ("WEBP", "RGBA", (6_686, 1001), {"lossless": True, "method": 0}),
    "rows": ("PNG", "L", (1, 2_064_888), {}),
    "scans": ("JPEG", "RGB", (22_108, 1001), {"progressive": True, "subsampling": 0}),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in {"lossless", "rows"} else pytest.mark.security)
        for name in COSTLY
    ],
)
def test_the_memory_is_known_before_an_image_is_decoded(name, monkeypatch):
    form, mode, (width, height), options = COSTLY[name]
    content = encoded(Image.new(mode, (width, height)), form, **options)
    sizes = loaded_sizes(monkeypatch)
    message = why(content)
    assert f"pixels would take {134:,}" in message
    assert "bytes of memory, and at most 134,217,728 are spent on an image" in message
    assert sizes == []
    smaller = encoded(Image.new(mode, (width, height - 1)), form, **options)
    assert read(smaller, SMALL).shape == SMALL


@pytest.mark.security
def test_so_much_memory_is_taken():
    """Each kind of image near its limit, in a process of its own."""
    code = (
        "import re, sys\nfrom pathlib import Path\nfrom apparel.data.decode import decode\n"
        "content = sys.stdin.buffer.read()\n"
        "def peak(): return int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status')"
        ".read_text())[1])\n"
        "before = peak()\ndecode(content, (28, 28))\nprint(peak() - before)\n"
    )
    for name, (form, mode, (width, height), options) in COSTLY.items():
        content = encoded(Image.new(mode, (width, height - 1)), form, **options)
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, input=content, capture_output=True, check=True)
        assert int(done.stdout) * 1024 < 150e6, name


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "1"])
def test_every_mode_is_the_same_in_strips(mode, monkeypatch):
    image = Image.fromarray(RANDOM.integers(0, 256, (30, 20, 4), dtype=np.uint8))
    content = encoded(image.convert(mode), "TIFF" if mode == "CMYK" else "PNG")
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


def test_an_image_with_much_beside_its_pixels_is_read():
    for kind, content in {
        "png": with_chunks(b"tEXt", b"a\0" + b"b" * 1000, 1500),
        "jpg": with_markers(b"\xff\xe5\xff\xff" + b"x" * 65533, 30),
        "gif": with_extensions(b"!\xfe" + (b"\xff" + b"a" * 255) * 4000 + b"\0", 1),
    }.items():
        np.testing.assert_array_equal(read(content, SMALL), read(FILES[kind], SMALL))


# -- odd files and names ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_a_file_that_is_not_regular_is_refused_without_opening_it(tmp_path, kind):
    path, said = tmp_path / "image.png", {"pipe": "a pipe", "folder": "a folder"}
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "socket":
            server.bind(str(path))
        message = why(path)
    assert message.startswith(f"{path} is {said.get(kind, 'a device or socket')}, but expected")


def test_a_missing_file_is_named(tmp_path):
    missing = f"{tmp_path}/missing.png"
    assert why(missing) == f"there is no file {missing}. Check its path."
    for name in ("a" * 300, "a\0b"):
        assert "cannot be read" in why(f"{tmp_path}/{name}")


ODD_NAMES = {
    "two\nlines.png": r"two\nlines.png",
    "👗 dress.png": "👗 dress.png",
    "bell\x07\u202e.png": r"bell\x07\u202e.png",
    os.fsdecode(b"latin \xe9.png"): r"latin \udce9.png",
}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_read_and_shown_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES["bmp"])
    np.testing.assert_array_equal(read(path, SMALL), NOISE)
    path.write_bytes(b"no image")
    message = why(path)
    assert message.startswith(f"{tmp_path}/{ODD_NAMES[name]} is no image")
    message.encode()  # can be printed
    assert why(b"no image", name="table.parquet#7").startswith("table.parquet#7 is no image")
    assert why(b"no image").startswith("the image is no image")


def test_several_threads_that_decode_tiff_leave_standard_error_as_it_was():
    buffer = io.BytesIO()
    Image.new("L", (300, 300)).save(buffer, "TIFF")
    content = buffer.getvalue()
    before = os.fstat(2)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: decode(content, (28, 28)), range(100)))
    after = os.fstat(2)
    assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)
