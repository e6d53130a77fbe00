"""Splits long text into sentences, losing only white space.

A rule-based splitter for languages that end sentences with . ! ? … or 。！？；: abbreviations, initials, decimals,
list numbers and closing quotes do not end one prematurely. Sentences that are still too long are cut at a clause, a
space, or the limit.
"""

import re
from collections.abc import Iterator

_CLOSERS = "\"'”’»)\\]}」』）】》"
_END = re.compile(
    rf"""
    (?:[。！？；]+|…{{2}})[{_CLOSERS}]*          # Chinese and Japanese: no space follows
    | [.!?…]+[{_CLOSERS}]*(?=\s)               # the others
    | \n\s*\n                                  # a blank line
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘«])(?:"
    r"mr|mrs|ms|dr|prof|rev|hon|gen|col|maj|capt|lt|sgt|sen|rep|gov|pres|st|mt|ft|jr|sr|messrs|mme|mlle|"
    r"vs|etc|cf|al|ca|approx|est|dept|univ|inc|ltd|co|corp|bros|no|nos|vol|pp|fig|figs|eq|ch|sec|ed|eds|tel|"
    r"jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun|"
    r"bzw|usw|ggf|evtl|nr|str|hr|fr|"
    r"(?:[a-z]\.)+[a-z]|[a-z]"  # e.g., U.S., a single initial
    r")\.$",
    re.IGNORECASE,
)
# These abbreviations may also end a sentence; what follows decides.
_MAY_END = re.compile(r"(?:^|\W)(?:etc|al|inc|ltd|co|corp|jr|sr|a\.m|p\.m|(?-i:(?:[A-Z]\.)+[A-Z]))\.$", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*(?:\d{1,3}|[ivxIVX]{1,4})\.$")
_OPENS = re.compile(r"""\s+["'“‘«(\[]*(?P<lower>[a-zß-öø-ÿ])?""")
_CLAUSE = re.compile(r"[,;:，、：—–][\"'”’»)]*\s*|\s+[-–—]\s+")
_SPACE = re.compile(r"\s+")


def split(text: str, limit: int) -> list[str]:
    """Returns the sentences of a text, none longer than `limit` characters and none empty."""
    return [piece for sentence in _sentences(text) for piece in _cut(sentence.strip(), limit) if piece]


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        if _ends(text, start, match):
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a full stop or another mark ends a sentence; only marks followed by white space are ambiguous."""
    mark = match[0]
    if mark.isspace() or mark[0] in "。！？；" or mark.startswith("……"):
        return True
    following = _OPENS.match(text, match.end())
    if following and following["lower"]:
        return False
    if mark != ".":
        return True
    before = text[max(start, match.end() - 20) : match.end()]
    if _LIST_NUMBER.search(text[start : match.end()]):
        return False
    return not _ABBREVIATION.search(before) or bool(_MAY_END.search(before))


def _cut(sentence: str, limit: int) -> Iterator[str]:
    while len(sentence) > limit:
        at = _last_break(sentence, limit)
        yield sentence[:at].rstrip()
        sentence = sentence[at:].lstrip()
    yield sentence


def _last_break(sentence: str, limit: int) -> int:
    """Returns where to cut: after the last clause past half the limit, else after the last word, else at the limit."""
    window = sentence[:limit]
    for pattern, least in ((_CLAUSE, limit // 2), (_SPACE, 1)):
        ends = [match.end() for match in pattern.finditer(window) if match.end() >= least]
        if ends:
            return ends[-1]
    return limit
