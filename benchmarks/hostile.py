"""Texts and bundles made to break their readers, reproducible by seed."""

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

CONFIGURATION, GRAPH, VOCABULARY = "eibert.json", "model.onnx", "vocab.txt"
MEGABYTE = 1_000_000
LONG_EVERY = 500
"""One text in this many is a megabyte long."""

Contents = dict[str, bytes]

_WORDS = ("play", "Stop", "the", "SONG", "light", "naïve", "İstanbul", "ΣΊΣΥΦΟΣ", "straße", "[CLS]", "[UNK]", "##ing")
_EMOJI = ("👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇨🇭", "☕️", "1️⃣", "\u200d", "\ufe0f", "🧑🏿‍🚀")
_CONTROLS = "\0\1\a\b\t\n\v\f\r\x1b\x7f\x85\xad\ufeff\ufffe\uffff"
_ARABIC = ("قَالَ", "مُحَمَّدٌ", "السلام", "\u202e", "\u200f", "שָׁלוֹם", "हिन्दी", "ไทย", "漢字", "각", "\u1100\u1161\u11a8")
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, 2**64, 10**40, -(10**40), 1e308, float("nan"), float("inf"), "",
    "x", "\0", "\ud800", "\u202e", "x" * 100_000, "../../escape", [], {}, [None], [[]], {"a": {}}, ["a", "a"],
    ["\ud800", "b", "c"],
    {"bytes": 1}, {"bytes": "1", "sha256": 7}, {"bytes": 1e999, "sha256": "0" * 64},
)  # fmt: skip
_NAMES = (
    "../escape", "..", ".", "", "/etc/passwd", "a/b", "a\\b", "a\0b", "C:escape", "\ud800", "\udcff", "x" * 5000, "~",
    "-", "con", "model.onnx ", "\u202egnp.exe", "eibert.json", "\n", "%2e%2e%2fescape", "file:///etc/passwd",
    "http://127.0.0.1:9/x",
)  # fmt: skip


def texts(count: int, seed: int) -> Iterator[str]:
    """Yields texts of all kinds: surrogates, controls, joined emoji, floods of marks, spaces, overlong words."""
    generator = random.Random(seed)
    makes: tuple[Callable[[random.Random], str], ...] = (
        lambda g: "".join(chr(g.randrange(0x110000)) for _ in range(g.randrange(40))),
        lambda g: "".join(chr(g.randrange(0xD800, 0xE000)) for _ in range(g.randrange(1, 12))),
        lambda g: "".join(g.choice(_CONTROLS) for _ in range(g.randrange(20))),
        lambda g: "".join(g.choice(_EMOJI) for _ in range(g.randrange(1, 30))),
        lambda g: " ".join(g.choice(_ARABIC) for _ in range(g.randrange(1, 20))),
        lambda g: g.choice("aé漢") + "".join(chr(g.randrange(0x300, 0x370)) for _ in range(g.randrange(1, 2000))),
        lambda g: g.choice(" \t\n\u00a0\u2003\u2028\u3000") * g.randrange(1, 300),
        lambda g: g.choice("xé漢👍") * g.choice((99, 100, 101, 1000, 20_000)),
        lambda g: " ".join(g.choice(_WORDS) for _ in range(g.randrange(30))),
        lambda g: g.choice(("<script>alert(1)</script>", "' OR 1=1 --", "%s %n {0}", "$(id) `id`", "\\x00 &#0;")),
    )
    for number in range(count):
        if number % LONG_EVERY == LONG_EVERY - 1:
            piece = generator.choice(makes)(generator) or " "
            yield (piece * (MEGABYTE // len(piece) + 1))[:MEGABYTE]
        else:
            yield "".join(generator.choice(makes)(generator) for _ in range(generator.choice((0, 1, 1, 2, 3))))


def read(folder: Path) -> Contents:
    """Returns the files of a sound bundle by name."""
    return {name: (folder / name).read_bytes() for name in (CONFIGURATION, GRAPH, VOCABULARY)}


def write_bundle(sound: Contents, folder: Path, seed: int) -> str:
    """Writes a corrupted bundle into a new folder and returns the kind of corruption."""
    generator = random.Random(seed)
    way = generator.choice(tuple(_WAYS))
    folder.mkdir(parents=True)
    contents = _WAYS[way](dict(sound), generator)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    if way == "special file":
        _special(folder, generator)
    return way


def vouched(contents: Contents) -> Contents:
    """Returns the contents with the configuration's sizes and digests updated to match the other files."""
    facts = json.loads(contents[CONFIGURATION])
    for name, content in contents.items():
        if name != CONFIGURATION:
            facts["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return contents | {CONFIGURATION: _json(facts)}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()  # ASCII, so that it can represent lone surrogates


def _bytes_flipped(content: bytes, generator: random.Random) -> bytes:
    spoilt = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 8, 64))):
        spoilt[generator.randrange(len(spoilt))] = generator.randrange(256)
    return bytes(spoilt)


