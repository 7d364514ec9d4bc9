"""Weights that must not reach an HDF5 library, of `hostile_keras`."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from tests.made_keras import ARRAYS, WHOLE_WEIGHTS, Case, model, weights, zipped

KERNEL, BIAS = "layers/conv2d/vars/0", "layers/conv2d/vars/1"
HUGE = 1 << 40


def replaced(path: str, make: Callable[[h5py.Group, str], object]) -> bytes:
    """The weights with another object in the place of one."""

    def change(file: h5py.File) -> None:
        del file[path]
        parent, _, name = path.rpartition("/")
        make(file[parent or "/"], name)

    return weights(change)


def kernel(**options: object) -> bytes:
    """The weights with a kernel of another kind."""
    base = {"data": ARRAYS[KERNEL]} if "shape" not in options else {"dtype": "f4"}
    return replaced(KERNEL, lambda group, name: group.create_dataset(name, **{**base, **options}))


def typed(dtype: object) -> bytes:
    if np.dtype(dtype).kind in "fiu":
        return kernel(data=np.zeros((3, 3, 1, 2), dtype))
    return kernel(shape=(3, 3, 1, 2), dtype=dtype)


def committed(file: h5py.File) -> None:
    file["type"] = np.dtype("f4")


def referring(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (3, 3, 1, 2), h5py.ref_dtype)[...] = group.ref


def region(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (3, 3, 1, 2), h5py.regionref_dtype)


def virtual(path: str) -> Callable[[h5py.Group, str], object]:
    layout = h5py.VirtualLayout((3, 3, 1, 2), "f4")
    layout[...] = h5py.VirtualSource(path, "x", (3, 3, 1, 2))
    return lambda group, name: group.create_virtual_dataset(name, layout)


def with_attribute(value: object, name: str = "name", **options: object) -> bytes:
    return weights(lambda file: file[KERNEL].attrs.create(name, value, **options))


def links_of(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Names that lead elsewhere, and data that are elsewhere."""
    elsewhere = h5py.ExternalLink(str(canary), "/x")
    soft, loop = h5py.SoftLink("/" + BIAS), h5py.SoftLink("/" + KERNEL)

    def put(link: object) -> Callable[[h5py.Group, str], object]:
        return lambda group, name: group.__setitem__(name, link)

    def external(n_bytes: int) -> Callable[[h5py.Group, str], object]:
        return lambda group, name: group.create_dataset(
            name, (3, 3, 1, 2), "f4", external=[(str(canary), 0, n_bytes)]
        )

    return {
        "an external link": (replaced(KERNEL, put(elsewhere)), "form that Keras does not use"),
        "an external link as a group": (
            replaced("layers/conv2d", put(elsewhere)),
            "form that Keras does not use",
        ),
        "an external link besides": (
            weights(lambda file: file.__setitem__("layers/x", elsewhere)),
            "form that Keras does not use",
        ),
        "a soft link": (replaced(KERNEL, put(soft)), "soft link"),
        "a soft link in the newest form": (
            weights(lambda file: put(soft)(file["vars"], "0"), libver="latest"),
            "soft or external link",
        ),
        "an external link in the newest form": (
            weights(lambda file: put(elsewhere)(file["vars"], "0"), libver="latest"),
            "soft or external link",
        ),
        "a soft link to itself": (replaced(KERNEL, put(loop)), "soft link"),
        "a soft link as a group": (
            replaced("layers/conv2d", put(h5py.SoftLink("/layers/dense"))),
            "soft link",
        ),
        "a soft link as the root's member": (
            replaced("layers", put(h5py.SoftLink("/"))),
            "soft link",
        ),
        "another name of a dataset": (
            replaced(KERNEL, lambda group, name: group.__setitem__(name, group.file[BIAS])),
            "known by 2 names",
        ),
        "another name of a group": (
            replaced(
                "layers/flatten", lambda group, name: group.__setitem__(name, group["dropout"])
            ),
            "known by 2 names",
        ),
        "a group within itself": (
            replaced(
                "layers/flatten/vars",
                lambda group, name: group.__setitem__(name, group.file["layers"]),
            ),
            "known by 2 names",
        ),
        "the root within itself": (
            replaced(
                "layers/flatten/vars", lambda group, name: group.__setitem__(name, group.file["/"])
            ),
            "known by 2 names|used twice",
        ),
        "values in another file": (replaced(KERNEL, external(72)), "message of kind 7"),
        "unlimited values in another file": (
            replaced(KERNEL, external(h5py.h5f.UNLIMITED)),
            "message of kind 7",
        ),
        "values of a state in another file": (
            replaced(
                "optimizer/vars/1",
                lambda group, name: group.create_dataset(
                    name, (1,), "f4", external=[(str(canary), 0, 4)]
                ),
            ),
            "message of kind 7",
        ),
        "a virtual dataset": (replaced(KERNEL, virtual(str(canary))), "in one piece"),
        "a virtual dataset of this file": (replaced(KERNEL, virtual(".")), "in one piece"),
        "a reference": (replaced(KERNEL, referring), "does not hold numbers"),
        "a reference to a region": (replaced(KERNEL, region), "does not hold numbers"),
    }


