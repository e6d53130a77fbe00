"""What the disk refuses: an error that a user can mend, wherever it arises."""

import errno
from collections.abc import Iterator

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or ask for a larger quota",
    errno.EROFS: "make it writable",
    errno.EACCES: "give this user the right to it",
    errno.EPERM: "give this user the right to it",
}
_SQLITE = {"database or disk is full": "free some space", "readonly database": "make it writable"}


def refusal(error: BaseException) -> str:
    """Returns what the disk refused and what to do, in one line; "" where an error has another cause."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in _REMEDIES:
            place = one.filename2 or one.filename or "the disk"
            return f"{place}: {one.strerror}; {_REMEDIES[one.errno]}, and repeat the command"
        for sign, remedy in _SQLITE.items():
            if sign in str(one):
                return f"a database's file: {sign}; {remedy}, and repeat the command"
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and those it arose from, the outermost first."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
