"""Plain statements about everyday things, so that unlabelled text has more words than requests do.

Each topic has people, what they did, things, what things are like, and places; the frames combine them.
"""

from typing import NamedTuple


class Topic(NamedTuple):
    """Words of one domain; entries are separated by semicolons."""

    who: str
    did: str
    things: str
    like: str
    where: str


TOPICS = (
    Topic(
        "the baker; a young cook; the chef; our grandmother; the waiter; a hungry guest",
        """kneaded the dough for the rolls; whisked cream into stiff peaks; roasted a goose with chestnuts; burnt the
        caramel; peeled two pounds of potatoes; stirred the soup with a wooden ladle; sprinkled cinnamon over the
        porridge; sharpened the carving knife; tasted the gravy; rinsed the lettuce; grated nutmeg into the sauce""",
        """the sourdough loaf; the rhubarb crumble; a jar of pickles; the frying pan; the saffron rice; the lentil stew;
        a slice of quiche; the vinegar; the pepper mill; the blackberry jam; the oven; a bowl of walnuts""",
        "crisp; salty; bitter; tender; greasy; fragrant; overcooked; delicious; stale; spicy; creamy; sour",
        "in the bakery; behind the counter; at the stove; in the pantry; at the market stall; round the dinner table",
    ),
    Topic(
        "the captain; a sailor; the fisherman; two divers; the harbour pilot; the lighthouse keeper",
        """hauled the nets aboard; mended a torn sail; steered round the reef; dropped the anchor; watched dolphins
        follow the ship; painted the hull; tied the rope to a bollard; rowed ashore in a dinghy; lost the compass;
        waited for the tide; pumped water out of the hold""",
        """the schooner; the rudder; a crate of mackerel; the foghorn; the gangway; the old ferry; a barnacle; the mast;
        the lifeboat; the cargo; a coral reef; the deck""",
        "rusty; seaworthy; slippery; leaking; sturdy; wooden; salt-stained; abandoned; swift; creaking",
        "off the coast; in the harbour; on the open sea; near the estuary; below deck; beside the pier",
    ),
    Topic(
        "the surgeon; a nurse; the patient; the dentist; a pharmacist; the physiotherapist",
        """measured the pulse twice; bandaged the ankle; prescribed a stronger ointment; explained the diagnosis; slept
        after the anaesthetic; complained of a headache; washed both hands with soap; looked at the x-ray; counted the
        tablets; pulled out a wisdom tooth; recovered from pneumonia""",
        """the stethoscope; the syringe; the waiting room; a plaster cast; the vaccine; the thermometer; the ward; a
        wheelchair; the cough syrup; the scar; the ambulance; the blood sample""",
        "sterile; painful; swollen; harmless; contagious; chronic; effective; dizzy; urgent; healthy",
        "in the clinic; at the hospital; in the operating theatre; at the pharmacy; on the third ward",
    ),
    Topic(
        "the farmer; a shepherd; the milkmaid; the beekeeper; a farmhand; the blacksmith",
        """ploughed the lower field; sheared forty sheep; collected honey from the hives; repaired the tractor; fed the
        geese at dawn; stacked bales of straw; led the mare to the stable; sowed barley and oats; drained the ditch;
        shod the grey pony; chased a fox from the henhouse""",
        """the barn; the harvest; a sack of grain; the scarecrow; the orchard; the cowshed; the turnip field; the hay
        wagon; a newborn calf; the windmill; the compost heap; the goat""",
        "muddy; fertile; ripe; stubborn; dusty; plentiful; barren; woolly; golden; well fed",
        "in the meadow; behind the barn; on the hillside; along the hedge; beyond the village; by the trough",
    ),
    Topic(
        "the goalkeeper; a sprinter; the referee; our trainer; the champion; a young gymnast",
        """scored in the last second; stretched before the race; blew the whistle; lifted a heavy barbell; missed the
        penalty; jumped over the hurdle; shook hands with the rival team; broke the national record; twisted a knee;
        swam forty lengths; served two aces in a row""",
        """the stadium; the trophy; a tennis racket; the relay race; the scoreboard; the starting line; the javelin;
        a pair of skis; the second half; the swimming pool; the medal ceremony; the league table""",
        "exhausting; unfair; thrilling; narrow; sold out; unbeaten; athletic; sweaty; decisive; legendary",
        "on the pitch; at the gym; in the changing room; before the crowd; on the running track; at the finish",
    ),
    Topic(
        "the astronomer; a physicist; the chemist; a biologist; the professor; her assistant",
        """observed a distant galaxy; mixed acid with copper; calculated the orbit of the comet; published a careful
        paper; examined cells under the microscope; repeated the experiment; doubted the hypothesis; cooled the sample
        with liquid nitrogen; classified a new beetle; drew a graph; spilt the solution""",
        """the telescope; the magnetic field; a molecule; the eclipse; the laboratory; the fossil; gravity; the theory;
        a test tube; the planet; the electron; the measurement""",
        "precise; invisible; radioactive; puzzling; microscopic; stable; ancient; theoretical; dense; remarkable",
        "in the observatory; at the institute; in the laboratory; during the lecture; under the microscope",
    ),
    Topic(
        "the carpenter; a bricklayer; the plasterer; an architect; the roofer; the apprentice",
        """sawed the oak planks; mixed a barrow of cement; hammered nails into the beam; sanded the banister; drew the
        floor plan; tiled the shower; fixed the gutter; varnished the table; measured the window frame; climbed the
        scaffold; drilled a hole for the bolt""",
        """the ladder; the chisel; a pile of bricks; the roof; the staircase; the foundation; the toolbox; the
        wallpaper;
        the fireplace; the drawer; a pot of glue; the ceiling""",
        "crooked; solid; unfinished; splintered; level; draughty; spacious; handmade; rotten; polished",
        "on the building site; in the workshop; on the roof; under the stairs; in the old cottage",
    ),
    Topic(
        "the painter; a sculptor; the violinist; the actress; the curator; a poet",
        """sketched a portrait in charcoal; carved a horse out of marble; practised scales all morning; forgot her
        lines;
        hung the landscape by the window; wrote a sonnet about autumn; tuned the cello; rehearsed the final scene;
        bowed to the audience; glazed the vase; recited a ballad""",
        """the gallery; the orchestra; the canvas; a bronze statue; the stage curtain; the melody; the sketchbook; the
        premiere; the trumpet; the novel; a watercolour; the libretto""",
        "gloomy; elegant; abstract; harmonious; famous; forged; colourful; melancholy; baroque; unfinished",
        "in the museum; at the theatre; in her studio; on the stage; at the exhibition; in the concert hall",
    ),
    Topic(
        "the driver; a cyclist; the conductor; two passengers; the mechanic; the commuter",
        """changed a flat tyre; missed the connection; waited on the platform; filled the tank; overtook a lorry;
        checked
        the tickets; followed the detour; repaired the brakes; parked beside the fountain; honked at a pigeon; folded
        the road map""",
        """the tram; the motorway; the timetable; a bicycle; the traffic jam; the tunnel; the roundabout; the suitcase;
        the airport; the engine; the level crossing; a spare wheel""",
        "delayed; crowded; punctual; noisy; bumpy; electric; expensive; winding; convenient; broken down",
        "at the station; on the motorway; at the crossroads; in the car park; on the night train; near the bridge",
    ),
    Topic(
        "the teacher; a pupil; the headmistress; the librarian; a student; the caretaker",
        """corrected the essays; spelled the word wrongly; returned the overdue books; learned the verbs by heart;
        solved
        the equation; sharpened a pencil; passed the examination; drew a triangle on the board; whispered an answer;
        tidied the shelves; explained long division""",
        """the dictionary; the classroom; the homework; the blackboard; a spelling mistake; the timetable; the essay;
        the school bell; the encyclopedia; a geometry lesson; the playground; the diploma""",
        "difficult; strict; boring; clever; attentive; ink-stained; thorough; lazy; curious; well read",
        "in the library; at school; during the lesson; in the reading room; at the back of the class",
    ),
    Topic(
        "the gardener; an old botanist; our neighbours; the park keeper; a florist; the children",
        """pruned the roses; watered the seedlings; raked the fallen leaves; planted tulip bulbs; mowed the lawn; picked
        a basket of plums; pulled up the nettles; trimmed the hedge; dug a pond; built a trellis for the peas; chased
        snails off the lettuce""",
        """the greenhouse; the lavender; a wheelbarrow; the cherry tree; the flower bed; the watering can; the ivy; the
        sunflower; the rake; the moss; a bumblebee; the vegetable patch""",
        "blooming; withered; thorny; evergreen; shady; overgrown; lush; wilted; sweet-smelling; frostbitten",
        "in the garden; under the apple tree; along the path; behind the shed; in the greenhouse; by the fence",
    ),
    Topic(
        "the clerk; an accountant; the manager; the secretary; a new colleague; the consultant",
        """signed the contract; filed the invoices; printed forty copies; negotiated a discount; postponed the decision;
        drafted the annual report; interviewed three applicants; answered the complaint; audited the accounts; ordered
        new chairs; resigned without notice""",
        """the spreadsheet; the deadline; the quarterly figures; a stapler; the conference; the salary; the supplier;
        the
        photocopier; the warehouse; the tax return; the agreement; the invoice""",
        "profitable; overdue; confidential; tedious; efficient; unpaid; reliable; bureaucratic; costly; annual",
        "at headquarters; in the boardroom; by the coffee machine; at her desk; in the archive; during the audit",
    ),
    Topic(
        "the judge; a lawyer; the witness; the mayor; a senator; the journalist",
        """dismissed the case; defended the accused; swore an oath; proposed a new law; won the election; questioned the
        minister; published the scandal; lost the appeal; counted the ballots; voted against the treaty; drafted a
        petition""",
        """the courtroom; the verdict; the parliament; the campaign; a newspaper; the constitution; the lawsuit; the
        debate; the embassy; the evidence; the tax reform; the headline""",
        "guilty; controversial; unanimous; corrupt; democratic; lengthy; innocent; biased; lawful; historic",
        "in court; at the town hall; before the committee; on the front page; during the debate; in the capital",
    ),
    Topic(
        "the hiker; two climbers; a ranger; the guide; a lonely wanderer; the skier",
        """crossed the glacier; pitched a tent; followed the ridge; drank from a spring; spotted an eagle; lit a
        campfire; slipped on the scree; carried a heavy rucksack; reached the summit; sheltered in a cave; traced bear
        tracks in the snow""",
        """the waterfall; the valley; a pine forest; the avalanche; the mountain hut; the canyon; the footbridge; the
        volcano; a boulder; the cliff; the swamp; the desert""",
        "steep; misty; breathtaking; frozen; rocky; remote; treacherous; peaceful; snow-covered; dry",
        "on the summit; in the forest; along the river; above the tree line; in the gorge; at the campsite",
    ),
    Topic(
        "the programmer; an engineer; the technician; a designer; the system administrator; her colleague",
        """fixed a bug in the parser; restarted the server; soldered the wires; tested the prototype; encrypted the hard
        disk; deleted the wrong folder; charged the battery; printed a plastic gear; connected the router; wrote the
        documentation; measured the voltage""",
        """the keyboard; the database; a circuit board; the robot; the password; the satellite; the printer; the
        algorithm; the cable; the touch screen; the antenna; the spare part""",
        "obsolete; wireless; faulty; portable; automatic; compatible; overheated; encrypted; efficient; slow",
        "in the data centre; at the workbench; in the cloud; on the assembly line; in the control room",
    ),
    Topic(
        "the king; a knight; the archaeologist; the historian; a monk; the empress",
        """besieged the fortress; signed the peace treaty; dug up a clay pot; copied the manuscript; founded the
        monastery; crossed the desert with camels; inherited the crown; minted silver coins; deciphered the inscription;
        burned the letters; buried the treasure""",
        """the castle; the pyramid; a suit of armour; the empire; the scroll; the sword; the throne; the plague; the
        cathedral; the tomb; the dynasty; the siege""",
        "medieval; glorious; ruined; legendary; forgotten; bloody; sacred; noble; prehistoric; fortified",
        "in the abbey; on the battlefield; in the ruins; at the royal court; beneath the chapel; in the archive",
    ),
    Topic(
        "the tailor; a seamstress; the customer; the shoemaker; the model; the jeweller",
        """hemmed the skirt; tried on a velvet jacket; embroidered the collar; resoled the boots; ironed the linen
        shirt;
        threaded the needle; knitted a woollen scarf; dyed the silk purple; lost a button; engraved the ring; returned
        the trousers""",
        """the zip; the sewing machine; a leather belt; the wardrobe; the raincoat; the sleeve; the necklace; the lace;
        a pair of gloves; the fabric; the hat; the thimble""",
        "fashionable; torn; silky; loose; striped; waterproof; shabby; tight; cotton; expensive",
        "in the boutique; at the fitting; in front of the mirror; in the shop window; at the flea market",
    ),
    Topic(
        "the zookeeper; a vet; the parrot; our dog; a squirrel; the kitten",
        """hid beneath the sofa; chewed the slipper; gathered acorns; purred on the cushion; escaped from the cage;
        examined the tortoise; barked at the postman; built a nest in the chimney; caught a mouse; swam across the pond;
        slept through the thunder""",
        """the aquarium; a hedgehog; the elephant; the feathers; the kennel; the owl; the spider's web; the zebra; the
        rabbit hutch; a swarm of bees; the penguin; the leash""",
        "tame; fierce; furry; nocturnal; venomous; playful; endangered; timid; hungry; striped",
        "at the zoo; in the basket; on the windowsill; in the burrow; beside the pond; in the jungle",
    ),
    Topic(
        "the meteorologist; the islanders; a pilot; the coast guard; the villagers; the glazier",
        """predicted a thunderstorm; shovelled snow from the drive; boarded up the windows; waited for the fog to lift;
        measured the rainfall; photographed the rainbow; collected hailstones; filled sandbags; complained about the
        drought; warned of icy roads; watched the lightning""",
        """the hurricane; the frost; a gentle breeze; the barometer; the flood; the heatwave; the drizzle; the cloud
        cover; the blizzard; the sunrise; the puddle; the monsoon""",
        "humid; stormy; overcast; mild; scorching; damp; chilly; unpredictable; breezy; severe",
        "along the coast; over the plains; in the valley; above the clouds; in the northern counties",
    ),
    Topic(
        "the twins; her stepfather; the bride; an elderly couple; the toddler; the godmother",
        """moved into a smaller flat; unpacked the wedding presents; argued about the dishes; told a bedtime story;
        blew out the candles; adopted a baby; forgave an old quarrel; celebrated the anniversary; laughed at the
        photographs; wept at the funeral; knitted socks for the newborn""",
        """the family album; the cradle; the inheritance; the wedding cake; a birthday card; the nursery rhyme; the
        doll's house; the reunion; the pram; the engagement ring; the household; the childhood home""",
        "cheerful; lonely; jealous; affectionate; nervous; grateful; stubborn; proud; sentimental; noisy",
        "at the wedding; in the nursery; on the porch; at grandmother's house; on the sofa; during the holidays",
    ),
    Topic(
        "the banker; a shopkeeper; the tourist; a street vendor; the cashier; the collector",
        """counted the banknotes; lent him a thousand crowns; haggled over a carpet; bought souvenirs; gave change for a
        large note; sold antique clocks; saved for a rainy day; pawned a watch; invested in copper mines; weighed the
        coins; opened the till""",
        """the mortgage; the receipt; a lottery ticket; the price tag; the interest; the auction; the wallet; the vault;
        the bargain; the stamp collection; the cheque; the market""",
        "cheap; valuable; worthless; secondhand; generous; bankrupt; rare; genuine; affordable; counterfeit",
        "at the bank; in the arcade; at the auction; on the market square; at the till; in the antique shop",
    ),
    Topic(
        "the firefighter; a detective; the burglar; the soldier; a police officer; the watchman",
        """rescued a child from the flames; followed the footprints; forced the lock; stood guard all night; questioned
        the suspect; found a fingerprint; sounded the siren; carried a torch; searched the cellar; wrote a statement;
        unrolled the hose""",
        """the handcuffs; the uniform; the fire engine; a broken window; the ransom note; the barracks; the helmet; the
        crime scene; the alibi; the smoke; the rifle; the extinguisher""",
        "brave; suspicious; armed; dangerous; alert; innocent; blazing; wounded; cautious; mysterious",
        "at the police station; in the burning house; at the border; in the alley; on patrol; in the barracks",
    ),
)