def kinds() -> dict[str, tuple[bytes, str]]:
    """Objects of another kind, shape or type."""
    spaces = {
        f"a kernel of the shape {shape}": (
            kernel(shape=shape, **({"chunks": (1,) * len(shape)} if len(shape) else {})),
            match,
        )
        for shape, match in (
            ((HUGE,), "in one piece"),
            ((1 << 20, 1 << 20, 1, 2), "in one piece"),
            ((1 << 62, 4, 4), "in one piece"),
            ((3, 3, 1, 2), "in one piece"),
        )
    }
    shapes = {
        f"a whole kernel of the shape {shape}": (
            kernel(data=np.zeros(shape, np.float32)),
            "implies float32 of .3, 3, 1, 2.",
        )
        for shape in ((), (18,), (3, 3, 2, 1), (3, 3, 1, 3), (0,), (1,) * 8, (3, 3, 1, 2, 1))
    }
    types = {
        f"a kernel of {name}": (typed(dtype), match)
        for name, dtype, match in (
            ("float64", "f8", "implies float32"),
            ("float16", "f2", "implies float32"),
            ("int32", "i4", "implies float32"),
            ("uint8", "u1", "implies float32"),
            ("int8", "i1", "does not hold numbers"),
            ("big-endian numbers", ">f4", "not hold numb"),
            ("complex numbers", "c8", "does not hold numbers"),
            ("bytes", "S4", "not hold numbers"),
            ("texts", h5py.string_dtype(), "does not hold numbers"),
            ("voids", "V4", "not hold num"),
            ("records", [("a", "f2"), ("b", "f2")], "does not hold numbers"),
            ("enumerated numbers", h5py.enum_dtype({"a": 1}, "i4"), "does not hold numbers"),
            ("lists", h5py.vlen_dtype("f4"), "does not hold numbers"),
            ("arrays", np.dtype(("f4", (2,))), "implies float32|does not hold|is not within"),
            ("bfloat16", "V2", "implies float32|is not within"),
        )
    }
    filters = {
        f"a kernel by {name}": (kernel(chunks=(3, 3, 1, 2), **options), "kind 11|in one piece")
        for name, options in {
            "gzip": {"compression": "gzip"},
            "LZF": {"compression": "lzf"},
            "shuffling": {"shuffle": True},
            "checksums": {"fletcher32": True},
            "scaling": {"scaleoffset": 4},
        }.items()
    }
    states = {
        "a state of another shape": (
            weights(lambda file: file.__setitem__("optimizer/vars/2", np.ones((7, 7), "f4"))),
            "more variables of",
        ),
        "a state of 40 numbers": (
            weights(
                lambda file: [
                    file.__setitem__(f"optimizer/vars/{k}", np.float32(k)) for k in range(2, 40)
                ]
            ),
            "more variables of",
        ),
        "30 states of a kernel": (
            weights(
                lambda file: [
                    file.__setitem__(f"optimizer/vars/{k}", ARRAYS[KERNEL]) for k in range(2, 32)
                ]
            ),
            "more variables of|weights.h5 has",
        ),
        "a state that is not counted": (
            weights(lambda file: file.__setitem__("optimizer/vars/x", np.float32(1))),
            "not count",
        ),
        "a state that skips a number": (
            weights(lambda file: file.__setitem__("optimizer/vars/9", np.float32(1))),
            "not count",
        ),
        "a state that is a group": (
            weights(lambda file: file.create_group("optimizer/vars/2")),
            "message of kind 17|as a",
        ),
        "a state of texts": (
            weights(lambda file: file.__setitem__("optimizer/vars/2", "text")),
            "not hold numbers",
        ),
        "a state beside the state": (
            weights(lambda file: file.create_group("optimizer/evil")),
            "does not imply",
        ),
    }
    big = b"\0" * 600
    return {
        **spaces,
        **shapes,
        **types,
        **filters,
        **states,
        "a kernel that may grow": (kernel(maxshape=(None, 3, 1, 2)), "in one piece|may grow"),
        "a compact kernel": (replaced(KERNEL, compact), "in one piece"),
        "a kernel that is not there": (
            weights(lambda file: file.__delitem__(KERNEL)),
            "lack /layers/c",
        ),
        "a bias that is not there": (
            weights(lambda file: file.__delitem__(BIAS)),
            "lack /layers/conv",
        ),
        "a layer that is not there": (
            weights(lambda file: file.__delitem__("layers/dense")),
            "lack /layers/dense",
        ),
        "layers that are not there": (
            weights(lambda file: file.__delitem__("layers")),
            "lack /layers",
        ),
        "a kernel that is a group": (
            replaced(KERNEL, lambda group, name: group.create_group(name)),
            "as a group|kind 17",
        ),
        "a group that is a dataset": (
            replaced("layers/flatten", lambda group, name: group.__setitem__(name, np.ones(3))),
            "message of kind 1|kind 3",
        ),
        "a dataset more": (
            weights(lambda file: file.__setitem__("layers/conv2d/vars/2", np.ones(3, "f4"))),
            "has '2', which its configuration does not imply",
        ),
        "a dataset of a layer without any": (
            weights(lambda file: file.__setitem__("layers/flatten/vars/0", np.ones(3, "f4"))),
            "has '0', which",
        ),
        "a dataset of the root": (
            weights(lambda file: file.__setitem__("vars/0", np.ones(3, "f4"))),
            "has '0', which",
        ),
        "a layer more": (
            weights(lambda file: file.create_group("layers/lambda/vars")),
            "has 'lambda', which",
        ),
        "a group more": (weights(lambda file: file.create_group("evil")), "has 'evil', which"),
        "a hundred layers more": (
            weights(lambda file: [file.create_group(f"layers/x{k}") for k in range(100)]),
            "has 'x.*', which|weights.h5 has",
        ),
        "a name of 1,000 letters": (
            weights(lambda file: file.create_group("layers/" + "x" * 1000)),
            "does not end|which",
        ),
        "a name of another alphabet": (
            weights(lambda file: file.create_group("layers/\u0441onv2d")),
            "form that Keras does not use",
        ),
        "a named type": (weights(committed), "has 'type', which"),
        "an attribute of another name": (with_attribute("x", "dimension"), "attribute that Keras"),
        "an attribute that is a number": (with_attribute(3), "attribute that Keras does not"),
        "an attribute that is a reference": (
            with_attribute(None, shape=(), dtype=h5py.ref_dtype),
            "attribute that Keras does not",
        ),
        "an attribute that is large": (with_attribute(np.zeros(7000)), "attribute that Keras"),
        "no HDF5": (b"weights", "no HDF5 file"),
        "nothing as weights": (b"", "no HDF5 file"),
        "a pickle as weights": (b"\x80\x04" + bytes(99), "no HDF5 file"),
        "NumPy's weights": (b"\x93NUMPY" + bytes(99), "no HDF5 file"),
        "zeros as weights": (bytes(9999), "no HDF5 file"),
        "a signature alone": (WHOLE_WEIGHTS[:8], "ends? within a structure"),
        "half of the weights": (
            WHOLE_WEIGHTS[: len(WHOLE_WEIGHTS) // 2],
            "superblock that does not",
        ),
        "weights without their end": (WHOLE_WEIGHTS[:-1], "superblock that does not fit"),
        "weights and more": (WHOLE_WEIGHTS + bytes(99), "superblock that does not fit"),
        "weights after a block of the user's": (weights(userblock_size=512), "no HDF5 file"),
        "weights after text": (big + WHOLE_WEIGHTS, "no HDF5 file"),
        "groups in the newest form": (
            weights(
                lambda file: [file.create_group(f"layers/{name}x") for name in "abcdef"],
                libver="latest",
            ),
            "form that Keras does not use",
        ),
    }


def compact(group: h5py.Group, name: str) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((3, 3, 1, 2))
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plist)


