"""What people ask an assistant, in their own words: the table of all intents.

Each intent has three blocks of lines. `closed` lines are commands without free content: they may be negated, corrected
or embedded in a longer sentence. `open` lines are commands that end in free text. `free` lines are questions and
statements that imply the command. `[a|b]` is a choice, `{slot}` a value, and a line starting with `*` is never used in
train. Every line expresses its intent unambiguously.
"""

from typing import NamedTuple


class Lines(NamedTuple):
    """The lines of one intent, as blocks of text."""

    closed: str
    open: str
    free: str


INTENTS = {
    "alarm_set": Lines(
        """
        set an alarm for {time}
        wake me up at {time} [|on {day}]
        set my alarm to {time} [|for {day}]
        [add|make] an alarm for {time} on {day}
        * have the alarm go off at {time}
        * schedule a wake up call for {time}
        """,
        """
        set an alarm for {time} and call it {title}
        set an alarm for {time} called {job}
        * set an alarm at {time} with the label {job}
        """,
        """
        i have to be up by {time} [|on {day}], make sure i am
        don't let me sleep past {time}
        i must not oversleep on {day}, i have to get up at {time}
        the alarm should ring at {time}, not at {time}
        * i cannot afford to sleep in, get me out of bed at {time}
        * it is important that i am awake at {time}
        """,
    ),
    "alarm_cancel": Lines(
        """
        cancel the alarm for {time}
        delete my {time} alarm [|on {day}]
        turn off the alarm set for {time}
        [remove|drop] the alarm i set for {time}
        * get rid of the {time} alarm
        * disable my alarm for {day}
        """,
        """
        cancel the alarm called {title}
        delete the alarm named {job}
        * remove the alarm with the label {job}
        """,
        """
        i no longer need the alarm at {time}
        let me sleep in on {day}, no alarm please
        i don't want to be woken at {time} after all
        you don't have to wake me up at {time} any more
        * there is no need to wake me at {time}
        * {day} is a holiday, so the {time} alarm can go
        """,
    ),
    "timer_set": Lines(
        """
        set a timer for {minutes}
        start a timer of {minutes}
        count down {minutes}
        [set|start] the {room} timer for {minutes}
        * give me a countdown of {minutes}
        * start counting {minutes} from now
        """,
        """
        set a timer for {minutes} called {title}
        start a {minutes} timer so that i can {job}
        * set a timer for {minutes}, then i have to {job}
        """,
        """
        let me know when {minutes} have passed
        the {dish} must come out of the oven in {minutes}, tell me when
        beep in {minutes}
        * the tea has to steep {minutes}, ping me when it is ready
        * tell me when {minutes} are over
        """,
    ),
    "reminder_create": Lines(
        """
        set a reminder for {time} [|on {day}]
        create a new reminder for {day}
        add a reminder about {topic}
        remind me about {topic} on {day}
        * put in a reminder about {topic} for {day}
        * remind me of {topic} at {time}
        """,
        """
        remind me to {job}
        remind me to {job} [at {time}|on {day}]
        remind me not to {job} before {day}
        remind me to call {contact} [|and tell them that {fact}]
        remind me to text {contact} about {topic}
        remind me that i have to {job}
        * remind me on {day} that {fact}
        * nudge me at {time} to {job}
        """,
        """
        don't let me forget to {job}
        i must not forget to {job} on {day}, so remind me
        when it is {time} i want to be reminded to {job}
        * i always forget to {job}, jog my memory at {time}
        * make sure i remember to {job}
        """,
    ),
    "call_contact": Lines(
        """
        call {contact}
        [phone|ring] {contact} [|now]
        call {contact} on [speaker|the mobile]
        dial the number of {contact}
        * give {contact} a ring
        * get {contact} on the line
        """,
        """
        call {contact} to remind them to {job}
        call {contact} and ask them to {job}
        phone {contact} to say that {fact}
        ring {contact} about the message on {topic}
        call {contact} about {topic}
        * ring up {contact} to ask about {topic}
        * get {contact} on the phone so i can tell them to {job}
        """,
        """
        i want to talk to {contact} on the phone
        don't text {contact}, i would rather speak to them
        writing takes too long, let me speak with {contact}
        put me through to {contact}
        * i need to hear the voice of {contact}
        * connect me with {contact} about {topic}
        """,
    ),
    "message_send": Lines(
        """
        send a message to {contact}
        text {contact} [|about {topic}]
        write a message to {contact} about {topic}
        send {contact} a text [|now]
        * drop {contact} a line about {topic}
        * message {contact} about {topic}
        """,
        """
        text {contact} that {fact}
        text {contact} to {job}
        send {contact} a message saying that {fact}
        text {contact} to remind them to {job}
        send {contact} a message asking them to call {contact}
        write {contact} a text asking them not to {job}
        * let {contact} know by text that {fact}
        * shoot {contact} a message to {job}
        """,
        """
        don't call {contact}, a text saying that {fact} is enough
        {contact} should get a text from me that {fact}
        i want {contact} to read that {fact}, so send it
        * no call to {contact}, just write that {fact}
        * {contact} needs a text telling them to {job}
        """,
    ),
    "message_read": Lines(
        """
        read [me|out] the message from {contact}
        read me my [new|latest|unread] messages [|from {contact}]
        show me the text {contact} sent [|about {topic}]
        open the last message from {contact}
        * go through my unread texts from {contact}
        * play back what {contact} wrote
        """,
        """
        read me the message where {contact} says that {fact}
        open the text in which {contact} asks me to {job}
        * find the message in which {contact} told me to {job}
        """,
        """
        what did {contact} write [|to me] about {topic}
        has {contact} texted me about {topic}
        did i get a message from {contact} [today|about {topic}]
        i want to know what {contact} sent me
        * any word from {contact} in my inbox
        * what does the text from {contact} say
        """,
    ),
    "note_create": Lines(
        """
        take a note about {topic}
        make a new note [|called {topic}]
        start a note on {topic}
        write a note about {topic}
        * jot something down about {topic}
        * open a blank note for {topic}
        """,
        """
        make a note that {fact}
        note down that {fact}
        take a note that i have to {job}
        write down in my notes that {contact} wants to {job}
        make a note that says {title}
        * jot down that {fact}
        * put in my notes that {contact} will {job}
        """,
        """
        i want it in my notes that {fact}
        for my notes, {fact}
        not a reminder, just a note that i should {job}
        * keep this among my notes: {fact}
        * new entry for my notes: {contact} should {job}
        """,
    ),
    "lights_on": Lines(
        """
        turn on the lights in the {room}
        switch the {room} light on
        [put|turn] the lights on in the {room}
        light up the {room}
        * get the {room} lamp going
        * brighten the {room}
        """,
        """
        turn on the {room} lights so that i can {job}
        switch on the lamp in the {room} because i have to {job}
        * put the {room} light on while i {job}
        """,
        """
        it is too dark in the {room}
        i can't see a thing in the {room}
        don't leave me in the dark in the {room}
        don't leave the lights off in the {room}
        the {room} lights should not be off
        there is not enough light in the {room}
        * the {room} is pitch black, do something
        * i can hardly read in the {room}
        """,
    ),
    "lights_off": Lines(
        """
        turn off the lights in the {room}
        switch the {room} light off
        [put|turn] the lights off in the {room}
        put out the {room} light
        * kill the lights in the {room}
        * make the {room} dark
        """,
        """
        turn off the {room} lights so that i can sleep
        switch off the lamp in the {room} because {contact} went to bed
        * put the {room} light out before i {job}
        """,
        """
        it is too bright in the {room}
        nobody needs the light in the {room}
        don't leave the lights on in the {room}
        the {room} lights should not be on
        there is too much light in the {room}
        * the {room} lamp burns for nothing
        * i want it dark in the {room}
        """,
    ),
    "heating_up": Lines(
        """
        turn up the heating in the {room}
        make the {room} warmer
        raise the temperature in the {room}
        [set|turn] the {room} thermostat higher
        * warm up the {room}
        * increase the heat in the {room}
        """,
        """
        turn up the heating in the {room} before {contact} arrives
        make it warmer in the {room}, {contact} is cold
        heat the {room} a bit more because {contact} feels chilly
        """,
        """
        it is too cold in the {room}
        i am freezing in the {room}
        the {room} is not warm enough
        don't let it get so cold in the {room}
        the {room} should not be this cold
        * my fingers are going numb in the {room}
        * {contact} is shivering in the {room}
        """,
    ),
    "heating_down": Lines(
        """
        turn down the heating in the {room}
        make the {room} cooler
        lower the temperature in the {room}
        [set|turn] the {room} thermostat lower
        * cool down the {room}
        * reduce the heat in the {room}
        """,
        """
        turn down the heating in the {room} before {contact} arrives
        make it cooler in the {room}, {contact} is hot
        heat the {room} a bit less because {contact} feels hot
        """,
        """
        it is too hot in the {room}
        i am sweating in the {room}
        the {room} is not cool enough
        don't let it get so warm in the {room}
        the {room} should not be this warm
        * it is like an oven in the {room}
        * {contact} is melting in the {room}
        """,
    ),
    "door_lock": Lines(
        """
        lock the {door}
        bolt the {door} [|now]
        make sure the {door} is locked
        lock up the {door} [|for the night]
        * secure the {door}
        * see to it that nobody can open the {door}
        """,
        """
        lock the {door} before i {job}
        lock the {door} because {contact} has left
        * keep the {door} shut until {contact} comes home
        """,
        """
        don't leave the {door} unlocked
        the {door} must not stay open
        nobody should be able to come in by the {door}
        i forgot to lock the {door}, please do it
        * don't let anyone in through the {door}
        * the {door} is still open, that won't do
        """,
    ),
    "door_unlock": Lines(
        """
        unlock the {door}
        open the {door} [|now]
        make sure the {door} is unlocked
        unlock the {door} for {contact}
        * release the lock on the {door}
        * see to it that {contact} can open the {door}
        """,
        """
        unlock the {door} before i {job}
        unlock the {door} because {contact} is here
        * have the {door} open when {contact} comes home
        """,
        """
        don't leave the {door} locked
        the {door} must not stay locked
        {contact} should be able to come in by the {door}
        i locked myself out, the {door} please
        * let {contact} in through the {door}
        * the {door} is still locked, {contact} is waiting outside
        """,
    ),
    "music_play": Lines(
        """
        play [some|a little] {genre}
        play {artist} [in the {room}|]
        put on [some|] {genre}
        play my {genre} playlist
        * start a {genre} station
        * let {artist} play in the {room}
        """,
        """
        play the song {title}
        play {title} by {artist}
        put on {title}
        play the track called {title} [in the {room}|]
        play {title} after {title}
        * start the album {title}
        * find and play {title} from {artist}
        """,
        """
        i feel like listening to {genre}
        i want to hear {title} by {artist}
        don't let the music stop, go on with {artist}
        it is too silent here, how about {genre}
        * i am in the mood for {artist}
        * let's have {title} next
        """,
    ),
    "music_stop": Lines(
        """
        stop the music [in the {room}|]
        turn off the {genre}
        stop playing {genre}
        [pause|stop] the song [by {artist}|]
        * quit playing {artist}
        * end the {genre} playlist
        """,
        """
        stop playing {title}
        stop the song {title} by {artist}
        turn off {title} before {contact} hears it
        * halt the track called {title}
        * stop the album {title}
        """,
        """
        i don't want to hear {title} any more
        no more {genre} for today
        that is enough {genre}
        i am tired of listening to {artist}
        don't play any more {genre}
        * i have had enough of {artist}
        * the party is over, no {genre} any longer
        """,
    ),
    "volume_up": Lines(
        """
        turn up the volume [in the {room}|]
        make the {genre} louder
        turn the radio up in the {room}
        raise the volume of the [speaker|tv] in the {room}
        * crank up the {genre}
        * boost the sound in the {room}
        """,
        """
        turn up the volume of {title}
        make {title} by {artist} louder
        * play {title} louder than before
        """,
        """
        i can't hear the {genre}
        the {genre} is not loud enough
        the sound is too low in the {room}
        {artist} should not be so quiet
        don't play {artist} so quietly
        * the speaker in the {room} is whispering
        * {genre} deserves more volume
        """,
    ),
    "volume_down": Lines(
        """
        turn down the volume [in the {room}|]
        make the {genre} quieter
        turn the radio down in the {room}
        lower the volume of the [speaker|tv] in the {room}
        * soften the {genre}
        * reduce the sound in the {room}
        """,
        """
        turn down the volume of {title}
        make {title} by {artist} quieter
        * play {title} softer than before
        """,
        """
        i can hear the {genre} two floors up, far too much
        the {genre} is not quiet enough
        the sound is too loud in the {room}
        {artist} should not be so loud
        don't play {artist} so loudly
        * the speaker in the {room} hurts my ears
        * {genre} needs less volume
        """,
    ),
    "meeting_create": Lines(
        """
        schedule a {event} for {day} at {time}
        add a {event} to my calendar on {day}
        put a {event} in my calendar for {day}
        [set up|book] a meeting with {contact} on {day}
        * plan a {event} for {day}
        * pencil in a {event} on {day} at {time}
        """,
        """
        schedule a meeting about {topic} with {contact}
        set up a meeting on {day} to talk about {topic}
        put in my calendar that i {job} on {day}
        * arrange a meeting with {contact} about {topic}
        """,
        """
        i have a {event} on {day}, my calendar should say so
        {contact} and i are meeting on {day} at {time}, put it in
        my calendar lacks the {event} on {day}
        * {day} at {time} is taken, i have a {event}
        * block {day} for a {event}
        """,
    ),
    "meeting_cancel": Lines(
        """
        cancel the {event} on {day}
        delete the {event} from my calendar
        call off the {event} [|on {day}]
        remove the {event} at {time} from my calendar
        * scrap the {event} on {day}
        * take the {event} out of my calendar
        """,
        """
        cancel the meeting about {topic}
        call off the meeting with {contact} about {topic}
        * strike the meeting on {topic} from my calendar
        """,
        """
        i won't make it to the {event} on {day}, take it out
        the {event} is not happening, my calendar should not show it
        i no longer want the {event} on {day}
        * {contact} can't come, so the {event} is off
        * don't keep the {event} in my calendar
        """,
    ),
    "meeting_later": Lines(
        """
        move the {event} from {early} to {late}
        push the {event} back [|from {early}] to {late}
        shift the {event} which is at {early} to {late}
        [delay|postpone] the {event} by {minutes}
        * reschedule the {event} from {early} to {late}
        * hold the {event} {minutes} later
        """,
        """
        postpone the meeting about {topic}
        move the meeting about {topic} from {early} to {late}
        * push back the meeting on {topic}
        """,
        """
        i can't do the {event} at {early}, {late} would be fine
        not {early} but {late} for the {event}
        the {event} cannot start on time, give it {minutes} more
        the {event} should not be at {early}, make it {late}
        * the {event} is at {early} and it ought to be at {late}
        * i won't be ready for the {event}, it must wait {minutes}
        """,
    ),
    "meeting_earlier": Lines(
        """
        move the {event} from {late} to {early}
        bring the {event} forward [|from {late}] to {early}
        shift the {event} which is at {late} to {early}
        hold the {event} {minutes} earlier
        * reschedule the {event} from {late} to {early}
        * bring forward the {event} by {minutes}
        """,
        """
        bring forward the meeting about {topic}
        move the meeting about {topic} from {late} to {early}
        * pull the meeting on {topic} forward
        """,
        """
        i can't do the {event} at {late}, {early} would be fine
        not {late} but {early} for the {event}
        the {event} should start {minutes} before its time
        the {event} should not be at {late}, make it {early}
        * the {event} is at {late} and it ought to be at {early}
        * i have to leave early, so the {event} has to begin {minutes} sooner
        """,
    ),
    "calendar_to_work": Lines(
        """
        move the {event} from my private calendar to my work calendar
        copy the {event} out of the family calendar into the work calendar
        shift the {event} on {day} from the private calendar to the office calendar
        take the {event} from my family calendar and into my work calendar
        * transfer the {event} from my home calendar to my office calendar
        """,
        """
        move the meeting about {topic} from my private calendar to my work calendar
        * take the meeting on {topic} out of the family calendar and into the work calendar
        """,
        """
        the {event} is in my private calendar but belongs in my work calendar
        the {event} should not be in the family calendar, it goes in the office calendar
        i want the {event} in my work calendar and not in my private calendar
        * colleagues need to see the {event}, so out of the private calendar and into the work calendar with it
        """,
    ),
    "calendar_to_private": Lines(
        """
        move the {event} from my work calendar to my private calendar
        copy the {event} out of the work calendar into the family calendar
        shift the {event} on {day} from the office calendar to the private calendar
        take the {event} from my work calendar and into my family calendar
        * transfer the {event} from my office calendar to my home calendar
        """,
        """
        move the meeting about {topic} from my work calendar to my private calendar
        * take the meeting on {topic} out of the work calendar and into the family calendar
        """,
        """
        the {event} is in my work calendar but belongs in my private calendar
        the {event} should not be in the office calendar, it goes in the family calendar
        i want the {event} in my private calendar and not in my work calendar
        * colleagues must not see the {event}, so out of the work calendar and into the private calendar with it
        """,
    ),
    "savings_deposit": Lines(
        """
        transfer {amount} pounds from my current account to my savings account
        move {amount} from the current account into the savings account
        take {amount} out of my current account and into my savings account
        put {amount} pounds aside in my savings account
        * shift {amount} pounds over to my savings account, out of my current account
        """,
        """
        move {amount} from my current account to my savings account for {topic}
        * transfer {amount} from my current account to my savings account so that i can {job}
        """,
        """
        i have {amount} pounds in my current account that should be in my savings account
        my savings account should get {amount} from my current account
        i don't need {amount} of my current account, save it
        * let my savings account grow by {amount}, my current account can spare it
        * {amount} pounds belong in my savings account and not in my current account
        """,
    ),
    "savings_withdraw": Lines(
        """
        transfer {amount} pounds from my savings account to my current account
        move {amount} from the savings account into the current account
        take {amount} out of my savings account and into my current account
        draw {amount} pounds from my savings account
        * shift {amount} pounds over to my current account, out of my savings account
        """,
        """
        move {amount} from my savings account to my current account for {topic}
        * transfer {amount} from my savings account to my current account so that i can {job}
        """,
        """
        i have {amount} pounds in my savings account that should be in my current account
        my current account should get {amount} from my savings account
        i can't pay the bill, use {amount} of my savings
        * let my current account grow by {amount}, my savings account can spare it
        * {amount} pounds belong in my current account and not in my savings account
        """,
    ),
    "currency_buy": Lines(
        """
        change {amount} pounds into {foreign}
        swap {amount} pounds for {amount} {foreign}
        convert {amount} of my pounds to some {foreign}
        buy {amount} {foreign} with my pounds
        * exchange {amount} pounds for some {foreign}
        """,
        """
        change {amount} pounds into {foreign} for {topic}
        * buy {amount} {foreign} with pounds for the trip to {city}
        """,
        """
        i have {amount} pounds and need {foreign} [for {city}|]
        i want {foreign} for my {amount} pounds
        pounds are no use in {city}, give me {amount} {foreign}
        * how about {foreign} in place of these {amount} pounds
        * i am off to {city} and i still need {amount} {foreign}
        """,
    ),
    "currency_sell": Lines(
        """
        change {amount} {foreign} into pounds
        swap {amount} {foreign} for {amount} pounds
        convert {amount} of my {foreign} to some pounds
        sell {amount} {foreign} for pounds
        * exchange {amount} {foreign} for some pounds
        """,
        """
        change {amount} {foreign} into pounds for {topic}
        * sell the {amount} {foreign} left from the trip to {city}
        """,
        """
        i have {amount} {foreign} and need pounds [after {city}|]
        i want pounds for my {amount} {foreign}
        {foreign} are no use at home, give me {amount} pounds
        * how about pounds in place of these {amount} {foreign}
        * i am back from {city} and i still have {amount} {foreign} to get rid of
        """,
    ),
    "translate_to_english": Lines(
        """
        translate this {text} from {language} into english
        put the {language} {text} into english
        turn this {language} {text} into an english {text}
        translate the {text} out of its {language} and into english
        * render the {language} {text} in english
        """,
        """
        translate the {language} {text} about {topic} into english
        translate the {text} on {topic} from {language} into english
        * give me the english for the {language} {text} about {topic}
        """,
        """
        i have a {text} in {language} and need it in english
        the {text} is {language} and i only know english
        what does the {language} {text} mean in english
        i don't understand {language}, what does this {text} say in english
        * {contact} sent me a {text} in {language} and i can only read english
        * the {text} should be in english, not in {language}
        """,
    ),
    "translate_from_english": Lines(
        """
        translate this {text} from english into {language}
        put the english {text} into {language}
        turn this english {text} into a {language} {text}
        translate the {text} out of its english and into {language}
        * render the english {text} in {language}
        """,
        """
        translate the english {text} about {topic} into {language}
        translate the {text} on {topic} from english into {language}
        * give me the {language} for the english {text} about {topic}
        """,
        """
        i have a {text} in english and need it in {language}
        the {text} is english and {contact} only knows {language}
        what does the english {text} mean in {language}
        {contact} doesn't understand english, what does this {text} say in {language}
        * i wrote a {text} in english and {contact} can only read {language}
        * the {text} should be in {language}, not in english
        """,
    ),
    "route_to_work": Lines(
        """
        show me the way from my home to the office
        guide me from the house to my work
        find a route that starts at home and ends at the office
        bring me to work from my home
        show me how to get to my office
        take me from {city} street, where i live, to the office
        * navigate me from my flat to my workplace
        """,
        """
        take me from home to the office, but first i {job}
        * get me to work from home although {fact}
        """,
        """
        how long does it take from my home to the office at {time}
        i am at home and have to be at the office by {time}, which way
        i am late for work, what is the fastest way
        my shift starts at {time}, when do i have to leave home
        when will i be at the office if i leave home at {time}
        how is the traffic from my house to my work on {day}
        i am not at the office yet, i am at home, how do i get there by {time}
        * leaving the flat at {time}, when am i at my desk at work
        * which train takes me out of my village and to the office at {time}
        """,
    ),
    "route_home": Lines(
        """
        show me the way from the office to my home
        guide me from my work to the house
        find a route that starts at the office and ends at home
        bring me home from my work
        show me how to get to my home
        take me from the office to {city} street, where i live
        * navigate me from my workplace to my flat
        """,
        """
        take me from the office to home, but first i {job}
        * get me home from work although {fact}
        """,
        """
        how long does it take from the office to my home at {time}
        i am at the office and have to be at home by {time}, which way
        i am done with work, what is the fastest way home
        my shift ends at {time}, when will i be at home
        when will i be at home if i leave the office at {time}
        how is the traffic from my work to my house on {day}
        i am not at home yet, i am at the office, how do i get there by {time}
        * leaving my desk at work at {time}, when am i in the flat
        * which train takes me out of the office and to my village at {time}
        """,
    ),
    "shopping_add": Lines(
        """
        add {item} to my shopping list
        put {item} on the shopping list
        put {item} and {item} on the list
        write {item} on the shopping list
        * include {item} in my shopping
        * note {item} on the shopping list
        """,
        """
        add {item} to the shopping list, {contact} wants some
        put {item} on the shopping list because {contact} will {job}
        * write {item} on the shopping list for {topic}
        """,
        """
        we are out of {item}, the shopping list should have it
        i need to buy {item} and it is not on the list
        there is no {item} left in the {room}, so it goes on the list
        don't let me leave the shop without {item}, put it on the list
        * the shopping list is missing {item}
        * {contact} used up the {item}, onto the list with it
        """,
    ),
    "shopping_remove": Lines(
        """
        remove {item} from my shopping list
        take {item} off the shopping list
        take {item} and {item} off the list
        delete {item} from the shopping list
        * drop {item} from my shopping
        * cross {item} off the shopping list
        """,
        """
        remove {item} from the shopping list, {contact} bought some
        take {item} off the shopping list because {contact} will {job}
        * cross {item} off the shopping list for {topic}
        """,
        """
        we have plenty of {item}, the shopping list should not have it
        i don't need to buy {item} although it is on the list
        there is {item} left in the {room}, so it comes off the list
        don't let me buy {item} again, it should not be on the list
        * the shopping list has {item} by mistake
        * {contact} already got the {item}, off the list with it
        """,
    ),
    "weather_query": Lines(
        """
        tell me the weather in {city} [|on {day}]
        check the forecast for {city}
        show me the temperature in {city} [|at {time}]
        look up the weather for {day} in {city}
        * give me the outlook for {city} on {day}
        """,
        """
        check the weather in {city} before i {job}
        tell me the weather for the {event} on {day}
        * find out whether it will be dry in {city} when i {job}
        """,
        """
        will it rain in {city} on {day}
        how [warm|cold|windy] is it in {city}
        do i need an umbrella [|in {city}] on {day}
        is it too [hot|cold] in {city} for a walk on {day}
        should i take a coat to {city}
        * is there snow in {city} on {day}
        * what is it like outside in {city}
        """,
    ),
    "restaurant_book": Lines(
        """
        book a table for {people} at {place}
        reserve a table at {place} for {time}
        make a reservation at {place} on {day}
        find us a table for {dish} on {day}
        * get us seats at {place} for {people}
        * hold a table at {place} at {time}
        """,
        """
        book a table at {place} for the meeting about {topic}
        reserve a table at {place} because {contact} wants to talk about {topic}
        * get a table at {place} so that {contact} and i can discuss {topic}
        """,
        """
        we want to eat {dish} at {place} on {day}, we are {people}
        is there a table for {people} free at {place}, we would take it
        i would like to have dinner with {contact} at {place} at {time}
        don't cook on {day}, we need a table at {place}
        * {contact} and i are hungry for {dish}, so a table at {place} please
        * dinner for {people} at {place}, {time} sharp
        """,
    ),
}  # fmt: skip
