"""Recognizes disk errors (full, read-only, no permission), which the user can fix, wherever they occur."""

import errno
import os
import re
from collections.abc import Iterator

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or ask for a larger quota",
    errno.EROFS: "make it writable",
    errno.EACCES: "grant this user access",
    errno.EPERM: "grant this user access",
}
_NAMELESS = {errno.ENOSPC: "the disk", errno.EDQUOT: "the disk"}
"""What an error without a file name is about; permission errors may concern a process or a socket instead."""
_RUST = re.compile(r"\(os error (\d+)\)$")
"""Ends the messages of tokenizers and safetensors, which do not raise OSError."""
_SQLITE = {"database or disk is full": "free some space", "readonly database": "make it writable"}


def refusal(error: BaseException) -> str:
    """Returns what the disk refused and what to do about it, in one line; "" if the error has another cause."""
    for one in _chain(error):
        place = isinstance(one, OSError) and (one.filename2 or one.filename or _NAMELESS.get(one.errno or 0))
        if isinstance(one, OSError) and place and one.errno in _REMEDIES:
            return f"{place}: {one.strerror}; {_REMEDIES[one.errno]}, and repeat the command"
        number = int(found[1]) if (found := _RUST.search(str(one))) else 0
        if number in _NAMELESS:
            return f"{_NAMELESS[number]}: {os.strerror(number)}; {_REMEDIES[number]}, and repeat the command"
        for sign, remedy in _SQLITE.items():
            if sign in str(one):
                return f"database file: {sign}; {remedy}, and repeat the command"
    return ""


def is_told_in(text: str) -> bool:
    """Returns whether a library's message reports such a disk error."""
    signs = [*_SQLITE, *map(os.strerror, _REMEDIES)]
    return any(sign in text for sign in signs)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and its explicit causes, outermost first; `__context__` is not followed."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__
