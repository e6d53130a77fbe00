"""Slot values of the requests; those after `//` are never used in train."""

SLOTS = {
    "time": """
        six; half past six; seven; quarter past seven; seven thirty; eight; ten to nine; nine; half past nine; ten;
        eleven; noon; one; quarter to two; three; half past three; five; twenty past five; 6:45; 7:10; 8:20; 10:15
        // quarter to six; ten past seven; half eight; 5:50; 9:35; twenty to four""",
    "day": """
        monday; tuesday; wednesday; thursday; friday; saturday; sunday; the first; the third; the tenth; christmas eve
        // the twelfth; new year's eve; the last day of the month""",
    "minutes": """
        two minutes; three minutes; five minutes; eight minutes; ten minutes; twelve minutes; fifteen minutes;
        twenty minutes; half an hour; forty minutes; an hour // seven minutes; a quarter of an hour; ninety seconds""",
    "contact": """
        mum; dad; grandma; anna; tom; my sister; my brother; my boss; doctor lee; peter; maria; the landlord; julia;
        uncle joe; the plumber; sam; my neighbour; karim; the school; emily; my wife; the vet; lucas; the babysitter
        // my aunt; ingrid; the electrician; mr novak; priya; my cousin; the florist; oliver""",
    "room": """
        kitchen; bedroom; living room; bathroom; hall; garage; office; nursery; attic; cellar; dining room; hallway
        // guest room; conservatory; laundry room; study; stairwell""",
    "door": """
        front door; back door; garage door; garden gate; side door; cellar door; door to the shed; main entrance
        // balcony door; patio door; service entrance""",
    "item": """
        milk; eggs; bread; butter; apples; rice; coffee; toothpaste; tomatoes; onions; cheese; flour; olive oil; tea;
        dish soap; bananas; yoghurt; paper towels; chicken; lemons; carrots; cat food; light bulbs; batteries; honey
        // spinach; oat milk; washing powder; mustard; ginger; sticky tape; chickpeas""",
    "genre": """
        jazz; rock; classical music; hip hop; folk songs; piano music; salsa; country; techno; opera; blues; reggae
        // swing; bossa nova; string quartets; lullabies""",
    "artist": """
        the velvet lanterns; dora finch; the paper kites club; northern tramlines; hugo marlow; the salt sisters;
        miles ferrand; tin roof choir; lena ostrow; the quiet engines
        // the copper gulls; ida wren; sunday cartographers""",
    "title": """
        turn off the lights; call me at midnight; don't stop the music; wake me up at seven; lock the door behind you;
        cold outside; send me a message; cancel my monday; money in the bank; the weather in lisbon; remind me of you;
        louder than thunder; the long way home; an alarm in my heart; ten minutes more; a table for two;
        translate my silence; note to self; the meeting; dollars and pounds; leave the lamp on; turn it down
        // open the gate; no more messages; take me to work; set the timer; half past never; keep it quiet;
        save it for later; turn up the heat""",
    "topic": """
        the door locks; the alarm system; the new heating; savings accounts; the music festival; the weather station;
        street lights; the translation; the shopping centre; the timer app; the office move; call centre volumes;
        the restaurant menu; reminder emails; exchange rates; the budget; the school trip; the garden fence;
        the insurance claim; the summer party; hiring; the website
        // noise at night; the lighting plan; louder speakers; cancelled orders; the bank merger; the bus route;
        the note taking tool; the paint job""",
    "fact": """
        the bins go out on tuesday; the spare key is under the flowerpot; the alarm code is changing on monday;
        the kitchen light flickers; the heating man comes at noon; the music at the party was too loud;
        i owe julia twenty pounds; the meeting room has no window; the front door sticks in winter;
        the blue paint is called harbour mist; the weather was lovely in porto; the savings rate went up;
        i parked on level three; the timer on the oven is broken; the restaurant closes on sundays;
        the train to the office was late again; the translator charges by the word; the volume knob is loose
        // the lamp in the study needs a new bulb; mum's call came too late; the wifi password is on the fridge;
        the cancelled flight will be refunded; the shopping list is on the table; the gate does not lock""",
    "dish": """
        pizza; sushi; curry; noodles; tapas; a steak; seafood; dumplings; ramen; falafel // couscous; fondue; tacos""",
    "place": """
        the golden spoon; luigi's; the harbour grill; mama rosa; the green olive; the old mill; sakura house; bistro
        nine
        // the crooked fork; casa marina; the tea pavilion""",
    "people": "two; three; four; five; six; eight; two people; four people // seven; ten people; a party of nine",
    "city": """
        london; paris; madrid; berlin; oslo; rome; vienna; lisbon; prague; dublin; athens; cairo; tokyo; boston; leeds
        // bergen; seville; kyoto; montreal; ghent""",
    "amount": """
        20; 25; 30; 40; 45; 50; 60; 75; 80; 90; 100; 120; 150; 180; 200; 240; 250; 300; 350; 400; 500; 600; 750; 800
        // 35; 55; 70; 110; 160; 220; 450; 900""",
    "foreign": "euros; dollars; yen; swiss francs; danish kroner; zloty; pesos // rupees; canadian dollars; forints",
    "language": """
        french; german; spanish; italian; polish; turkish; dutch; japanese; greek; portuguese // swedish; korean;
        czech""",
    "text": """
        letter; email; menu; sentence; sign; recipe; contract; paragraph; poem; manual; invitation; article
        // leaflet; subtitle; warning label; postcard""",
    "event": """
        dentist appointment; team meeting; budget review; piano lesson; yoga class; lunch with sam; job interview;
        parents' evening; project call; haircut; staff meeting; book club; doctor's appointment; sales meeting
        // eye test; board meeting; swimming lesson; dinner with the neighbours; tax consultation""",
    "early": """
        eight in the morning; nine in the morning; half past nine in the morning; ten in the morning; 8:30 am; 9:15 am;
        10 am // quarter past eight in the morning; 9:45 am""",
    "late": """
        two in the afternoon; three in the afternoon; half past three in the afternoon; five in the evening; 2:30 pm;
        4:15 pm; 5 pm // quarter past four in the afternoon; 3:45 pm""",
    "job": """
        lock the door; call the plumber; buy milk; turn off the oven; cancel the gym; set the table; water the plants;
        move money to my savings account; play with the kids; book a table; change some euros; turn down the heating;
        send the invoice; translate the letter; read the messages from the school; switch on the lights in the garage;
        set an alarm; take a note of the meter; add eggs to the list; unlock the gate; drive to the office;
        delay the team meeting; stop the music at ten; check the weather; wake up tom; feed the cat; renew my passport
        // ring the vet; open the back door; put the lights out; bring the meeting forward; turn the radio up;
        pick up the parcel; defrost the freezer; reserve seats; withdraw some cash; set the kitchen timer""",
}  # fmt: skip
