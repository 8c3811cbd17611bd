"""Styles of an HTML page, as far as they decide which text is shown: its style elements and attributes.

A page may hide an element (`display: none`), show it raised (`vertical-align: super`), or keep its line
breaks (`white-space: pre`). Only simple selectors are read: an element's name, classes and id, such as
`p.note`. A rule with any other selector, or for another screen, never hides text. It may show text that a
simple rule hides, because then the page is not certain. Style sheets in other files are not fetched.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

PROPERTIES = {
    *("clip", "clip-path", "display", "font-size", "height", "left", "overflow", "position"),
    *("top", "vertical-align", "visibility", "white-space", "width"),
}
"""The properties that are read."""
MOST_RULES = 2_000
"""Most rules that are read of a page. Real pages have a few hundred that say something about shown text."""
LONGEST_SELECTOR = 500
"""Most characters of a selector that is read."""
WHOLE_PAGE = {"html", "body", "main"}
"""Elements that a page hides only until its script has run."""
# A comment, closed or not. Example: /* tabs */
COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
# One simple selector. Examples: p, .note, td.unit.wide, #menu, *.
SIMPLE = re.compile(r"(?:[a-z][\w-]*|\*)?(?:[.#][\w-]+)*", re.IGNORECASE)
# The parts of a simple selector. Example: td.unit#a → td, .unit, #a.
PARTS = re.compile(r"[.#]?[\w-]+|\*")
# What only counts while a reader points at an element, and text that a style adds.
# Examples: a:hover, p::before.
DYNAMIC = re.compile(
    r":(?:hover|focus[\w-]*|active|target|checked|visited|before|after|first-l\w+|selection|placeholder)"
    r"|::",
    re.IGNORECASE,
)
# The last simple part of a longer selector. Example: `.tabs > .pane.open:not(.x)` → .pane.open
LAST_PART = re.compile(r"([\w.#*-]+)(?:\[[^\]]*\]|:[\w-]+(?:\([^)]*\))?)*\s*$")
# A length of nothing. Examples: 0, 0px, 0.0em.
NOTHING = re.compile(r"0*\.?0+(?:px|em|rem|pt|%)?")
# A length far outside of the page. Examples: -9999px, -100em.
FAR_OUTSIDE = re.compile(r"-\d{3,}(?:\.\d+)?(?:px|em|rem|pt|%|vw|vh)?")
# A clip that leaves nothing. Examples: rect(0,0,0,0), rect(1px 1px 1px 1px), inset(50%).
CLIPPED = re.compile(r"rect\((?:\s*[01](?:px)?[\s,]*){4}\)|inset\((?:50|100)%.*\)", re.IGNORECASE)

Style = dict[str, str]
"""Property → value, in lower case."""


class Rule(NamedTuple):
    """One selector with its declarations."""

    parts: frozenset[str]
    """Parts of the selector, all of which an element must have: `td`, `.unit`, `#a`."""
    declarations: Style
    important: Style
    """Declarations with `!important`."""
    is_certain: bool
    """Whether the selector is simple and counts for every screen."""


class Styles:
    """The styles of one page."""

    def __init__(self, root: Any) -> None:
        """Read the style elements below the root element."""
        self.rules: dict[str, list[tuple[int, Rule]]] = {}
        """Last part of a selector → its rules, with their numbers in the order of the page."""
        self.known: dict[tuple[str, str, str], Style] = {}
        """Name, classes and id of an element → its style, without that of its attribute."""
        # The same selector, with the same certainty, counts once: its last declarations.
        unique: dict[tuple[frozenset[str], bool], tuple[int, Rule]] = {}
        number = 0
        for element in root.iter("style"):
            if element.get("media", "all").strip().lower() not in ("", "all", "screen"):
                continue
            for rule in islice(rules_of(element.text or ""), MOST_RULES - number):
                identity = (rule.parts, rule.is_certain)
                _, earlier = unique.pop(identity, (number, rule))
                unique[identity] = (number, with_earlier(rule, earlier))
                number += 1
        for number, rule in unique.values():
            # The rarest part finds a rule with the fewest others.
            key = min(rule.parts, key=lambda part: (len(self.rules.get(part, ())), part))
            self.rules.setdefault(key, []).append((number, rule))

    def of(self, element: Any) -> Style:
        """Return the style of an element, without what it inherits."""
        tag = element.tag
        identity = (tag, element.get("class", ""), element.get("id", ""))
        style = self.known.get(identity)
        if style is None:
            style = self.known[identity] = self._by_rules(*identity)
        written = element.get("style")
        if written:
            declarations, important = declarations_of(written)
            style = style | declarations | important
        return style

    def _by_rules(self, tag: str, classes: str, name: str) -> Style:
        """Return the style by the page's rules of an element with this name, these classes, this id."""
        parts = {"*", tag, f"#{name}"}
        parts.update(f".{name}" for name in classes.split())
        matching: list[tuple[tuple[int, int, int], Rule]] = []
        for part in parts:
            for number, rule in self.rules.get(part, []):
                if rule.parts <= parts:
                    matching.append((weight(rule, number), rule))
        matching.sort(key=lambda entry: entry[0])
        style: Style = {}
        uncertain: list[Style] = []
        for _, rule in matching:
            if rule.is_certain:
                style |= rule.declarations
        for _, rule in matching:
            if rule.is_certain:
                style |= rule.important
            else:
                uncertain.append(rule.declarations | rule.important)
        for declarations in uncertain:
            style = with_uncertain(style, declarations)
        return style


