"""Writes `src/unicode.ts`: what the tokenizers package does to each code point, measured rather than looked up.

    python web/make_unicode.py [TARGET]

Engines of JavaScript carry other versions of Unicode than the tokenizers package, which itself mixes several, so the
TypeScript tokenizer asks its engine nothing about characters.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

TARGET = Path(__file__).parent / "src" / "unicode.ts"
MARK = "xyzzy"  # stands between characters measured together; nothing changes it, nothing combines with it
CHUNK = 20_000
SURROGATES, HANGUL = range(0xD800, 0xE000), range(0xAC00, 0xD7A4)
OVERLAY, IOTA = "\u0334", "\u0345"  # combining classes 1 and 240, the least and the greatest
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def bert(*, clean: bool = False, han: bool = False, strip: bool = False, lower: bool = False) -> Callable[[str], str]:
    """Returns one step of BERT's normalizer."""
    return normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=han, strip_accents=strip, lowercase=lower
    ).normalize_str


def each(change: Callable[[str], str], texts: list[str]) -> dict[str, str]:
    """Returns what becomes of each text, changed in large pieces because each call costs much."""
    found: dict[str, str] = {}
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        found |= zip(chunk, change(MARK.join(chunk)).split(MARK), strict=True)
    return found


def punctuation(characters: list[str]) -> set[str]:
    """Returns the characters that stand alone after pre-tokenization."""
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    found: set[str] = set()
    for start in range(0, len(characters), CHUNK):
        pieces = {piece for piece, _ in split("a" + "a".join(characters[start : start + CHUNK]) + "a")}
        found |= {piece for piece in pieces if len(piece) == 1 and piece != "a"}
    return found


def combining(characters: list[str]) -> dict[str, int]:
    """Returns the canonical combining class of each character that has one above 0, from what is put in order."""
    order = normalizers.NFD().normalize_str

    def moved(pairs: list[str]) -> set[str]:
        return {pair for pair, ordered in each(order, pairs).items() if pair != ordered == pair[::-1]}

    after = {pair[0] for pair in moved([character + OVERLAY for character in characters])}
    before = {pair[1] for pair in moved([IOTA + character for character in characters])}
    marks = sorted(after | before)
    others = list({unicodedata.combining(mark): mark for mark in reversed(marks)}.items())  # one mark of each class
    found: dict[str, int] = {}
    for character in marks:
        swaps = moved([character + mark for _, mark in others] + [mark + character for _, mark in others])
        (found[character],) = (v for v, mark in others if not swaps & {character + mark, mark + character})
    return found


def measured() -> dict[str, str]:
    """Returns the name and the encoded value of each table."""
    every = [chr(point) for point in range(0x110000) if point not in SURROGATES]
    cleaned = each(bert(clean=True), every)
    kept = [character for character in every if cleaned[character] == character]
    stripped, parts = each(bert(strip=True), kept), each(normalizers.NFD().normalize_str, kept)
    changed = {c: to for c, to in parts.items() if to != c and ord(c) not in HANGUL}
    assert all(parts[chr(c)] == unicodedata.normalize("NFD", chr(c)) for c in HANGUL)
    lower = {c: to for c, to in each(bert(lower=True), kept).items() if to != c}
    return {
        "REMOVED": ranges(c for c in every if cleaned[c] == ""),
        "SPACES": ranges(c for c in every if cleaned[c] == " "),
        "CHINESE": ranges(c for c, to in each(bert(han=True), kept).items() if to != c),
        "NONSPACING": ranges(c for c, to in stripped.items() if to == ""),
        "PUNCTUATION": ranges(punctuation([c for c in kept if c != " "])),
        "COMBINING": encoded(runs(combining([c for c in kept if parts[c] == c]))),
        "LOWERCASE": mapping({c: to for c, to in lower.items() if len(to) == 1}),
        "LOWERCASE_MANY": many({c: to for c, to in lower.items() if len(to) > 1}),
        "DECOMPOSED": mapping({c: to for c, to in changed.items() if len(to) == 1}),
        "DECOMPOSED_MANY": many({c: to for c, to in changed.items() if len(to) > 1}),
    }


def base36(number: int) -> str:
    """Returns the number as JavaScript's parseInt(…, 36) reads it."""
    digits = ""
    rest = abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, 36)
        digits = DIGITS[digit] + digits
    return f"-{digits}" if number < 0 else digits


def runs(values: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Returns neighbours of equal value as (first code point, how many, value)."""
    found: list[tuple[int, int, int]] = []
    for character in sorted(values):
        point, value = ord(character), values[character]
        if found and sum(found[-1][:2]) == point and found[-1][2] == value:
            found[-1] = (found[-1][0], found[-1][1] + 1, value)
        else:
            found.append((point, 1, value))
    return found


def ranges(characters: Iterable[str]) -> str:
    """Returns `gap count` of each range, the gap counted from the end of the one before."""
    return encoded((start, count) for start, count, _ in runs(dict.fromkeys(characters, 0)))


def mapping(changed: Mapping[str, str]) -> str:
    """Returns `gap count difference` of each run."""
    return encoded(runs({character: ord(to) - ord(character) for character, to in changed.items()}))


def encoded(items: Iterable[tuple[int, ...]]) -> str:
    """Returns rows of base-36 numbers, the first of each row as a gap from the end of the row before."""
    rows, end = [], 0
    for start, count, *rest in items:
        rows.append(" ".join(map(base36, (start - end, count, *rest))))
        end = start + count
    return ",".join(rows)


def many(changed: Mapping[str, str]) -> str:
    """Returns each character and what it becomes, in base 36."""
    return ",".join(" ".join(base36(ord(part)) for part in character + to) for character, to in changed.items())


def main() -> None:
    """Writes the module."""
    lines = ["// Made by make_unicode.py from the tokenizers package; characters.ts reads it. Do not edit.", ""]
    for name, value in measured().items():
        lines += [f"export const {name} =", f'  "{value}";', ""]
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text("\n".join(lines[:-1]) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