def patched(at: int, form: str, *values: int, content: bytes = WHOLE_WEIGHTS) -> bytes:
    """The whole weights with other numbers at a place."""
    changed = bytearray(content)
    struct.pack_into("<" + form, changed, at, *values)
    return bytes(changed)


def places() -> dict[str, int]:
    """Where the structures of the whole weights are."""
    content = WHOLE_WEIGHTS
    with h5py.File(io.BytesIO(content)) as file:
        info = {
            name: h5py.h5o.get_info(file[name].id).addr for name in (KERNEL, BIAS, "layers", "/")
        }
        data = file[KERNEL].id.get_offset()
    tree, heap = struct.unpack_from("<2Q", content, 80)
    header = info[KERNEL]
    size = struct.unpack_from("<I", content, header + 8)[0]
    messages, at = {}, header + 16
    while at < header + 16 + size:
        kind, length = struct.unpack_from("<2H", content, at)
        messages.setdefault(kind, at)
        at += 8 + length
    node = struct.unpack_from("<Q", content, tree + 32)[0]
    return {
        "tree": tree,
        "heap": heap,
        "node": node,
        "header": header,
        "data": data,
        "bias": info[BIAS],
        "layers": info["layers"],
        **{f"message {kind}": place for kind, place in messages.items()},
    }


