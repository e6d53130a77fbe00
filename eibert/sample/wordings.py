"""Sentences around commands: polite wrappings, corrections and negations; and questions that are not commands.

`{do}` is the intended command and `{drop}` the other one, `{doing}` and `{dropping}` are their -ing forms; the rest is
written as in the table of intents.
"""

WRAPPERS = """
    {do}
    {do}
    {do}
    please {do}
    {do} please
    can you {do}
    could you please {do}
    i need you to {do}
    hey, {do}
    i would like you to {do}
    would you mind {doing}
    ok now {do}
    * do me a favour and {do}
    * it would be great if you could {do}
    * be so kind as to {do}
    * how about {doing}
"""

CORRECTIONS = """
    {drop}, no wait, {do}
    {drop}, no sorry, {do}
    {drop}. actually no, {do}
    {drop}, scratch that, {do}
    {drop}, i mean {do}
    {drop}, forget it, {do} instead
    i was going to ask you to {drop} but now i want you to {do}
    i said {drop} but i meant {do}
    i said {do} and not {drop}
    {do}, not {drop}, as i said before
    don't {drop}, {do}
    {do}, don't {drop}
    do not {drop}, just {do}
    {do} but please do not {drop}
    i don't want you to {drop}, i want you to {do}
    i want you to {do}, i don't want you to {drop}
    instead of {dropping}, {do}
    {do} instead of {dropping}
    rather than {dropping}, {do}
    {do} rather than {dropping}
    you should {do}, you should not {drop}
    you should not {drop}, you should {do}
    i asked you to {do}, not to {drop}
    i did not ask you to {drop}, i asked you to {do}
    * {drop}, hmm, on second thought {do}
    * {drop}, strike that, better {do}
    * no need to {drop}, but do {do}
    * i'd rather you {do} than {drop}
    * {do}, and whatever you do don't {drop}
    * never mind what i said about {dropping}, {do}
    * it was wrong of me to say {drop}, {do}
"""

WIDER = """
    what is the capital of {place_name}
    how far is it from {city} to {city}
    who [wrote|painted|invented] {thing}
    recommend a good book about {thing}
    how do you make {dish} with {item} and {item}
    tell me a joke about {thing}
    what does the word {adjective} mean
    how do i get {item} out of a carpet
    good morning, how are you [today|doing]
    thank you, that was {adjective}
    why is {thing} so {adjective}
    how many {foreign} does {thing} cost in {city}
    is {place} still open at {time}
    what time is it in {city}
    when does the next train to {city} leave
    find a hotel in {city} for {people}
    how old is {artist}
    when is the birthday of {contact}
    tell me something {adjective} about {thing}
    what should i cook with {item}, {item} and {item}
    is it true that {fact}
    can i eat {dish} with {item}
    how many calories are in {item}
    which bus goes to {city} on {day}
    what is {amount} times {amount}
    what is {amount} divided by {amount}
    order {dish} for {people} from {place}
    take a photo of {thing}
    how do you spell {adjective}
    find my phone, it must be in the {room}
    vacuum the {room} at {time}
    is anyone at the {door}
    close the blinds in the {room}
    what is playing in the {room}
    how much money is left in my current account
    who is {contact} meeting on {day}
    how long until {time}
    my {event} was {adjective}
    {contact} says that {fact}
    {contact} thinks {thing} is {adjective}
"""

GERUNDS = {
    "add": "adding", "arrange": "arranging", "bolt": "bolting", "book": "booking", "boost": "boosting",
    "brighten": "brightening", "bring": "bringing", "buy": "buying", "call": "calling", "cancel": "cancelling",
    "change": "changing", "check": "checking", "convert": "converting", "cool": "cooling", "copy": "copying",
    "count": "counting", "crank": "cranking", "create": "creating", "cross": "crossing", "delay": "delaying",
    "delete": "deleting", "dial": "dialling", "disable": "disabling", "draw": "drawing", "drop": "dropping",
    "end": "ending", "exchange": "exchanging", "find": "finding", "get": "getting", "give": "giving", "go": "going",
    "guide": "guiding", "halt": "halting", "have": "having", "heat": "heating", "hold": "holding",
    "include": "including", "increase": "increasing", "jot": "jotting", "keep": "keeping", "kill": "killing",
    "let": "letting", "light": "lighting", "lock": "locking", "look": "looking", "lower": "lowering",
    "make": "making", "message": "messaging", "move": "moving", "navigate": "navigating", "note": "noting",
    "nudge": "nudging", "open": "opening", "pause": "pausing", "pencil": "pencilling", "phone": "phoning",
    "plan": "planning", "play": "playing", "postpone": "postponing", "pull": "pulling", "push": "pushing",
    "put": "putting", "quit": "quitting", "raise": "raising", "read": "reading", "reduce": "reducing",
    "release": "releasing", "remind": "reminding", "remove": "removing", "render": "rendering",
    "reschedule": "rescheduling", "reserve": "reserving", "ring": "ringing", "schedule": "scheduling",
    "scrap": "scrapping", "secure": "securing", "see": "seeing", "sell": "selling", "send": "sending",
    "set": "setting", "shift": "shifting", "shoot": "shooting", "show": "showing", "soften": "softening",
    "start": "starting", "stop": "stopping", "strike": "striking", "swap": "swapping", "switch": "switching",
    "take": "taking", "tell": "telling", "text": "texting", "transfer": "transferring", "translate": "translating",
    "turn": "turning", "unlock": "unlocking", "wake": "waking", "warm": "warming", "write": "writing",
}  # fmt: skip
