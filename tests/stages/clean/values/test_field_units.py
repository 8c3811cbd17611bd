"""Units of fields: every spelling that texts know, UCUM, currencies, differences, and the user's own spellings."""

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import clean
from stages.clean.values import currencies, measures, normalise, ucum
from stages.clean.values.field_units import (
    SPELLINGS,
    AmbiguousUnitError,
    field_unit,
    shown,
    tidied,
    wanted_unit,
)
from stages.clean.values.normalise import clean_text, normalise_row
from stages.clean.values.quantities import quantity
from stages.clean.values.units import UNITS
from stages.clean.values.unusable import Unusable
from stages.core.project.errors import ParamsError
from stages.core.project.params import load
from tests.stages.clean.test_clean import fact
from tests.timed import quickest

PARAMS, _ = load("clean", clean.Params, Path(__file__).parents[4] / "params.yaml")


@pytest.mark.parametrize(
    ("written", "wanted", "expected"),
    [
        ("mm Hg", "kPa", "0.1333"),
        ("mmHg", "mm Hg", "1"),
        ("deg. F", "K", "255.9"),
        ("degrees Celsius", "K", "274.2"),
        ("° F", "K", "255.9"),
        ("º C", "°C", "1"),
        ("Fahrenheit", "K", "255.9"),
        ("KG", "g", "1000"),
        ("gms", "mg", "1000"),
        ("kilograms", "g", "1000"),
        ("Grams", "mg", "1000"),
        ("percent", "%", "1"),
        ("pct", "%", "1"),
        ("per cent", "‰", "10"),
        ("ft-lbs", "N·m", "1.356"),
        ("lb-ft", "N·m", "1.356"),
        ("foot-pounds", "J", "1.356"),
        ("ft·lbf", "J", "1.356"),
        ("in-lb", "N·m", "0.113"),
        ("Nm", "N·m", "1"),
        ("kN-m", "N·m", "1000"),
        ("kgf·m", "N·m", "9.807"),
        ("A-h", "C", "3600"),
        ("mcg", "µg", "1"),
        ("μg/mL", "mg/L", "1"),
        ("mcg/mcL", "g/L", "1"),
        ("cc", "mL", "1"),
        ("hrs.", "min", "60"),
        ("Hours", "min", "60"),
        ("sq. ft.", "m²", "0.0929"),
        ("square metres", "m²", "1"),
        ("cu ft", "L", "28.32"),
        ("in.", "cm", "2.54"),
        ("lbs.", "kg", "0.4536"),
        ("mEq/L", "Eq/L", "0.001"),
        ("meq/l", "mEq/L", "1"),
        ("IU/mL", "IU/L", "1000"),
        ("beats per minute", "1/min", "1"),
        ("milligrams per deciliter", "mg/dL", "1"),
        ("meters per second", "km/h", "3.6"),
        ("kWH", "kWh", "1"),
        ("kwh", "MJ", "3.6"),
        ("psi", "kPa", "6.895"),
        ("psi(a)", "kPa", "6.895"),
        ("psig", "kPa", None),
        ("psi(g)", "barg", "0.06895"),
        ("㎎", "mg", "1"),
        ("㎏", "g", "1000"),
        ("㎍", "µg", "1"),
        ("㎖", "L", "0.001"),
        ("㎡", "cm²", "10000"),
        ("㎧", "km/h", "3.6"),
        ("℉", "K", "255.9"),
        ("Ω", "kΩ", "0.001"),
        ("mℓ", "mL", "1"),
        ("kg m-3", "g/cm³", "0.001"),
        ("kg·m⁻³", "g/cm³", "0.001"),
        ("Cel", "K", "274.2"),
        ("[degF]", "K", "255.9"),
        ("mm[Hg]", "kPa", "0.1333"),
        ("cm[H2O]", "kPa", "0.09807"),
        ("[lb_av]", "kg", "0.4536"),
        ("[in_i]", "cm", "2.54"),
        ("m[iU]/L", "IU/L", "0.001"),
        ("k[IU]/mL", "IU/mL", "1000"),
        ("umol/L", "mmol/L", "0.001"),
        ("10*6/uL", "10*12/L", "1"),
        ("10*3.uL-1", "10*9/L", "1"),
        ("/min", "1/h", "60"),
        ("{breaths}/min", "1/min", "1"),
        ("mg/dL{calculated}", "mg/dL", "1"),
        ("kg.m-2", "kg/m²", "1"),
        ("x10^9/L", "10*9/L", "1"),
        ("10⁶/µL", "10*12/L", "1"),
        ("10E3/uL", "10*9/L", "1"),
        ("degree", "%", None),
        ("rpm", "Hz", None),
        ("dB", "%", None),
        ("USD", "EUR", None),
        ("mg", "mL", None),
        ("mmol/L", "mg/dL", None),
        ("$", "USD", None),
        ("€/MWh", "EUR/kWh", "0.001"),
        ("smoots per fortnight", "m/s", None),
        ("", "kg", None),
        ("{score}/", "kg", None),
        ("mg/{", "mg", None),
        ("[iU", "IU", None),
        ("1/1/1", "kg", None),
    ],
)
def test_spellings(written: str, wanted: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(Unusable):
            quantity("1", clean_text(written), wanted, 4)
    else:
        assert quantity("1", clean_text(written), wanted, 4) == expected


@pytest.mark.parametrize(
    "spelling",
    sorted(
        set(measures.SPELLINGS) - {*measures.FACTORS, "分", "calorie", "calories", "ton", "tons"}
    ),
)
def test_a_field_reads_every_spelling_of_texts(spelling: str) -> None:
    wanted = measures.canonical(measures.SPELLINGS[spelling])
    found = field_unit(spelling, wanted)
    assert UNITS.Quantity(1.0, found.unit).to(wanted_unit(wanted).unit).magnitude == pytest.approx(
        1
    )


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_every_spelling_of_fields_is_a_unit(spelling: str) -> None:
    assert field_unit(spelling, SPELLINGS[spelling]).factor == 1


@pytest.mark.parametrize("code", sorted(ucum.UNITS))
def test_every_code_is_a_unit(code: str) -> None:
    exponent, expression = ucum.parsed(code) or (None, "")
    assert exponent == 0
    assert UNITS.parse_units(expression) == UNITS.parse_units(ucum.UNITS[code])
    if code in ucum.METRIC:
        milli = ucum.parsed(f"m{code}")
        assert milli
        one = UNITS.Quantity(1.0, UNITS.parse_units(milli[1]))
        expected = ucum.UNITS.get(f"m{code}")
        if expected is None:
            assert one.m_as(UNITS.parse_units(expression)) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("10*3/uL", (3, "1*(microL)**(-1)")),
        ("mg/dL", (0, "1*(millig)**(1)*(deciL)**(-1)")),
        ("m2", (0, "1*(m)**(2)")),
        ("{cells}/[HPF]", None),
        ("10*-2", (-2, "1")),
        ("mg//L", None),
        ("mg/", None),
        ("mg L", None),
        ("Foo", None),
        ("5/L", None),
        ("", None),
        ("mg/L" * 20, None),
    ],
)
def test_codes(code: str, expected: tuple[int, str] | None) -> None:
    assert ucum.parsed(code) == expected


