"""Postal addresses: what names a house, with flat, town and postcode behind it.

English and other European forms: a number and a name that ends as streets do (USPS Publication 28, appendix C1, and the
words of larger European languages), a street's word with a number behind it, military mail, and what `address:` or
`address is` introduces. Chinese forms: a road or village with a number (号), with what stands before it from the province
on.
"""

import re
from collections.abc import Iterator

from stages.clean.span import Span
from stages.core.records.record import fold

SUFFIXES = (
    "Alley Annex Arcade Avenue Ave Av Bayou Beach Bend Bluff Bottom Boulevard Blvd Branch Bridge Brook Bypass Camp Canyon "
    "Cape Causeway Center Centre Circle Cliff Club Common Corner Course Court Ct Cove Creek Crescent Crossing Crossroad "
    "Curve Dale Dam Divide Drive Dr Estate Expressway Extension Falls Ferry Field Flat Ford Forest Forge Fork Fort Freeway "
    "Garden Gardens Gateway Glen Green Grove Harbor Haven Heights Highway Hwy Hill Hollow Inlet Island Isle Junction Key "
    "Knoll Lake Land Landing Lane Ln Light Loaf Lock Lodge Loop Mall Manor Meadow Meadows Mews Mill Mission Motorway Mount "
    "Mountain Neck Orchard Oval Overpass Park Parkway Pkwy Pass Passage Path Pike Pine Place Pl Plain Plaza Point Port "
    "Prairie Radial Ramp Ranch Rapid Rest Ridge River Road Rd Route Row Rue Run Shoal Shore Skyway Spring Springs Spur "
    "Square Sq Station Stravenue Stream Street St Str Summit Terrace Throughway Trace Track Trafficway Trail Tunnel "
    "Turnpike Underpass Union Valley Viaduct View Village Ville Vista Walk Wall Way Well Wells"
)
UPPER = r"(?-i:[A-Z\u00c0-\u00de\u0100-\u017d\u0370-\u03ff])"
SMALL = r"(?:de|del|della|des|der|den|du|la|le|of|and|dei|di|van|am|im|do|dos|da|el|al|y|na)(?=\s)"
CAPITAL = (
    rf"(?:(?!(?:The|This|Per|In|On|Of)\b)(?:{UPPER}(?:\w{{0,3}}\.(?= )|[\w'’-]{{0,30}})|{SMALL}))"
)
NUMBER = r"\d(?<!\w\d)(?<!\d[.,]\d)\d{0,5}[A-Za-z]?(?:-\d{1,5})?(?: \d{1,5})?"
FLAT = r"(?:[\s,]{1,3}(?:Apt|Apartment|Suite|Ste|Unit|Room|Rm|Floor|Flat)\.? ?#?(?-i:\d[\w-]{0,8}|[A-Z]\b))"
POSTCODE = r"(?:\d{5}-\d{4}|\d{2}-\d{3}|\d{3} \d{2}|\d{4,6}|(?-i:[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d))(?!\w)"
TOWN = rf"(?:(?!(?:The|It|He|She|We|I|My|His|Her|They|You|This|That|Please|Our|And|But|If|In)\b){UPPER}[\w'’-]{{0,30}}|{SMALL})"
PLACE = rf"(?:{TOWN}(?: {TOWN}){{0,4}}|(?-i:[A-Z]{{2}}|\d{{2}})(?!\w))"
AFTER = rf"(?:[\s,]{{1,12}}{PLACE}){{0,5}}(?:[\s,]{{1,12}}{POSTCODE})?"
TAIL = (
    rf"(?:\.?{FLAT}{{1,2}}{AFTER}"
    rf"|\.?\s{{0,3}}[,\n]\s{{0,8}}{PLACE}(?=\s{{0,8}}[,.\n]|\s{{0,8}}\d|\s{{0,3}}$){AFTER}"
    rf"|[\s,]{{1,3}}{POSTCODE})?"
)
ENGLISH = rf"(?:{CAPITAL} ){{1,4}}(?-i:{'|'.join(sorted(SUFFIXES.split(), reverse=True))})\b\.?"
LOWER = (
    r"(?:(?!(?:the|a|an|in|on|of|or|and|per|to|from|have|has|this|that|each|by|at|is|are|was|for|with|mile|miles|feet|km)\b)"
    r"(?-i:[a-z0-9][a-z0-9'’-]{1,20}) ){1,3}(?:street|avenue|road|boulevard|lane|terrace|highway|parkway)\b"
)
STREET = r"(?-i:Via|Viale|Rua|Rue|Calle|Carrera|Strada|Avenida|Avenue|Piazza|Plaza|Paseo|Chemin|Corso|Av|ul|ulica)\b"
STREET_FIRST = rf"{STREET}\.?(?: {CAPITAL}){{1,5}} \d{{1,5}}\b"
ENDINGS = "strasse|straße|straat|gasse|platz|laan|weg|gatan|gata|vägen|veien|vegen|vej|gade|katu|tie|braut|allee|utca"
END_WORDS = "Straße|Strasse|Allee|Platz|Weg|Gasse|Straat|Laan"
ENDED = (
    rf"(?:{UPPER}[\w'’-]{{0,30}} ){{0,2}}{UPPER}(?:\w{{1,30}}(?-i:{ENDINGS})|[\w'’-]{{1,30}} (?-i:{END_WORDS}))"
    r"\.? \d{1,5}[a-z]?\b"
)
BEHIND = rf"{CAPITAL}(?: {CAPITAL})? (?-i:u|utca|út|str|ulice)\.? \d{{1,5}}\b"
FLATTED = rf"(?: [\w'’.-]{{1,30}}){{1,6}}(?={FLAT})"
NUMBERED = re.compile(
    rf"{NUMBER}(?:,? (?:{ENGLISH}|{STREET_FIRST}|{ENDED}|{BEHIND}|{LOWER})|{FLATTED}){TAIL}",
    re.IGNORECASE,
)
"""Begins with a digit, which is why it is fast."""
WORDED = re.compile(rf"(?<!\w)(?:{STREET_FIRST}|{ENDED}|{BEHIND}){TAIL}", re.IGNORECASE)
STREET_WORDS = re.compile(rf"(?:(?i:{ENDINGS})| u| út| utca| str| ulice)\.? \d|{STREET}")
CORNER = re.compile(
    rf"(?:the )?corner of (?:\d{{1,6}} )?(?:{CAPITAL}(?: \d{{1,5}})? ){{1,5}}and {CAPITAL}(?: {CAPITAL}){{0,4}}(?: \d{{1,5}})?",
    re.IGNORECASE,
)
MILITARY = re.compile(
    r"(?<!\w)(?:(?:PSC|Unit|USNS|USNV|USS|USCGC) [\w.-]{1,30}(?:,? Box \d{1,6})?[\s,]{1,3}[AFD]PO A[AEP] \d{5}"
    r"|P\.? ?O\.? Box \d{1,6})",
    re.IGNORECASE,
)
LOCATED = re.compile(
    rf"\b(?:located|live[sd]?|living|resid(?:es?|ing)|office|offices? (?:is|are)) (?:at|in|on) "
    rf"({NUMBER} {CAPITAL}(?: {CAPITAL}){{0,3}}(?: \d{{1,5}})?{TAIL})",
    re.IGNORECASE,
)
INTRODUCED = re.compile(
    r"\baddress(?:\s+is|\s*[:：])\s*((?=[^\n]{0,80}\d|[^\n]{0,80}\n[^\n]{0,80}\d)\S.{3,160}?)"
    r"(?=\.?\s*$|[.!?]\s+[^\W\d]|\n\s*\n|[;|]|\s(?:E-?mail|Phone|Tel|Fax|Website|Name|Date)\b\s*:)",
    re.IGNORECASE | re.DOTALL,
)
HAN = r"[\u3400-\u9fff]"
CHINESE = re.compile(
    rf"(?:{HAN}{{2,8}}(?:省|自治区|特别行政区))?(?:{HAN}{{2,8}}(?:市|州|盟))?(?:{HAN}{{1,8}}(?:区|县|旗|市))?"
    rf"(?:{HAN}{{1,8}}(?:镇|乡|街道))?{HAN}{{1,10}}?(?:路|街|大道|巷|弄|胡同|村|里|园|小区|社区)"
    rf"[ 东西南北中]{{0,3}}(?:{HAN}{{1,3}}段)?"
    r"\d{1,5}(?:-\d{1,5})?[号弄栋幢座](?:院|楼)?(?:[ ,，]?\d{1,4}(?:号楼|栋|幢|座|单元|楼|层|室|号|房)){0,5}"
)
LED = re.compile(r"位于|[坐座]落|[在于到住自从店]")
"""What leads to an address, and is none of it."""
HOUSE = re.compile(r"\d[号弄栋幢座]")
CHINESE_INTRODUCED = re.compile(
    rf"(?:地址|住址|住所|家住|现住|户籍地|居住地)(?:为|是|在|[:：\s]){{0,3}}({HAN}{{2,10}}[省市区县州旗镇乡村][\u3400-\u9fff\d号-]{{0,60}})"
)


def find(text: str) -> Iterator[Span]:
    """Every postal address of a text; they may overlap. There is none without a digit."""
    if not re.search(r"\d", text):
        return
    low = text.lower()
    patterns = [NUMBERED]
    patterns += [WORDED] if STREET_WORDS.search(text) else []
    patterns += [CORNER] if "corner of" in low else []
    patterns += [MILITARY] if "po a" in low or "box" in low else []
    patterns += (
        [LOCATED]
        if any(word in low for word in ("locat", "live", "living", "resid", "office"))
        else []
    )
    patterns += [INTRODUCED] if "address" in low else []
    patterns += [CHINESE] if HOUSE.search(text) else []
    patterns += (
        [CHINESE_INTRODUCED] if any(word in text for word in ("址", "住", "户籍", "居住")) else []
    )
    for pattern in patterns:
        for found in pattern.finditer(text):
            start, end = found.span(found.lastindex or 0)
            if pattern is CHINESE:
                start += max((led.end() for led in LED.finditer(found.group())), default=0)
            yield Span(start, end, "address", fold(text[start:end]))
