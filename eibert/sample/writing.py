"""Writes a request for an intent, another question, or a plain statement."""

from functools import cache
from random import Random

from eibert.sample.everyday import FRAMES, PLACES, TOPICS, WHEN
from eibert.sample.grammar import Pool, fill, lines, mistype, values
from eibert.sample.intents import INTENTS, Lines
from eibert.sample.slots import SLOTS
from eibert.sample.wordings import CORRECTIONS, GERUNDS, WIDER, WRAPPERS

_CORRECTED_SHARE, _OPEN_SHARE, _FREE_SHARE = 0.28, 0.2, 0.27  # the rest: commands, politely wrapped or not
_SIBLING_SHARE = 0.6  # of corrections, between two intents that are easily confused
_TYPO_SHARE, _CAPITAL_SHARE, _STOP_SHARE = 0.1, 0.15, 0.15

_SIBLINGS = (
    ("alarm_set", "alarm_cancel"), ("alarm_set", "timer_set"), ("reminder_create", "note_create"),
    ("call_contact", "message_send"), ("message_read", "message_send"), ("lights_on", "lights_off"),
    ("heating_up", "heating_down"), ("door_lock", "door_unlock"), ("music_play", "music_stop"),
    ("volume_up", "volume_down"), ("meeting_create", "meeting_cancel"), ("meeting_later", "meeting_earlier"),
    ("calendar_to_work", "calendar_to_private"), ("savings_deposit", "savings_withdraw"),
    ("currency_buy", "currency_sell"), ("translate_to_english", "translate_from_english"),
    ("route_to_work", "route_home"), ("shopping_add", "shopping_remove"), ("restaurant_book", "call_contact"),
    ("weather_query", "meeting_create"),
)  # fmt: skip

# A typo in one of these could turn a request into its opposite, or playing into paying.
_PROTECTED = frozenset(
    (
        "unlock",
        "locked",
        "unlocked",
        "warmer",
        "colder",
        "cooler",
        "louder",
        "quieter",
        "higher",
        "lower",
        "earlier",
        "playing",
    )
)


def request(intent: str, random: Random, unseen_share: float) -> str:
    """Returns a request of this intent.

    Args:
        intent: A key of INTENTS.
        random: Source of all choices.
        unseen_share: Probability that a wording, and each slot value, is one that train may not use.
    """
    pools = _intents()[intent]
    kind = random.random()
    if kind < _CORRECTED_SHARE:
        text = _corrected(intent, random, unseen_share)
    elif kind < _CORRECTED_SHARE + _OPEN_SHARE:
        text = fill(pools.open.draw(random, unseen_share), _slots(), random, unseen_share)
    elif kind < _CORRECTED_SHARE + _OPEN_SHARE + _FREE_SHARE:
        text = fill(pools.free.draw(random, unseen_share), _slots(), random, unseen_share)
    else:
        command = _command(intent, random, unseen_share)
        text = _join(_pool("wrappers").draw(random, unseen_share), do=command)
    return _typed(text, random)


def question(random: Random, unseen_share: float) -> str:
    """Returns a question or remark that belongs to no intent."""
    slots = {**_slots(), **_loose_words()}
    return _typed(fill(_pool("wider").draw(random, unseen_share), slots, random, unseen_share), random)


def statement(random: Random) -> str:
    """Returns a plain statement about everyday life."""
    sentence = fill(random.choice(_pool("frames").seen), random.choice(_topics()), random, 0.0)
    return sentence[0].upper() + sentence[1:] + "."


def _corrected(intent: str, random: Random, unseen_share: float) -> str:
    siblings = _siblings()[intent]
    other = random.choice(siblings if random.random() < _SIBLING_SHARE else tuple(INTENTS))
    wanted, dropped = (_command(name, random, unseen_share) for name in (intent, other))
    return _join(_pool("corrections").draw(random, unseen_share), do=wanted, drop=dropped)


def _command(intent: str, random: Random, unseen_share: float) -> str:
    return fill(_intents()[intent].closed.draw(random, unseen_share), _slots(), random, unseen_share)


def _join(line: str, *, do: str, drop: str = "") -> str:
    return line.format(do=do, drop=drop, doing=_gerund(do), dropping=_gerund(drop))


def _gerund(command: str) -> str:
    verb, _, rest = command.partition(" ")
    return f"{GERUNDS[verb]} {rest}" if verb else ""


def _typed(text: str, random: Random) -> str:
    if random.random() < _TYPO_SHARE:
        text = mistype(text, random, _PROTECTED)
    if random.random() < _CAPITAL_SHARE:
        text = text[0].upper() + text[1:]
    return text + "." if random.random() < _STOP_SHARE else text


class _Pools:
    """The three line pools of one intent."""

    def __init__(self, block: Lines) -> None:
        self.closed, self.open, self.free = lines(block.closed), lines(block.open), lines(block.free)


@cache
def _intents() -> dict[str, _Pools]:
    return {name: _Pools(block) for name, block in INTENTS.items()}


@cache
def _siblings() -> dict[str, tuple[str, ...]]:
    both = [*_SIBLINGS, *((b, a) for a, b in _SIBLINGS)]
    return {name: tuple(b for a, b in both if a == name) for name in INTENTS}


@cache
def _slots() -> dict[str, Pool]:
    return {name: values(text) for name, text in SLOTS.items()}


@cache
def _pool(name: str) -> Pool:
    return lines({"wrappers": WRAPPERS, "corrections": CORRECTIONS, "wider": WIDER, "frames": FRAMES}[name])


@cache
def _topics() -> list[dict[str, Pool]]:
    when = values(WHEN)
    return [{"when": when, **{name: values(text) for name, text in topic._asdict().items()}} for topic in TOPICS]


@cache
def _loose_words() -> dict[str, Pool]:
    things = Pool(tuple(thing for topic in _topics() for thing in topic["things"].seen), ())
    adjectives = Pool(tuple(word for topic in _topics() for word in topic["like"].seen), ())
    return {"thing": things, "adjective": adjectives, "place_name": values(PLACES)}
