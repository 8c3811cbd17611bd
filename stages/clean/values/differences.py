"""Differences of temperatures in running text: a drop of 10 °F, within ±3 °F, 温差15℃.

A difference has no zero point, so 9 °F of it are 5 °C. Only the words around it tell.
"""

import re

_CHANGES = (
    "rise|rises|rose|risen|rising|drop|drops|dropped|dropping|fall|falls|fell|fallen|falling"
    "|increase|increases|increased|increasing|decrease|decreases|decreased|decreasing"
    "|climb|climbs|climbed|warmed|warms|cooled|cools|lowered|lowers|raised|raises|raise|lower"
    "|reduce|reduces|reduced|reduction|differ|differs|differed|difference|differences|differential"
    "|deviate|deviates|deviated|deviation|deviations|vary|varies|varied|variation|variations"
    "|fluctuate|fluctuates|fluctuated|fluctuation|fluctuations|change|changes|changed|changing"
    "|swing|swings|tolerance|tolerances|accurate|accuracy|precision|error|errors|uncertainty"
    "|margin|gradient|gradients|gain|gained|loss|lost|spread|offset|hysteresis|step|steps"
    "|increment|increments|superheat|subcooling|within|plus or minus|give or take|up|down|off"
    "|another|extra|additional|resolution|repeatability|sensitivity|stability|drift|excursion"
    "|elevated|depressed|elevation|depression"
    "|approach|interval|intervals|excess|lag|jump|jumps|jumped|surge|surged|shift|shifts|shifted|delta|ΔT|∆T|dT"
)
BEFORE = re.compile(
    rf"(?:\b(?:{_CHANGES})(?:(?: [a-z]+){{0,3}} temperatures?)?"
    r"(?:,? (?:is|was|were|are|be|been|equals|to within|by|of|about|approximately|around|nearly"
    r"|roughly|almost|some|only|just|at least|at most|up to|as much as|as little as|no more than"
    r"|more than|less than|over|between|a|an|another|further|additional|temperature))* ?[=:<>≤≥~≈]? ?"
    r"|\bby(?: (?:about|around|approximately|roughly|nearly|some|only|just|up to|over|at least"
    r"|as much as|another|an additional|a further))*[ ~≈]?"  # hotter by 10 °F
    r"|(?:±|\+ ?/ ?-|\+-|\+) ?"  # ±3 °F, +3 °F
    "|(?:上升|下降|升高|降低|提高|升温|降温|增加|减少|相差|温差|误差|偏差|变化|波动|上浮|下浮|浮动"
    "|公差|温升|精度|高出|高了|低了)(?:了|约|大约|为|是|达|在|幅度|最多|不超过|[±:：])*"
    "|比[^，。,.]{1,12}[高低]了?)$",
    re.IGNORECASE,
)
"""Before a temperature that is a difference: a drop of, within, ±, 升高了. Not: rose to, 升高到."""
BEHIND = re.compile(
    r"[- ](?:(?:temperature|temp\.?|thermal|in|of) )?"
    "(?:rise|drop|increase|decrease|difference|differential|change|tolerance|gradient|swing"
    "|fluctuation|deviation|spread|hysteresis|offset|error|margin|accuracy|variation|step"
    "|increment|reduction|jump|shift|superheat|subcooling|elevation|depression|span|dead ?band"
    "|band|overshoot|undershoot)s?\\b"
    r"| (?:of|from) (?:each other|one another)\b"  # within 2 °F of each other
    r"| (?:higher|lower|warmer|cooler|colder|hotter|above|below|more|less|either|apart)\b"
    "|的?(?:温差|温升|误差|偏差|波动|变化|升幅|降幅)",
    re.IGNORECASE,
)
"""Behind such a temperature: a 10 °F rise, 10 °F warmer. 10 °F below zero is none, and left alone,
too."""
IN_CLAUSE = re.compile(
    r"\b(?:differences?|differentials?|differ(?:s|ed)?|deviat(?:e|es|ed|ions?)|tolerances?|hysteresis"
    r"|dead ?bands?|spreads?|swings?|fluctuat(?:e|es|ed|ions?)|var(?:y|ies|ied|iations?)|gradients?"
    r"|superheat|subcooling|accura(?:te|cy)|uncertaint(?:y|ies)|repeatability|delta)\b|ΔT|∆T"
    "|温差|相差|误差|偏差|公差|(?<!体)温升(?![高到至温])|波动|升幅|降幅|精度",
    re.IGNORECASE,
)
"""Anywhere before a temperature in its clause, this makes a difference of it: the difference between
day and night is 15 °C, 温差最大可达15℃.
"""
CLAUSE_ENDS = re.compile("[,;:!?()，；：！？。、]|[.](?= )")
SCALED = re.compile(
    r"(?:\b(?:at|from|near|ranges?|range of|set ?point|set ?point of|to a temperature of)"
    r"|\b(?:heated|cooled|set|raised|lowered|elevated|warmed|brought|rises?|rose|falls?|fell"
    r"|drops?|dropped) to) $|[在从]$",
    re.IGNORECASE,
)
"""Directly before a temperature that is one on the scale, even if the clause speaks of a difference:
a deviation from 68 °F.
"""
LIMITS = re.compile(r"\b(?:within|over|between|up|at least|at most) $", re.IGNORECASE)
"""Before a range that is one of temperatures: within 36–46 °F. Within 5 °F is a difference."""
WIDTH_BEHIND = re.compile(r"[- ](?:temperature )?range\b")
"""Behind one temperature, which is then a difference: a 20 °F range."""
NEAR = 60
"""Characters before a temperature in which words may say that it is a difference."""


def is_difference(folded: str, start: int, end: int, is_range: bool) -> bool:
    """Whether the temperature from `start` to `end` (exclusive) is a difference, as far as the words
    around it say.

    The widths of the text must be folded.
    """
    before = folded[max(0, start - NEAR) : start]
    clause = CLAUSE_ENDS.split(before)[-1]
    if SCALED.search(clause):
        return False
    if IN_CLAUSE.search(clause) or BEHIND.match(folded, end):
        return True
    if is_range and LIMITS.search(before):
        return False
    if not is_range and WIDTH_BEHIND.match(folded, end):
        return True
    return BEFORE.search(before) is not None