FRAMES = """
    {who} {did} {where}
    {when} {who} {did}
    {who} {did} because {things} was {like}
    {who} {did} although {things} was {like}
    {things} was {like} and {things} was even more {like}
    {things} {where} was {like}
    {when} {things} seemed {like}, but {who} did not mind
    {who} said that {things} was {like}
    {who} and {who} talked about {things} {where}
    while {who} {did}, {who} waited {where}
    after that {who} {did} and then {did}
    {where} there was nothing but {things} and {things}
    {who} had never seen {things} so {like}
    if {things} had not been {like}, {who} would have left
    {things} looked {like} to {who}
    neither {who} nor {who} cared for {things}
    {when} {things} was found {where}
    few people know how {like} {things} can be
    it was {like} {where}, so {who} went home
"""

WHEN = """
    in the morning; last winter; every evening; one day; at noon; in early spring; long ago; on a rainy day; after the
    war; before sunrise; towards midnight; in august; last tuesday; a week later; during the night; at the weekend; in
    those years; shortly before dinner; once a month; in late autumn
"""

PLACES = """
    france; kenya; peru; norway; thailand; canada; egypt; mongolia; chile; iceland; vietnam; portugal; nepal; jamaica;
    ghana; finland; bolivia; hungary; morocco; new zealand
"""
