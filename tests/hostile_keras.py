"""`.keras` files that must not be opened, by name, each with what its refusal says."""

import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hostile_configs import config_cases
from tests.hostile_weights import weights_cases
from tests.made_keras import (
    CONFIG,
    FLATTEN,
    METADATA,
    WEIGHTS,
    WHOLE,
    WHOLE_WEIGHTS,
    Case,
    Entry,
    as_bytes,
    dense,
    given,
    model,
    raw_zip,
    zipped,
)

# -- zip ---------------------------------------------------------------------------------


def entries(**changes: Any) -> list[Entry]:
    """The three members, with something false said of the configuration."""
    return [
        Entry(METADATA, b"{}"),
        Entry(CONFIG, as_bytes(model()), **changes),
        Entry(WEIGHTS, WHOLE_WEIGHTS),
    ]


def with_config(**changes: Any) -> bytes:
    return raw_zip(entries(**changes))


def and_one(name: str | bytes, content: bytes = b"x", **changes: Any) -> bytes:
    return raw_zip([*entries(), Entry(name, content, **changes)])


def renamed(name: str | bytes) -> bytes:
    return raw_zip([entries()[0], Entry(name, as_bytes(model())), entries()[2]])


def bombs() -> Iterator[tuple[str, Case]]:
    """Members that inflate to far more than they should."""
    first, second, third = entries()
    packing, part = zlib.compressobj(1, zlib.DEFLATED, -15), bytes(1 << 20)
    packed = b"".join(packing.compress(part) for _ in range(300)) + packing.flush()
    lie = {"method": 8, "crc": 1, "stored": len(packed)}

    def bomb(name: str, size: int) -> Entry:
        return Entry(name, packed, **{**lie, "size": size})

    yield (
        "weights that inflate to 300 MB",
        Case(
            raw_zip([first, second, bomb(WEIGHTS, 300 << 20)]), r"weights.h5 has 314,572,800 bytes"
        ),
    )
    yield (
        "weights that inflate to 300 MB and say 50 KB",
        Case(raw_zip([first, second, bomb(WEIGHTS, 50_000)]), "does not give the 50,000 bytes"),
    )
    yield (
        "a configuration that inflates to 300 MB",
        Case(raw_zip([first, bomb(CONFIG, 300 << 20), third]), "config.json has 314,572,800 bytes"),
    )
    yield (
        "a configuration that inflates to 300 MB and says 1 MB",
        Case(raw_zip([first, bomb(CONFIG, 1 << 20), third]), "does not give the 1,048,576 bytes"),
    )
    yield (
        "metadata that inflate to 300 MB",
        Case(raw_zip([bomb(METADATA, 300 << 20), second, third]), "metadata.json has 314,572,800"),
    )
    wide = model([given(), FLATTEN, dense(units=200_000)])
    yield (
        "weights of a wide model, from 1 KB each MB",
        Case(
            raw_zip(
                [
                    first,
                    Entry(CONFIG, as_bytes(wide)),
                    Entry(WEIGHTS, bytes(50 << 20), deflate=True),
                ]
            ),
            "grows from .* to 52,428,800",
        ),
    )
    yield (
        "zeros of the right size for a wide model",
        Case(
            raw_zip([first, Entry(CONFIG, as_bytes(wide)), Entry(WEIGHTS, bytes(50 << 20))]),
            "no HDF5 file",
        ),
    )


