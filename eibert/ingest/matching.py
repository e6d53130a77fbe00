"""When two texts count as equal: whatever their case and white space."""


def text_key(text: str) -> str:
    """Returns what equal texts have in common."""
    return " ".join(text.casefold().split())


def pair_key(text: str, text_b: str | None) -> tuple[str, str]:
    """Returns what equal rows have in common; a pair is equal to itself turned round."""
    first, second = sorted((text_key(text), text_key(text_b or "")))
    return first, second