def test_a_slip_of_a_capital_is_not_a_factor_of_a_billion() -> None:
    with pytest.raises(AmbiguousUnitError, match="'Mg' may be mg, or megagram"):
        field_unit("Mg", "mg")
    with pytest.raises(AmbiguousUnitError, match="'mW' may be MW, or milliwatt"):
        field_unit("mW", "MW")
    with pytest.raises(Unusable, match=r"say which in clean\.normalise\.unit_spellings"):
        quantity("5", "Mg", "mg", 4)
    assert quantity("5", "Mg", "kg", 4) == "5000"
    assert quantity("5", "Mg", "mg", 4, own=(("Mg", "mg"),)) == "5"


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Cal", "kJ"),
        ("calories", "kJ"),
        ("Calories", "kJ"),
        ("Cal/g", "J/g"),
        ("gr", "g"),
        ("ML", "L"),
        ("Ml", "cm³"),
        ("ML/D", "L/day"),
        ("MIU/mL", "IU/mL"),
        ("Nm3/h", "m³/h"),
        ("Nm³", "m³"),
        ("ton", "kg"),
        ("tons", "t"),
    ],
)
def test_what_has_two_meanings_is_refused(written: str, wanted: str) -> None:
    with pytest.raises(AmbiguousUnitError, match="has two meanings"):
        field_unit(written, wanted)
    assert field_unit(written, wanted, ((written, wanted),)).factor == 1
    assert quantity("1", "[Cal]", "kJ", 4) == quantity("1", "kcal", "kJ", 4) == "4.184"