def with_earlier(rule: Rule, earlier: Rule) -> Rule:
    """Return a rule together with an earlier one of the same selector."""
    declarations = earlier.declarations | rule.declarations
    important = earlier.important | rule.important
    return rule._replace(declarations=declarations, important=important)


def weight(rule: Rule, number: int) -> tuple[int, int, int]:
    """Return the weight of a rule: its ids, its classes, its place on the page (CSS cascade)."""
    ids = sum(part.startswith("#") for part in rule.parts)
    classes = sum(part.startswith(".") for part in rule.parts)
    return ids, classes, number


def with_uncertain(style: Style, declarations: Style) -> Style:
    """Return a style after a rule that perhaps counts: it may show text, and never hides any."""
    changed = dict(style)
    for name, value in declarations.items():
        if name in style and hides({name: style[name]}) and not hides({name: value}):
            changed[name] = value
    return changed


def hides(style: Style) -> bool:
    """Whether a style hides an element or its text."""
    return is_gone(style) or is_invisible(style) is True or is_of_no_size(style) is True


def is_gone(style: Style) -> bool:
    """Whether a style hides an element with all that is inside."""
    if style.get("display") == "none":
        return True
    if CLIPPED.fullmatch(style.get("clip", "")) or CLIPPED.fullmatch(style.get("clip-path", "")):
        return True
    if style.get("position") in ("absolute", "fixed"):
        far = (style.get("left", ""), style.get("top", ""))
        return any(FAR_OUTSIDE.fullmatch(length) for length in far)
    # Example: <div style="height:0;overflow:hidden">.
    is_closed = NOTHING.fullmatch(style.get("height", "")) or NOTHING.fullmatch(
        style.get("width", "")
    )
    return style.get("overflow") == "hidden" and is_closed is not None


def is_invisible(style: Style) -> bool | None:
    """Whether a style makes the text of an element invisible. None: it does not say.

    Elements inside inherit it, and may be visible again.
    """
    visibility = style.get("visibility")
    return None if visibility in (None, "inherit") else visibility in ("hidden", "collapse")


def is_of_no_size(style: Style) -> bool | None:
    """Whether a style gives the text of an element the size 0. None: it does not say.

    Elements inside inherit it, and may have a size again. A share of nothing is nothing: None.
    """
    size = style.get("font-size")
    if size is None or size == "inherit":
        return None
    if NOTHING.fullmatch(size):
        return True
    is_share = size.endswith(("em", "%")) and not size.endswith("rem")
    return None if is_share else False


def rules_of(css: str) -> Iterator[Rule]:
    """Yield the rules of a style sheet that say something about shown text."""
    # A stack of the enclosing blocks: whether the rules inside are read, and are certain.
    enclosing: list[tuple[bool, bool]] = [(True, True)]
    # Each piece ends at a brace. Example: "p{color:red}" → ("p", "{"), ("color:red", "}").
    pieces = re.split(r"([{}])", COMMENT.sub(" ", css))
    for index in range(0, len(pieces) - 1, 2):
        text, brace = pieces[index], pieces[index + 1]
        if brace == "}":
            if len(enclosing) > 1:
                enclosing.pop()
            continue
        is_read, is_certain = enclosing[-1]
        # A statement without a block may stand before the selector. Example: @charset "utf-8"; p
        selector = text.rpartition(";")[2].strip()
        enclosing.append(inside_of(selector, is_read, is_certain))
        if not is_read or selector.startswith("@"):
            continue
        declarations, important = declarations_of(pieces[index + 2])
        if not (declarations or important):
            continue
        for one in selector.split(","):
            rule = rule_of(one.strip(), declarations, important, is_certain)
            if rule is not None:
                yield rule


def inside_of(selector: str, is_read: bool, is_certain: bool) -> tuple[bool, bool]:
    """Tell of a block whether the rules inside are read, and whether they count for every screen."""
    lowered = selector.lower()
    if not lowered.startswith("@"):
        # A rule inside another rule counts only inside the elements of that rule.
        return is_read, False
    if lowered.startswith("@media"):
        condition = lowered.removeprefix("@media").strip()
        if "print" in condition:
            return False, False
        return is_read, is_certain and condition in ("", "all", "screen")
    # The steps of an animation, fonts and the like are no rules of elements.
    is_group = lowered.startswith(("@supports", "@layer", "@container"))
    return is_read and is_group, False


def rule_of(selector: str, declarations: Style, important: Style, is_certain: bool) -> Rule | None:
    """Return the rule of one selector, or None where it is of no use."""
    if not selector or len(selector) > LONGEST_SELECTOR or DYNAMIC.search(selector):
        return None
    if SIMPLE.fullmatch(selector):
        last = selector
    else:
        found = LAST_PART.search(selector)
        if found is None:
            return None
        last, is_certain = found[1], False
    parts = set()
    for part in PARTS.findall(last):
        is_name = part[0] not in ".#"
        parts.add(part.lower() if is_name else part)
    return Rule(frozenset(parts), declarations, important, is_certain) if parts else None


def declarations_of(text: str) -> tuple[Style, Style]:
    """Return the declarations that are read, and those among them with `!important`."""
    declarations: Style = {}
    important: Style = {}
    for declaration in text.split(";"):
        name, _, value = declaration.partition(":")
        name = name.strip().lower()
        if name not in PROPERTIES:
            continue
        value = value.strip().lower()
        kept, mark, _ = value.partition("!")
        value = " ".join(kept.split())
        if mark:
            important[name] = value
        else:
            declarations[name] = value
    return declarations, important