def zip_cases() -> dict[str, Case]:
    """Files that are no zip file of the three members in Keras's form."""
    held = as_bytes(model())
    deflated = Entry(CONFIG, held, deflate=True)
    first, second, third = entries()
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    unended = packing.compress(held) + packing.flush(zlib.Z_SYNC_FLUSH)
    link = {"attributes": 0o120777 << 16}
    zip64 = struct.pack("<2H2Q", 1, 16, len(held), len(held))
    other = struct.pack("<2HBI", 0x7075, 5 + 3, 1, 0) + b"abc"
    found = {
        "nothing": (b"", "has 0 bytes"),
        "text": (b"this is no model, however long it may be", "does not end as a zip"),
        "the first half": (WHOLE[: len(WHOLE) // 2], "does not end as a zip"),
        "all but the last byte": (WHOLE[:-1], "does not end as a zip"),
        "a byte more": (WHOLE + b"\0", "does not end as a zip"),
        "a megabyte more": (WHOLE + bytes(1 << 20), "does not end as a zip"),
        "a program before it": (b"#!/bin/sh\nexit\n" + WHOLE, "does not fit the file"),
        "a program within it": (zipped(before=b"#!/bin/sh\nexit\n"), "begins at 15, expected 0"),
        "a comment": (zipped(comment=b"hello"), "without a comment"),
        "a comment that is not there": (zipped(comment_size=5), "does not fit the file"),
        "a comment on a member that is not there": (
            with_config(comment_size=5),
            "list of members is damaged",
        ),
        "deflated data that go on": (
            raw_zip(
                [
                    first,
                    Entry(CONFIG, unended, method=8, size=len(held), crc=zlib.crc32(held)),
                    third,
                ]
            ),
            "does not give",
        ),
        "a list that lacks a member": (
            raw_zip([first, second], count=3, all=3),
            "list of members is cut",
        ),
        "a list with a member more": (
            raw_zip([first, second, third, first], count=3, all=3),
            "longer than its members",
        ),
        "a long comment": (zipped(comment=bytes(60_000)), "without a comment"),
        "something between list and end": (zipped(between=bytes(100)), "does not fit the file"),
        "something before the list": (zipped(after=bytes(100)), "members end at"),
        "a second end": (WHOLE + WHOLE[-22:], "does not fit the file"),
        "two files in one": (WHOLE + WHOLE, "does not fit the file"),
        "a fourth member": (and_one("x.txt"), "has 4 members"),
        "a vocabulary": (and_one("assets/string_lookup/vocabulary.txt"), "has 4 members"),
        "a path out of the folder": (and_one("../../canary"), "has 4 members"),
        "assets that lead out": (and_one("assets/../../../canary"), "has 4 members"),
        "an empty folder": (and_one("assets/", b""), "has 4 members"),
        "a link beside": (and_one("assets", b"/etc", **link), "has 4 members"),
        "65,535 members": (zipped(count=65_535, all=65_535), "65,535 members"),
        "another count": (zipped(count=2), "does not fit the file"),
        "no configuration": (raw_zip([first, third]), "has 2 members"),
        "no weights": (raw_zip([first, second]), "has 2 members"),
        "no metadata": (raw_zip([second, third]), "has 2 members"),
        "no member": (raw_zip([]), "has 0 members"),
        "weights of NumPy": (
            raw_zip([first, second, Entry("model.weights.npz", b"PK")]),
            "member 'model.weights.n",
        ),
        "the configuration twice": (raw_zip([first, second, second]), "config.json twice"),
        "the weights twice": (raw_zip([second, third, third]), "weights.h5 twice"),
        "two dots in a name": (renamed("../config.json"), "member '../config.json'"),
        "an absolute name": (renamed("/etc/config.json"), "member '/etc/config.json'"),
        "backslashes": (renamed("..\\config.json"), r"member '\.\.\\\\config\.json'"),
        "a drive": (renamed("C:\\config.json"), "member 'C:"),
        "a NUL in a name": (renamed(b"config.json\0.txt"), r"member 'config\.json\\x00"),
        "a dot before a name": (renamed("./config.json"), "member './config.json'"),
        "capitals": (renamed("CONFIG.JSON"), "member 'CONFIG.JSON'"),
        "an empty name": (renamed(""), "member ''"),
        "a name of 60,000 letters": (renamed("c" * 60_000), "list of members has 60"),
        "a name of letters of another alphabet": (renamed("\u0441onfig.json"), "has the member"),
        "a control sequence as a name": (renamed("\x1b[2J"), r"member '\\x1b\[2J'"),
        "a symbolic link": (with_config(**link), "is a link, folder or device"),
        "a folder": (with_config(attributes=0o040700 << 16 | 0x10), "is a link, folder or"),
        "a folder of DOS": (with_config(attributes=0x10, system=0), "is a link, folder or"),
        "a device": (with_config(attributes=0o020600 << 16), "is a link, folder or device"),
        "a pipe": (with_config(attributes=0o010600 << 16), "is a link, folder or device"),
        "a socket": (with_config(attributes=0o140600 << 16), "is a link, folder or device"),
        "encryption": (with_config(flags=1), "with flags 0x1"),
        "strong encryption": (with_config(flags=0x41, version=50), "with flags 0x41"),
        "a hidden list": (with_config(flags=0x2000), "with flags 0x2000"),
        "sizes that come later": (with_config(flags=8), "with flags 0x8"),
        "patched data": (with_config(flags=0x20), "with flags 0x20"),
        "bzip2": (with_config(method=12), "method 12"),
        "LZMA": (with_config(method=14), "method 14"),
        "Zstandard": (with_config(method=93), "method 93"),
        "AES": (with_config(method=99), "method 99"),
        "a newer version": (with_config(version=63), "needs version 63"),
        "another size in its own header": (with_config(local={"size": 9}), "in two ways"),
        "another name in its own header": (
            with_config(local={"name": b"canary.json"}),
            "in two ways",
        ),
        "a longer name in its own header": (
            with_config(local={"name": b"../config.json"}),
            "does not begin as a member",
        ),
        "another checksum in its own header": (with_config(local={"crc": 1}), "in two ways"),
        "another method in its own header": (with_config(local={"method": 8}), "in two ways"),
        "encryption in its own header": (with_config(local={"flags": 1}), "in two ways"),
        "a wrong beginning": (with_config(local={"signature": b"PK\3\5"}), "does not begin as"),
        "a wrong checksum": (with_config(crc=1), "its checksum is another"),
        "stored and of another size": (with_config(size=len(held) + 1), "is stored as"),
        "stored and smaller": (with_config(size=9), "is stored as"),
        "more stored than there is": (with_config(stored=1 << 31, size=1 << 31), "begins at"),
        "4 GB of zeros": (with_config(stored=(1 << 32) - 1, size=(1 << 32) - 1), "begins at"),
        "no deflated data": (with_config(method=8), "is damaged"),
        "deflated data that say less": (
            raw_zip([first, Entry(CONFIG, held, deflate=True, size=10), third]),
            "does not give",
        ),
        "deflated data that say more": (
            raw_zip([first, Entry(CONFIG, held, deflate=True, size=len(held) + 9), third]),
            "does not give",
        ),
        "deflated data with an end": (
            raw_zip(
                [
                    first,
                    Entry(
                        CONFIG,
                        deflated.content + b"more",
                        method=8,
                        size=len(held),
                        crc=zlib.crc32(held),
                    ),
                    third,
                ]
            ),
            "does not give",
        ),
        "deflated data without an end": (
            raw_zip(
                [
                    first,
                    Entry(
                        CONFIG,
                        deflated.content[:-9],
                        method=8,
                        size=len(held),
                        crc=zlib.crc32(held),
                    ),
                    third,
                ]
            ),
            "does not give",
        ),
        "a member in the place of another": (with_config(at=0), "does not begin|in two ways"),
        "a member beyond the file": (with_config(at=(1 << 32) - 9), "ends within"),
        "a member in the list": (
            with_config(at=len(raw_zip(entries())) - 50),
            "does not begin|ends within",
        ),
        "a gap between members": (with_config(gap=bytes(9)), "begins at"),
        "a whole member in a gap": (
            with_config(gap=Entry("evil.json", b"{}").local()),
            "begins at",
        ),
        "another disk": (with_config(disk=1), "list of members is damaged"),
        "an archive of two disks": (zipped(disk=1), "does not fit the file"),
        "a list elsewhere": (zipped(start=0), "does not fit the file"),
        "a list that is too long": (zipped(size=1), "does not fit the file"),
        "a comment on a member": (with_config(comment=b"hello"), "list of members is damaged"),
        "zip64 sizes": (with_config(extra=zip64), "further field 0x1 "),
        "another name in a further field": (with_config(extra=other), "further field 0x7075"),
        "a further field that ends early": (
            with_config(extra=b"\x55\x54\xff\xff"),
            "further field 0x5455",
        ),
        "half a further field": (with_config(extra=b"\x55"), "damaged further fields"),
        "60,000 bytes of further fields": (
            with_config(extra=b"\x55\x54\x00\x00" * 15_000),
            "list of members has 60",
        ),
        "long further fields in its own header": (
            with_config(local={"extra": b"\x55\x54\x00\x00" * 15_000}),
            "does not begin as",
        ),
        "zip64's own end": (
            zipped(count=0xFFFF, all=0xFFFF, start=0xFFFFFFFF, size=0xFFFFFFFF),
            "does not fit",
        ),
    }
    return {name: Case(*case) for name, case in found.items()} | dict(bombs())


# -- JSON --------------------------------------------------------------------------------


def json_cases() -> dict[str, Case]:
    """Configurations that are no JSON of one meaning."""
    whole = as_bytes(model())
    twice = whole.replace(
        b'"class_name": "Sequential"', b'"class_name": "Sequential", "class_name": "Lambda"'
    )
    found = {
        "no JSON": (b"model", "is no JSON"),
        "nothing as JSON": (b"", "is no JSON"),
        "Python instead of JSON": (repr(model()).encode(), "is no JSON"),
        "a pickle as JSON": (pickle.dumps({}), "is no JSON"),
        "a list": (b"[]", "expected a JSON object"),
        "a number": (b"3", "expected a JSON object"),
        "an empty object": (b"{}", "lacks class_name"),
        "UTF-16": (whole.decode().encode("utf-16"), "is no JSON"),
        "a byte order mark": (b"\xef\xbb\xbf" + whole, "is no JSON"),
        "Latin-1": (whole.replace(b"small", b"sm\xe4ll"), "is no JSON"),
        "an overlong dot": (whole.replace(b"small", b"sm\xc0\xaell"), "is no JSON"),
        "something after JSON": (whole + b"{}", "is no JSON"),
        "a name twice": (twice, "a name twice"),
        "a name twice, once escaped": (
            whole.replace(b'"filters": 2', b'"filters": 2, "filter\\u0073": 2'),
            "a name twice",
        ),
        "NaN": (whole.replace(b'"rate": 0.25', b'"rate": NaN'), "the number NaN"),
        "Infinity": (whole.replace(b'"rate": 0.25', b'"rate": -Infinity'), "number -Infinity"),
        "1e999": (whole.replace(b'"rate": 0.25', b'"rate": 1e999'), "the number '1e999'"),
        "a number of 100,000 digits": (
            whole.replace(b'"filters": 2', b'"filters": 2' + b"0" * 100_000),
            "100,001 digits",
        ),
        "a fraction of 100,000 digits": (
            whole.replace(b'"rate": 0.25', b'"rate": 0.' + b"1" * 100_000),
            "the number '0.111",
        ),
        "half a million brackets": (b"[" * 500_000, "is no JSON"),
        "100,000 lists": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is no JSON"),
        "40 lists": (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "nested more than 24 deep"),
        "40 objects": (b'{"a": ' * 40 + b"1" + b"}" * 40, "nested more than 24 deep"),
        "a configuration of 2 MB": (whole + b" " * (2 << 20), "expected up to 1,048,576"),
        "300,000 numbers": (
            whole.replace(b'"kernel_size": [3, 3]', b'"kernel_size": [' + b"3," * 300_000 + b"3]"),
            "kernel_size .* is 300,001 entries",
        ),
        "100,000 names": (
            json.dumps({**model(), **{f"a{k}": 0 for k in range(70_000)}}).encode(),
            "has 'a0', which is not known",
        ),
        "a letter that is none": (whole.replace(b"small", b"\\ud800"), "expected a name"),
    }
    cases = {name: Case(zipped(config), match) for name, (config, match) in found.items()}
    others = {
        "metadata that are no JSON": (b"x", "metadata.json is no JSON"),
        "metadata that are a list": (b"[]", "metadata.json is"),
        "metadata with more": ({"assets": "/etc"}, "metadata.json has 'assets'"),
        "metadata of another kind": ({"keras_version": [3]}, "keras_version of metadata"),
        "metadata of 2 MB": (b" " * (2 << 20), "metadata.json has 2,097,152"),
    }
    for name, (metadata, match) in others.items():
        cases[name] = Case(zipped(metadata=metadata), match)
    return cases


# -- other formats -----------------------------------------------------------------------


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (f"open({str(self.canary)!r}, 'w').write('run')",)


def foreign_cases(canary: Path) -> dict[str, Case]:
    """Files of other formats, by their names and by what they hold."""
    code = pickle.dumps(Evil(canary))
    torch, tar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("archive/data.pkl", code)
        archive.writestr("archive/version", "3")
    with tarfile.open(fileobj=tar, mode="w") as archive:
        held = tarfile.TarInfo("../../canary")
        archive.addfile(held)
    old = r"it is an HDF5 file .*keras\.models\.load_model\('.*'\)\.save\(\"model\.keras\"\)"
    python = r"pickle.*model\.save\(\"model\.keras\"\)"
    return {
        **{f"a model called {suffix}": Case(WHOLE, old, suffix) for suffix in (".h5", ".HDF5")},
        **{
            f"a pickle called {suffix}": Case(code, python, suffix)
            for suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".PKL")
        },
        **{
            f"a pickle of protocol {k}": Case(pickle.dumps(Evil(canary), k), "is a Python pickle")
            for k in (2, 3, 4, 5)
        },
        "a pickle of protocol 0": Case(pickle.dumps(Evil(canary), 0) * 3, "does not end as a zip"),
        "an HDF5 model": Case(WHOLE_WEIGHTS, old),
        "weights alone": Case(WHOLE_WEIGHTS, old, ".weights.h5"),
        "a PyTorch file": Case(torch.getvalue(), "has 2 members"),
        "a PyTorch file called .pt": Case(torch.getvalue(), python, ".pt"),
        "a tar file": Case(tar.getvalue(), "does not end as a zip"),
        "gzip": Case(b"\x1f\x8b\x08" + bytes(50), "does not end as a zip"),
        "an ONNX file": Case(b"\x08\x08" + bytes(500), "does not end as a zip"),
        "a NumPy file": Case(b"\x93NUMPY" + bytes(50), "does not end as a zip"),
    }


def cases(canary: Path) -> dict[str, Case]:
    """All hostile files.

    Args:
        canary: a file that their payloads would write, or read.
    """
    groups = [
        zip_cases(),
        json_cases(),
        config_cases(canary),
        weights_cases(canary),
        foreign_cases(canary),
    ]
    found = {name: case for group in groups for name, case in group.items()}
    assert len(found) == sum(map(len, groups))  # no name twice
    return found