def structures() -> dict[str, tuple[bytes, str]]:
    """Structures that lie about where they end, or lead into one another."""
    at = places()
    far, last = (1 << 63) + 8, (1 << 64) - 1
    end = len(WHOLE_WEIGHTS)
    tree, node, heap, header = at["tree"], at["node"], at["heap"], at["header"]
    space, kind, layout = (at[f"message {k}"] + 8 for k in (1, 3, 8))
    inner = struct.unpack_from("<Q", WHOLE_WEIGHTS, node + 32)[0]  # of the first group
    lying = patched(inner + 5, "B", 5)
    listed = WHOLE_WEIGHTS.find(struct.pack("<Q", header))
    empty = patched(space + 8, "Q", 0)
    attribute = WHOLE_WEIGHTS.find(b"name\0\0\0\0", at["layers"]) - 16
    newest, one = weights(libver="latest"), b"\x06\x0c\x00\x00\x01\x00\x011"
    assert one in newest
    lost = "within|no (header|TREE|SNOD|HEAP)|twice|share|described|kind 1$|kind 1\\.|a short name"
    addresses = {
        f"{name} at {place:,}": (patched(where, "Q", place), lost)
        for name, where in {
            "a root group": 64,
            "a tree": 80,
            "a heap": 88,
            "a leaf": tree + 32,
            "names": heap + 24,
            "an object": node + 16,
            "a kernel": layout + 2,
        }.items()
        for place in (0, 8, 96, header, end - 1, end, far, last)
        if patched(where, "Q", place) != WHOLE_WEIGHTS
    }
    return {
        **addresses,
        "the kernel's values as the bias's": (
            patched(layout + 2, "Q", at["data"] + 8),
            "share the bytes|is not within",
        ),
        "a superblock of version 1": (patched(8, "B", 1), "of version 1"),
        "a superblock of version 9": (patched(8, "B", 9), "of version 9"),
        "a free space of version 1": (patched(9, "B", 1), "superblock that does not fit"),
        "addresses of 4 bytes": (patched(13, "B", 4), "superblock that does not fit"),
        "lengths of 255 bytes": (patched(14, "B", 255), "superblock that does not fit"),
        "a base of 512": (patched(24, "Q", 512), "superblock that does not fit"),
        "another end": (patched(40, "Q", end - 8), "superblock that does not fit"),
        "an end beyond the file": (patched(40, "Q", last), "superblock that does not fit"),
        "a driver": (patched(48, "Q", 96), "superblock that does not fit"),
        "a root of another kind": (patched(72, "I", 2), "soft link"),
        "a tree of datasets": (patched(tree + 4, "B", 1), "tree that does not fit"),
        "a tree of 200 levels": (patched(tree + 5, "B", 200), "tree of 200 levels"),
        "a tree of another level within a tree": (
            patched(tree + 5, "B", 1, content=patched(tree + 32, "Q", inner, content=lying)),
            "tree that does not fit",
        ),
        "a tree of one level more": (patched(tree + 5, "B", 1), "no TREE at"),
        "a tree of 65,535 leaves": (patched(tree + 6, "H", 65_535), "within|no SNOD"),
        "a tree beside a tree": (patched(tree + 16, "Q", tree), "or a part of one"),
        "a leaf of 65,535 members": (patched(node + 6, "H", 65_535), "within"),
        "a leaf of version 2": (patched(node + 4, "B", 2), "members of version 2"),
        "a leaf of no members": (patched(node + 6, "H", 0), "lack /layers"),
        "a name far away": (patched(node + 8, "Q", far), "does not end"),
        "a name at the heap's end": (patched(node + 8, "Q", 10**6), "does not end"),
        "the same name twice": (
            patched(node + 8, "Q", struct.unpack_from("<Q", WHOLE_WEIGHTS, node + 48)[0]),
            "twice, or in disorder",
        ),
        "an object of two descriptions": (patched(node + 32, "Q", 8), "in two ways"),
        "names of 2^63 bytes": (patched(heap + 8, "Q", far), "is not within"),
        "names of another version": (patched(heap + 4, "B", 1), "names of version 1"),
        "a header of version 3": (patched(header, "B", 3), "has no header"),
        "a header of 65,535 messages": (patched(header + 2, "H", 65_535), "says 65,535"),
        "a header of no messages": (patched(header + 2, "H", 0), "says 0"),
        "a dataset of no names": (patched(header + 4, "I", 0), "known by 0 names"),
        "a dataset of 2^32 names": (patched(header + 4, "I", 2**32 - 1), "known by 4,294,967,295"),
        "a header of 4 GB": (patched(header + 8, "I", 2**32 - 8), "is not within"),
        "a header of nothing": (patched(header + 8, "I", 0), "says|messages"),
        "a message of 65,535 bytes": (patched(space - 6, "H", 65_528), "that its header cuts"),
        "a shared message": (patched(space - 4, "B", 2), "shares with another object"),
        "a message of another kind": (patched(space - 8, "H", 99), "message of kind 99"),
        "a filter": (patched(space - 8, "H", 11), "message of kind 11"),
        "no shape": (patched(space - 8, "H", 0), "messages of kind 1, expected one"),
        "two shapes": (patched(kind - 8, "H", 1), "messages of kind 1|shape of version"),
        "a header that goes on in itself": (
            patched(kind - 8, "HHB3xQQ", 16, 24, 0, header, 64),
            "used twice",
        ),
        "a header that goes on for ever": (
            patched(kind - 8, "HHB3xQQ", 16, 24, 0, kind - 8, 32),
            "used twice|share|messages of",
        ),
        "a header that goes on beyond the file": (
            patched(kind - 8, "HHB3xQQ", 16, 24, 0, far, 64),
            "is not within",
        ),
        "a header that goes on with nothing": (
            patched(kind - 8, "HHB3xQQ", 16, 24, 0, 96, 0),
            "is not within",
        ),
        "a shape of 255 sizes": (patched(space + 1, "B", 255), "255 sizes"),
        "a shape of 2^64 values": (
            patched(space + 40, "Q", last, content=patched(space + 8, "Q", last)),
            "its shape expects",
        ),
        "a shape of no values": (
            patched(space + 40, "Q", 0, content=patched(space + 8, "Q", 0)),
            "its shape expects",
        ),
        "a kernel without values that has a place": (
            patched(layout + 10, "Q", 0, content=patched(space + 40, "Q", 0, content=empty)),
            "is empty, and has a place",
        ),
        "a group that lists its members twice": (
            patched(attribute, "H", 6),
            "lists its members in two ways",
        ),
        "a newer header of version 3": (
            newest.replace(b"OHDR\2", b"OHDR\3"),
            "header of version 3",
        ),
        "a newer header of unknown flags": (
            newest.replace(b"OHDR\2\x20", b"OHDR\2\xe0"),
            "with flags 0xe0",
        ),
        "a newer header that goes on elsewhere": (newest.replace(b"OCHK", b"XCHK"), "no OCHK at"),
        "one name twice in the newest form": (
            newest.replace(one, one[:-1] + b"0"),
            "two members of one name",
        ),
        "no shape and two types": (patched(space - 8, "H", 3), "messages of kind 1, expected one"),
        "a shape of more values": (patched(space + 8, "Q", 9), "may grow"),
        "a shape that may grow": (patched(space + 40, "Q", last), "may grow"),
        "a shape of version 3": (patched(space, "B", 3), "shape of version 3"),
        "big-endian numbers by one bit": (patched(kind + 1, "B", 0x21), "not hold numbers"),
        "more after a type": (patched(kind + 20, "I", 1), "does not hold numbers"),
        "a dataset that is called a group": (patched(listed + 8, "I", 1), "described as a group"),
        "other bits of an exponent": (patched(kind + 12, "B", 22), "does not hold numbers"),
        "numbers of 3 bytes": (patched(kind + 4, "I", 3), "does not hold numbers"),
        "numbers of 4 GB": (patched(kind + 4, "I", 2**32 - 1), "does not hold numbers"),
        "a layout of version 9": (patched(layout, "B", 9), "in one piece"),
        "values of 8 bytes more": (patched(layout + 10, "Q", 80), "and its shape expects"),
        "values of 2^64 bytes": (patched(layout + 10, "Q", last), "and its shape expects"),
    }


def weights_cases(canary: Path) -> dict[str, Case]:
    """All of them as files."""
    found = {**links_of(canary), **kinds(), **structures()}
    config = model()
    return {name: Case(zipped(config, held), match) for name, (held, match) in found.items()}