@pytest.mark.parametrize(
    ("written", "wanted", "expected"),
    [
        ("MG", "mg", "1"),
        ("MG", "g", "0.001"),
        ("MCG", "mg", "0.001"),
        ("MG/ML", "g/L", "1"),
        ("NG/DL", "ng/L", "10"),
        ("ML/MIN", "L/h", "0.06"),
        ("IU/ML", "IU/L", "1000"),
        ("MG", "kg", None),
        ("MG", "t", None),
    ],
)
def test_units_in_capitals(written: str, wanted: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(Unusable):
            quantity("1", written, wanted, 4)
    else:
        assert quantity("1", written, wanted, 4) == expected


def test_a_metric_ton_is_one_and_a_ton_may_be_several() -> None:
    assert quantity("3", "metric tons", "kg", 4) == quantity("3", "t", "kg", 4) == "3000"
    assert quantity("3", "tons", "kg", 4, own=(("tons", "tonne"),)) == "3000"


def test_a_difference_in_kelvin_has_no_zero_point() -> None:
    for wanted in ("delta K", "delta kelvin", "ΔK"):
        assert quantity("27", "°F", wanted, 4) == "15"
        assert quantity("15", "°C", wanted, 4) == "15"
        assert quantity("15", "K", wanted, 4) == "15"
    assert quantity("15", "K", "delta °F", 4) == "27"
    assert quantity("15", "K", "K", 4) == "15"
    assert shown("delta K") == "K"


def test_differences() -> None:
    assert shown("delta °C") == "°C"
    assert shown("Δ°F") == "°F"
    assert shown("delta_degC") == "C"
    assert shown("kg") == "kg"
    for wanted in ("delta °C", "Δ°C", "∆ °C", "delta_degC"):
        assert quantity("18", "°F", wanted, 4) == "10"
        assert quantity("18", "delta °F", wanted, 4) == "10"
        assert quantity("10", "K", wanted, 4) == "10"
    with pytest.raises(ValueError, match="is a difference of temperatures, and °C is none"):
        field_unit("delta °F", "°C")


def test_no_currency_is_converted() -> None:
    assert "EUR" in currencies.CODES
    assert len(currencies.CODES) > 150
    units = {UNITS.parse_units(name).dimensionality for name in currencies.NAMES.values()}
    assert len(units) == len(currencies.CODES)
    assert quantity("5", "euro", "EUR", 4) == "5"
    assert quantity("5.5", "USD/barrel", "USD/L", 4) == quantity("5.5", "US$/barrel", "USD/L", 4)
    for sign in ("$", "£", "¥", "kr"):
        with pytest.raises(Unusable):
            quantity("5", sign, "EUR", 4)
    assert quantity("5", "£", "GBP", 4, own=(("£", "GBP"),)) == "5"


def test_the_users_own_spellings_come_first() -> None:
    own = (("lb ft", "ft*lbf"), ("t", "short_ton"), ("grad", "degC"), ("EUR", "euro"))
    assert quantity("2", "lb ft", "N·m", 4, own=own) == "2.712"
    assert quantity("2 lb ft", None, "N·m", 4, own=own) == "2.712"
    assert quantity("2", "t", "kg", 4, own=own) == "1814"
    assert quantity("2", "t", "kg", 4) == "2000"
    assert quantity("2", "grad", "K", 4, own=own) == "275.2"
    assert quantity("9", "grad", "delta °F", 4, own=own) == "16.2"
    assert quantity("2", "EUR", "EUR", 4, own=own) == "2"


def test_all_settings_of_units_are_checked_at_once() -> None:
    params = replace(
        PARAMS.normalise,
        units={"mass": "kgg", "rise": "delta °C", "price": "EUR/kg", "count": "10*9/L"},
        meta_units={"depth": "fathomms"},
        unit_spellings={"ft-lb": "ft*lbff", "": "kg", "hand": "inch"},
    )
    with pytest.raises(ParamsError) as caught:
        normalise.check_units(params)
    assert str(caught.value).splitlines() == [
        "params.yaml:",
        "  clean.normalise.unit_spellings.ft-lb: unknown unit 'ft*lbff'; "
        "write one that pint knows, such as ft*lbf or EUR",
        "  clean.normalise.unit_spellings: an empty spelling; remove it",
        "  clean.normalise.units.mass: unknown unit 'kgg'; write it as pint does",
        "  clean.normalise.meta_units.depth: unknown unit 'fathomms'; write it as pint does",
    ]


def test_a_row_with_a_difference_and_an_own_spelling() -> None:
    params = replace(
        PARAMS.normalise,
        units={"rise": "delta °C", "torque": "N·m", "dose": "mg"},
        unit_spellings={"lb ft": "ft*lbf"},
    )
    rise = normalise_row(fact("coil", "rise", "9", "℉"), params)
    assert (rise["value"], rise["unit"], rise["text"]) == ("5", "°C", "coil: rise 5 °C")
    torque = normalise_row(fact("bolt", "torque", "2", "lb  ft"), params)
    assert (torque["value"], torque["unit"]) == ("2.712", "N·m")
    dose = normalise_row(fact("drug", "dose", "10–20", "㎎"), params)
    assert dose["text"] == "drug: dose 10–20 mg"
    with pytest.raises(Unusable, match=re.escape("write `delta °C` in clean.normalise.units")):
        normalise_row(
            fact("coil", "temperature rise", "9", "°F"),
            replace(params, units={"temperature rise": "°C"}),
        )


def test_a_further_field_is_one_number() -> None:
    params = replace(PARAMS.normalise, meta_units={"depth": "m"})
    row = normalise_row(fact("lake", "use", "water", depth="300 cm"), params)
    assert row["meta"] == '{"depth": "3"}'
    for written in ("3–4 m", "<3 m", "3 ± 1 m"):
        with pytest.raises(Unusable, match="is not one number") as caught:
            normalise_row(fact("lake", "use", "water", depth=written), params)
        assert caught.value.reason == "bad_quantity"


@given(st.text(st.sampled_from("kgmMLuµ°CF[]{}()/.*^-·10³ degelta€$"), max_size=30))
def test_any_text_is_a_unit_or_refused(written: str) -> None:
    try:
        found = field_unit(written, "mg/dL")
    except ValueError:
        return
    assert found.factor > Decimal(0)
    assert tidied(written)


@pytest.mark.parametrize(
    ("written", "wanted"), [("G", "mg"), ("S", "min"), ("H", "min"), ("T", "kg"), ("D", "h")]
)
def test_a_capital_that_is_the_sign_of_another_unit_is_refused(written: str, wanted: str) -> None:
    with pytest.raises(AmbiguousUnitError, match=f"'{written}' is the sign of .*, and may be "):
        field_unit(written, wanted)


@pytest.mark.parametrize(
    ("written", "wanted"), [("T", "mT"), ("S", "mS"), ("H", "mH"), ("L", "mL")]
)
def test_a_capital_that_is_the_sign_of_the_unit_is_read(written: str, wanted: str) -> None:
    assert field_unit(written, wanted)


@pytest.mark.parametrize("piece", ["m", "m/", "m ", "{", "[", "m-", "10^", "·", "€", "(m"])
def test_long_units_cost_no_time(piece: str) -> None:
    def refused(text: str) -> None:
        with pytest.raises(ValueError, match="is not a unit"):
            field_unit(text, "kg")

    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        return quickest(lambda: refused(text))

    # Eight times the text. Quadratic would be 64 times the time.
    assert seconds(100_000) < 30 * max(seconds(12_500), 0.01)
