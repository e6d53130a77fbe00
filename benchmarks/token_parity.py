"""Compares the Python and TypeScript tokenizers with the tokenizers package on real and hostile lines.

Exits 1 if any line differs.

    make web
    python benchmarks/token_parity.py --lines 1000000

Lines come from the data sets, as far as there are any, and are generated beyond; all assigned characters come first.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from workspaces import DATASETS, PROJECT

from eibert.runtime.model import _encodable
from eibert.runtime.tokenizer import SPECIALS, Encoder, wordpiece

ENCODER = PROJECT / "web" / "build" / "test" / "tokens.js"
CHUNK = 20_000
WORDS, SAMPLE = 8_000, 40_000  # words in the vocabulary, and lines to count them in
ASSIGNED = [*range(0x33480), *range(0xE0000, 0xE01F0)]  # beyond: unassigned and private-use planes, all alike
CHARACTERS_A_LINE = 16
READINGS = ((True, None), (False, None), (True, False), (False, True))  # lowercase, strip_accents
LONGEST = (64, 16, 7, 512)
SEEDS = [
    seed
    for line in (
        "Hello WORLD naïve café İstanbul ΣΊΣΥΦΟΣ ΑΣ ǅ ﬁn ß ẞ straße Ⅷ ⓐ don't e-mail [CLS] [SEP] [UNK] [MASK] ##ing",
        "قَالَ مُحَمَّدٌ שָׁלוֹם हिन्दी ไทย 漢字かな 각 \u1100\u1161\u11a8 \uf900 𠀀 👨‍👩‍👧 🏳️‍🌈 👍🏽 🇨🇭 ☕️ 1️⃣",
        "\t \r \x00 \x1f \x7f \x85 \xad \ufeff \ufffd \u200b \u200d \u2028 \u3000 \ud800 \udfff \ud83d",
        "a\u0301\u0327 a\u0327\u0301 \u0345\u0334 \U0001d165\U0001d16e \u302e\u302f q\U00011938 \u212a \u212b",
    )
    for seed in line.split(" ")
]


class Reading(NamedTuple):
    """Tokenizer settings for a chunk."""

    lowercase: bool
    strip_accents: bool | None
    max_tokens: int


def characters() -> Iterator[str]:
    """Yields lines that contain each assigned character both inside a word and alone."""
    for start in range(0, len(ASSIGNED), CHARACTERS_A_LINE):
        yield " ".join(f"a{chr(point)}b {chr(point)}" for point in ASSIGNED[start : start + CHARACTERS_A_LINE])


def hostile(generator: random.Random) -> Iterator[str | list[str]]:
    """Yields lines of marks, controls, surrogates, emoji, mixed scripts and overlong words; one in five is a pair."""
    makes = (
        lambda: generator.choice(SEEDS),
        lambda: "".join(chr(generator.randrange(0x300, 0x370)) for _ in range(generator.randrange(1, 6))),
        lambda: chr(generator.randrange(0x3000)),
        lambda: chr(generator.randrange(0x110000)),
        lambda: generator.choice("xé漢") * generator.choice((1, 99, 100, 101)),
    )

    def line() -> str:
        return "".join(generator.choice(makes)() + generator.choice(("", " ")) for _ in range(generator.randrange(14)))

    while True:
        yield [line(), line()] if generator.random() < 0.2 else line()


def real(datasets: Path) -> Iterator[str | list[str]]:
    """Yields the texts and pairs of all data sets."""
    for path in sorted(datasets.glob("*/*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                if isinstance(row.get("text"), str):
                    yield [row["text"], row["text_b"]] if row.get("text_b") else row["text"]


def vocabulary(lines: Sequence[str | list[str]]) -> list[str]:
    """Returns special tokens, frequent words in any case, and nine in ten characters, alone and as continuations."""
    words = Counter(word for line in lines for word in _encodable(str(line)).split())
    common = [word for word, _ in words.most_common(WORDS)]
    found = sorted({character for word in words for character in word + word.lower()} | {"\u0307", "σ", "ς"})
    kept = [character for character in found if ord(character) % 10]
    return list(dict.fromkeys([*SPECIALS, *kept, *(f"##{character}" for character in kept), *common]))


def chunks(lines: list[str | list[str]], *, every_character: bool) -> Iterator[tuple[list[Any], Reading]]:
    """Yields lines with tokenizer settings: all characters with each setting, chunks of the other lines in rotation."""
    for lowercase, strip_accents in READINGS if every_character else ():
        yield list(characters()), Reading(lowercase, strip_accents, max(LONGEST))
    for index, start in enumerate(range(0, len(lines), CHUNK)):
        yield lines[start : start + CHUNK], Reading(*READINGS[index % 4], LONGEST[index // 4 % 4])


def differences(tokens: list[str], lines: list[str | list[str]], reading: Reading) -> tuple[list[Any], float, float]:
    """Returns the differing lines of a chunk with all three answers, and the seconds of Python and of Node."""
    facts = reading._asdict()
    asked = "".join(json.dumps(each) + "\n" for each in ({"tokens": tokens} | facts, *lines))
    begun = time.perf_counter()
    done = subprocess.run(["node", ENCODER], input=asked, stdout=subprocess.PIPE, text=True, check=True)
    between = time.perf_counter()
    reference, encode = wordpiece(tokens, **facts).encode, Encoder(tokens, **facts)
    different = []
    for line, answer in zip(lines, done.stdout.splitlines(), strict=True):
        text, *rest = (_encodable(part) for part in ([line] if isinstance(line, str) else line))
        encoding = reference(text, *rest)
        ids, first = encode(text, rest[0] if rest else None)
        found = {"python": [ids, [0] * first + [1] * (len(ids) - first)], "typescript": json.loads(answer)}
        expected = [encoding.ids, encoding.type_ids]
        if any(each != expected for each in found.values()):
            different.append({"line": line, **facts, "expected": expected, **found})
    return different, time.perf_counter() - between, between - begun


def main() -> None:
    """Prints how many lines differ, and the first of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--step", type=int, default=1, help="take each STEP-th line of the data sets")
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    parser.add_argument(
        "--characters", action=argparse.BooleanOptionalAction, default=True, help="all, in each reading"
    )
    arguments = parser.parse_args()
    if not ENCODER.is_file():
        sys.exit(f"{ENCODER}: not built; run `make web`")
    source = chain(islice(real(arguments.datasets), 0, None, arguments.step), hostile(random.Random(17)))
    lines = list(islice(source, arguments.lines))
    tokens = vocabulary([*characters(), *random.Random(17).sample(lines, min(SAMPLE, len(lines)))])
    count, different, python_seconds, node_seconds = 0, [], 0.0, 0.0
    for chunk, reading in chunks(lines, every_character=arguments.characters):
        found, python, node = differences(tokens, chunk, reading)
        count, different = count + len(chunk), different + found
        python_seconds, node_seconds = python_seconds + python, node_seconds + node
    for each in different[:5]:
        print(json.dumps(each))
    print(f"{len(different)} of {count} lines differ; Python {python_seconds:.0f} s, Node {node_seconds:.0f} s")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