def _cut(content: bytes, generator: random.Random) -> bytes:
    return content[: generator.choice((0, 1, len(content) // 2, len(content) - 1, generator.randrange(len(content))))]


def _flipped(contents: Contents, generator: random.Random) -> Contents:
    name = generator.choice(sorted(contents))
    return contents | {name: _bytes_flipped(contents[name], generator)}


def _truncated(contents: Contents, generator: random.Random) -> Contents:
    name = generator.choice(sorted(contents))
    return contents | {name: _cut(contents[name], generator)}


def _missing(contents: Contents, generator: random.Random) -> Contents:
    del contents[generator.choice(sorted(contents))]
    return contents | {"stranger.bin": b"\0"}


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*at, key)
        yield from _places(inner, (*at, key))


def _odd_value(contents: Contents, generator: random.Random) -> Contents:
    facts = json.loads(contents[CONFIGURATION])
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        *path, last = generator.choice(list(_places(facts)))
        holder = facts
        for key in path:
            holder = holder[key]
        match generator.randrange(4):
            case 0 if isinstance(holder, dict):
                del holder[last]
            case 1 if isinstance(holder, dict):
                holder[generator.choice(("__proto__", "constructor", "extra", "toString"))] = generator.choice(_ODD)
            case _:
                holder[last] = generator.choice(_ODD)
    return contents | {CONFIGURATION: _json(facts)}


def _hostile_name(contents: Contents, generator: random.Random) -> Contents:
    facts, name = json.loads(contents[CONFIGURATION]), generator.choice(_NAMES)
    entry = {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    facts["files"][name] = generator.choice((entry, facts["files"][GRAPH]))
    return contents | {CONFIGURATION: _json(facts)}


def _no_json(contents: Contents, generator: random.Random) -> Contents:
    sound, depth = contents[CONFIGURATION], generator.randrange(900, 1100)
    nested = b'{"format": 1, "name": ' + b"[" * depth + b"]" * depth + b"}"
    spoilt = (
        b"", b"{", b"null", b"[]", b"1e999", b'"x"', b"\xff\xfe", sound.decode().encode("utf-16"), nested,
        b"\xef\xbb\xbf" + sound, b"[" * 100_000, b'{"a":' * 50_000, sound + b"}", sound * 2, b"9" * 10_000,
        b'{"format": ' + b"1" * 5000 + b"}", sound.replace(b"{", b'{"format": 2, ', 1), b"\0" * 1000,
        os.fsencode("{\udcff}"), b" " * MEGABYTE + sound,
    )  # fmt: skip
    return contents | {CONFIGURATION: generator.choice(spoilt)}


def _vouched_bytes(contents: Contents, generator: random.Random) -> Contents:
    spoil = generator.choice((_bytes_flipped, _bytes_flipped, _bytes_flipped, _cut))
    return vouched(contents | {GRAPH: spoil(contents[GRAPH], generator)})


def _vouched_vocabulary(contents: Contents, generator: random.Random) -> Contents:
    lines = contents[VOCABULARY].decode().split("\n")
    at = generator.randrange(len(lines))
    spoilt: tuple[Callable[[], bytes], ...] = (
        lambda: _bytes_flipped(contents[VOCABULARY], generator),
        lambda: _cut(contents[VOCABULARY], generator),
        lambda: "\n".join(lines[:at] + lines[at + 1 :]).encode(),
        lambda: "\n".join([*lines[:at], lines[0], *lines[at:]]).encode(),
        lambda: "\n".join(generator.sample(lines, len(lines))).encode(),
        lambda: "\r\n".join(lines).encode(),
        lambda: "\n".join(["x" * 1_000_000, *lines]).encode(),
        lambda: "\n".join([*lines, *(f"more{number}" for number in range(50_000))]).encode(),
        lambda: b"\xff\xfe" + contents[VOCABULARY],
        lambda: "\n".join(["\0", "##", "\u0301", "", *lines]).encode(),
    )
    return vouched(contents | {VOCABULARY: generator.choice(spoilt)()})


def _vouched_graph(contents: Contents, generator: random.Random) -> Contents:
    model = onnx.load_from_string(contents[GRAPH])
    for _ in range(generator.choice((1, 1, 2))):
        _spoil_graph(model, generator)
    return vouched(contents | {GRAPH: model.SerializeToString()})


def _spoil_graph(model: onnx.ModelProto, generator: random.Random) -> None:
    graph, tensor = model.graph, generator.choice(model.graph.initializer)
    node, other = generator.choice(graph.node), generator.choice(graph.node)
    match generator.randrange(12):
        case 0:
            tensor.dims[:] = [generator.choice((-1, 0, 1, 2**31, 2**62)) for _ in tensor.dims] or [2**40]
        case 1:
            tensor.data_type = generator.randrange(30)
        case 2:
            tensor.raw_data = _bytes_flipped(tensor.raw_data or b"\0", generator)
        case 3:
            tensor.data_location = TensorProto.EXTERNAL
            place = generator.choice(("../secret.bin", "/etc/passwd", "secret.bin", "vocab.txt", "../../secret.bin"))
            tensor.external_data.add(key="location", value=place)
            tensor.ClearField("raw_data")
        case 4:
            node.op_type = generator.choice(
                ("Loop", "If", "Scan", "Gather", "Nothing", "Reshape", "TopK", "Softmax", "MatMul")
            )
        case 5:
            node.input[:] = [*generator.sample(list(node.input), len(node.input))]
        case 6:
            node.input[:] = [*node.input, *other.output]
        case 7:
            graph.node.remove(node)
        case 8:
            graph.output[0].type.tensor_type.shape.ClearField("dim")
        case 9:
            model.opset_import[0].version = generator.choice((-1, 0, 1, 6, 99, 2**40))
        case 10:
            node.domain = generator.choice(("com.microsoft", "ai.onnx.ml", "evil"))
        case _:
            for attribute in node.attribute:
                attribute.i, attribute.f = generator.choice((-(2**62), -1, 2**62)), float("nan")
                attribute.ints[:] = [generator.choice((-5, 0, 99, 2**40)) for _ in attribute.ints]


def _special(folder: Path, generator: random.Random) -> None:
    path = folder / generator.choice((CONFIGURATION, GRAPH, VOCABULARY))
    path.unlink()
    outside = folder.parent / "secret.bin"
    places = ("/etc/passwd", "/dev/zero", "/dev/stdin", "nowhere", path.name, "..", "/proc/self/mem", "/", outside)
    match generator.randrange(4):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case _:
            path.symlink_to(generator.choice(places))


_WAYS: Mapping[str, Callable[[Contents, random.Random], Contents]] = {
    "bytes flipped": _flipped,
    "cut": _truncated,
    "missing, and a stranger": _missing,
    "odd value in eibert.json": _odd_value,
    "no JSON": _no_json,
    "hostile name": _hostile_name,
    "special file": lambda contents, _: contents,
    "graph's bytes spoilt, vouched for": _vouched_bytes,
    "graph rewritten, vouched for": _vouched_graph,
    "vocabulary spoilt, vouched for": _vouched_vocabulary,
}
