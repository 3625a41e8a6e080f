"""The names and words that masks are made of.

They were written for monarch: common names, invented places and companies. Never change or reorder them, and
add none: under a lasting key, the masks of later copies would differ.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    """
    Aaliyah Aaron Abdul Abigail Ada Adam Adele Adrian Agata Agnes Ahmed Aiko Aisha Akira Alan Albert
    Alejandro Aleksander Alena Alessandra Alex Alfred Alice Alina Amara Amelia Amina Amir Ana Anders
    André Andrea Angela Anika Anita Anja Anna Anne Antonio Arjun Arthur Asha Astrid Aurora Ayşe Barbara
    Beatriz Ben Bianca Björn Bogdan Boris Bruno Camila Carla Carlos Carmen Caroline Cecilia Chen Chiara
    Chidi Chloe Christine Clara Claude Cristina Daan Dalia Daniel Danica Dario David Deepa Denis Diana
    Diego Dimitri Dmitri Dominik Dora Edith Eduardo Elena Eleni Elias Elif Elisa Emeka Emil Emilia Emma
    Emre Enrique Erik Esther Eva Fabian Farid Fatima Felix Fernanda Filip Finn Florence François Frank
    Freya Gabriel Georg George Giulia Gloria Grace Greta Guillermo Gustav Hana Hanna Hans Haruto Hassan
    Heidi Helena Henrik Hiroshi Hugo Ibrahim Ida Ignacio Ilse Imani Ingrid Irene Isabel Ivan Ivana Jakub
    James Jana Jasmin Javier Jens Jessica Jin Joan João Johan Jonas José Joseph Josephine Juan Julia
    Julian Jürgen Kacper Kamal Karin Karl Katarina Keiko Kenji Khadija Klara Kofi Kristina Kwame Lars
    Laura Layla Leila Lena Leo Leon Leonor Liam Lidia Lin Linda Linnea Lorenzo Louis Louise Lucas Lucia
    Luis Luisa Lukas Magda Mai Malik Manuel Marco Marek Margaret María Marie Marina Mario Mark Marta
    Martin Mateo Matilda Matthias Maurice Max Maya Mehmet Mei Mia Michael Miguel Mila Milan Milena
    Miriam Mohammed Monika Nadia Naomi Natalia Nia Nicolas Nikolai Nils Nina Noah Noor Nora Olaf Olga
    Oliver Olivia Omar Oscar Pablo Patricia Paul Paula Pavel Pedro Petra Philip Pierre Piotr Priya
    Rachel Rafael Rahul Ravi Rebecca Renata Ricardo Richard Rita Robert Rosa Ruben Ruth Sakura Samir
    Samuel Sandra Sara Sebastian Selma Sergei Simon Sofia Sophie Stefan Stella Sunita Susanne Sven
    Sylvia Tadeusz Takeshi Tamara Tariq Teresa Theo Thomas Tiago Tomas Tove Ursula Valentina Vera Victor
    Viktoria Vincent Walter Wei Wilhelm Xavier Yara Yasmin Yuki Yusuf Zara Zoe Zuzana
    """
)
LAST_NAMES = _words(
    """
    Abbott Abe Acosta Adams Adeyemi Aguilar Ahmed Albrecht Ali Almeida Alvarez Andersen Anderson
    Andersson Arnold Arslan Asante Aydin Bailey Baker Balogun Baptista Barbieri Barnes Bauer Beck Becker
    Bell Bennett Berg Bergman Bernard Bianchi Blanc Boateng Bondarenko Bonnet Borg Brandt Braun Brooks
    Brown Bruno Campbell Cardoso Carlsson Carter Castillo Castro Chang Chen Chopra Christensen Clark
    Collins Colombo Contreras Cooper Costa Cruz Dahl Dang Das David Davies Delgado Demir Deng Desai
    Diallo Diaz Dixon Doğan Dubois Dupont Durand Dvořák Eberhart Edwards Egger Eklund Ellis Eriksson
    Esposito Evans Farkas Fernandes Fernández Ferrari Fischer Flores Fontaine Forsberg Foster Fournier
    Frank Franke Friedrich Fuchs Fujita Gallo García Garnier Gauthier Georgiou Gilmore Girard Gomes Gómez
    Gonçalves González Graf Graham Gray Greco Green Griffin Gruber Guerra Gupta Gutiérrez Haas Hahn Hall
    Hamilton Hansen Hara Harris Hartmann Hassan Hayashi Hayes Heinrich Hernández Herrera Hoffmann Holm
    Horvat Horváth Huang Huber Hughes Hussein Ibrahim Ito Ivanov Iyer Jackson Jansen Janssen Jensen
    Jiménez Johansson Johnson Jones Kaiser Kamara Kaya Keller Khan Kim King Kirchner Klein Kobayashi
    Koch Kovács Kowalski Krause Kumar Lambert Lang Larsen Laurent Lehmann Leroy Lewis Lindberg Lombardi
    Lopes López Lorenz Lund Mahlangu Maier Mancini Marino Martin Martins Mathieu Mayer Mazur Mbeki
    Medina Mehta Meier Mendoza Mensah Meyer Mishra Mitchell Moreau Moreno Morgan Mori Müller Murphy Nagy
    Nair Nakamura Navarro Ndiaye Nelson Neumann Nguyen Nielsen Novak Nowak Nyberg Ochieng Okafor Olsen
    Ortega Ortiz Osei Owens Özdemir Pappas Parker Patel Pavlov Pereira Pérez Petersen Petrov Pham
    Popescu Popov Quinn Rahman Ramírez Rao Reyes Ricci Richter Rivera Rizzo Roberts Robinson Rodríguez
    Romano Romero Rossi Roth Rousseau Ruiz Russo Saito Salazar Santos Sasaki Sato Schmid Schmidt
    Schneider Schröder Schulz Scott Sharma Shevchenko Silva Simon Singh Smith Sokolov Sørensen Sousa
    Stewart Suzuki Svensson Szabó Takahashi Tan Tanaka Taylor Thomas Thompson Tóth Tran Turner Vargas
    Vasquez Vogel Wagner Walker Wang Watanabe Weber Weiss White Williams Wilson Winkler Wójcik Wolf Wong
    Wright Yamamoto Yang Yılmaz Young Zhang Zhou Ziegler Zimmermann
    """
)
# What logins and addresses are made of.
PLAIN_FIRST = tuple(name.lower() for name in FIRST_NAMES if name.isascii())
PLAIN_LAST = tuple(name.lower() for name in LAST_NAMES if name.isascii())

TREES = _words(
    """
    Alder Almond Amber Anchor Apple Ash Aspen Aster Barley Bay Beacon Beech Bell Birch Bracken Bramble
    Bridge Briar Brook Cedar Chalk Cherry Chestnut Clover Copper Coral Crane Cypress Dale Dove Elder Elm
    Falcon Fern Fir Forge Fox Garden Glen Granite Grove Harbour Harvest Hawthorn Hazel Heath Heather
    Heron Hill Holly Iris Ivy Juniper Kestrel Lake Larch Lark Laurel Lavender Lilac Linden Lily Magnolia
    Maple Marigold Market Meadow Mill Mint Moss Myrtle Oak Olive Orchard Otter Park Peach Pear Pebble
    Pine Plum Poplar Poppy Primrose Quarry Quince Raven River Robin Rose Rosemary Rowan Saffron Sage
    Sandy Silver Sorrel Spring Spruce Stone Swallow Thistle Thyme Tulip Valley Vine Violet Walnut Willow
    Winter Wren Yarrow Yew
    """
)
ROADS = (
    "Street",
    "Road",
    "Lane",
    "Avenue",
    "Way",
    "Close",
    "Square",
    "Court",
    "Walk",
    "Crescent",
    "Row",
    "Drive",
)
CITY_FRONTS = _words(
    """
    Alder Amber Arn Ash Bern Birk Black Brad Brun Cal Carn Clear Cold Dale Dorn East Eber Elm Fair Falk
    Fern Gold Grand Green Grim Hal Harrow Haver Hazel Hill Holm Iron Kel Kings Lang Lin Lor Mar Mead Mill
    Nether New Nor North Oak Oster Raven Red Rich Rock Rosen Sal Sand Silver South Stein Sten Stone
    Sund Thorn Under Upper Val Vester Wald War Weiss West White Winter Wolf
    """
)
CITY_ENDS = _words(
    """
    ach au bach berg borg bourg bridge brook burg bury by castel combe dale dorf felden field ford gate
    ham haven heim hofen holm hurst ingen leigh ley mark mere minster mont mouth münde port sted stetten
    stone thal ton vale ville wald weiler wick worth
    """
)
COMPANY_FRONTS = _words(
    """
    Acorn Alder Alpine Altair Amber Anchor Arbor Arctic Argent Atlas Aurora Azure Baltic Beacon Birch
    Bluebird Boreal Brightwater Cascade Cedar Cobalt Comet Compass Copper Coral Cormorant Crescent Delta
    Ember Evergreen Falcon Fjord Galaxy Garnet Glacier Granite Harbour Hazel Helix Heron Horizon Indigo
    Ivory Jade Juniper Keystone Lantern Larch Lighthouse Lumen Lynx Magnolia Maple Meridian Mistral
    Monsoon Nimbus Northwind Nova Oak Obsidian Onyx Opal Orchard Orion Osprey Otter Pebble Phoenix
    Pinecrest Pioneer Polar Prairie Quartz Raven Redwood Ridge Riverside Rowan Saffron Sapphire Sierra
    Silverline Solstice Sparrow Sterling Summit Sundial Tamarack Terra Thistle Tidewater Topaz Tundra
    Vanguard Vega Verdant Vertex Willow Windmill Zenith Zephyr
    """
)
COMPANY_TRADES = _words(
    """
    Analytics Bakery Books Brewing Building Capital Chemicals Clinics Coffee Consulting Design Dynamics
    Electric Energy Engineering Farms Film Foods Freight Furniture Games Gardens Glass Holdings Hotels
    Instruments Insurance Interiors Labs Legal Logistics Machines Marine Media Metals Motors Music
    Networks Optics Paper Partners Pharma Press Print Properties Robotics Security Shipping Software
    Solar Steel Studio Supplies Systems Textiles Timber Tools Toys Trading Transport Travel Ventures
    Watches Water Works
    """
)
COMPANY_FORMS = ("Ltd", "GmbH", "AG", "Inc.", "LLC", "S.A.", "B.V.", "AB", "SARL", "S.r.l.", "& Co.", "Group")

_SYLLABLES = _words(
    """
    ba be bi bo da de di do fa fe fi ka ga ge go la le li lo lu ma me mi mo mu na ne ni no nu pa pe pi
    po ra re ri ro ru sa se si so su ta ke ti to tu va ve vi vo
    """
)
_ENDINGS = ("", "n", "r", "s", "l", "m")
_PROSE_LENGTH, _PROSE_STARTS = 12_288, 8_192


def _compose() -> tuple[str, tuple[int, ...]]:
    """Return prose of invented words, and where its words begin in its front part."""
    words, starts, length, state = [], [], 0, 1
    while length < _PROSE_LENGTH:
        word = ""
        # A linear congruential generator: the same numbers in every version of Python.
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        for shift in range(1 + (state >> 61) % 3 + (state >> 60) % 2):
            word += _SYLLABLES[(state >> 10 + 11 * shift) % len(_SYLLABLES)]
        word += _ENDINGS[(state >> 56) % len(_ENDINGS)]
        starts.append(length)
        words.append(word)
        length += len(word) + 1
    return " ".join(words), tuple(start for start in starts if start < _PROSE_STARTS)


PROSE, PROSE_WORDS = _compose()
