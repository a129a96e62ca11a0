//! Units: their spelling, their dimension and their exact size.
//!
//! A unit is `numerator / denominator * 10^(exponent / 2)` of the SI's coherent unit, all integers. Every unit of the
//! language is of this form but `degC`, which has an offset, and `deg`, whose pi is held to 34 digits.

use thiserror::Error;

use super::decimal::{FACTOR_LIMIT, quantity_value};
use super::dimension::{Dimension, decompose, exponent, write_product};

/// Where zero lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    None,
    /// Zero is 273.15 K.
    Celsius,
}

/// A unit as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    spelling: String,
    dimension: Dimension,
    numerator: u128,
    denominator: u128,
    /// Power of ten in halves, because `ms^-0.5` is a unit.
    exponent: i32,
    offset: Offset,
}

/// Why a text is no unit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    #[error("unknown unit `{part}`")]
    Unknown { part: String, suggestion: Option<String> },
    #[error("`{part}` is not a power that a unit can have (a whole or a half number, at most 16)")]
    Power { part: String },
    #[error("`degC` is an absolute temperature and stands alone; a difference of temperatures is in K")]
    CelsiusInCompound,
    #[error("a unit is missing before or after `*` or `/`")]
    Missing,
    #[error("the unit is out of range")]
    OutOfRange,
}

impl UnitError {
    /// What was probably meant, as a word that can replace the unknown part.
    pub fn suggestion(&self) -> Option<&str> {
        match self {
            UnitError::Unknown { suggestion, .. } => suggestion.as_deref(),
            UnitError::CelsiusInCompound => Some("K"),
            _ => None,
        }
    }
}

/// The largest power of ten, in halves, of a unit relative to its internal unit.
const EXPONENT_LIMIT: i32 = 500;

/// Symbols that take a prefix, with the power of ten of the SI's coherent unit.
const PREFIXED: [(&str, Dimension, i32); 14] = [
    ("m", Dimension::LENGTH, 0),
    ("s", Dimension::TIME, 0),
    ("g", Dimension::MASS, -3),
    ("A", Dimension::CURRENT, 0),
    ("V", Dimension::VOLTAGE, 0),
    ("Hz", Dimension::RATE, 0),
    ("F", Dimension::CAPACITANCE, 0),
    ("S", Dimension::CONDUCTANCE, 0),
    ("Ohm", Dimension::RESISTANCE, 0),
    ("W", Dimension::POWER, 0),
    ("J", Dimension::ENERGY, 0),
    ("C", Dimension::CHARGE, 0),
    ("K", Dimension::TEMPERATURE, 0),
    ("mol", Dimension::AMOUNT, 0),
];

/// Mole per litre; apart, because its symbol is also a prefix.
const MOLAR: (&str, Dimension, i32) = ("M", Dimension::CONCENTRATION, 3);

const PREFIXES: [(&str, i32); 11] = [
    ("f", -15),
    ("p", -12),
    ("n", -9),
    ("u", -6),
    ("\u{b5}", -6),
    ("\u{3bc}", -6),
    ("m", -3),
    ("c", -2),
    ("k", 3),
    ("M", 6),
    ("G", 9),
];

/// Pi / 180, times 10^35.
const DEGREE: u128 = 1_745_329_251_994_329_576_923_690_768_488_613;

/// Symbols without prefixes: numerator, power of ten, offset.
const PLAIN: [(&str, Dimension, u128, i32, Offset); 5] = [
    ("%", Dimension::NUMBER, 1, -2, Offset::None),
    ("min", Dimension::TIME, 60, 0, Offset::None),
    ("h", Dimension::TIME, 36, 2, Offset::None),
    ("deg", Dimension::NUMBER, DEGREE, -35, Offset::None),
    ("degC", Dimension::TEMPERATURE, 1, 0, Offset::Celsius),
];

/// Words of other systems and of speech, in lower case, for suggestions.
const MEANT: [(&str, &str); 40] = [
    ("sec", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("msec", "ms"),
    ("millisecond", "ms"),
    ("milliseconds", "ms"),
    ("usec", "us"),
    ("minute", "min"),
    ("minutes", "min"),
    ("mins", "min"),
    ("hr", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("volt", "V"),
    ("volts", "V"),
    ("millivolt", "mV"),
    ("millivolts", "mV"),
    ("amp", "A"),
    ("amps", "A"),
    ("ampere", "A"),
    ("hertz", "Hz"),
    ("siemens", "S"),
    ("mho", "S"),
    ("ohms", "Ohm"),
    ("\u{3c9}", "Ohm"),
    ("farad", "F"),
    ("coulomb", "C"),
    ("kelvin", "K"),
    ("celsius", "degC"),
    ("\u{b0}c", "degC"),
    ("\u{b0}", "deg"),
    ("degree", "deg"),
    ("degrees", "deg"),
    ("meter", "m"),
    ("metre", "m"),
    ("micron", "um"),
    ("molar", "M"),
    ("mole", "mol"),
    ("percent", "%"),
    ("pct", "%"),
];

/// A factor as a number that is multiplied by or divided by.
#[derive(Clone, Copy)]
enum Scale {
    Times(f64),
    Over(f64),
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Scale::Times(size) => value * size,
            Scale::Over(size) => value / size,
        }
    }
}

impl Unit {
    /// The unit that a neuroscientist would name for this dimension; the number's is `1` and is not written.
    pub fn typical(dimension: Dimension) -> Unit {
        let spelling = dimension.typical_unit();
        // The spelling of a dimension without a unit of its own is built from units that parse; a test walks over it.
        parse_unit(&spelling).unwrap_or_else(|_| Unit {
            spelling,
            dimension,
            numerator: 1,
            denominator: 1,
            exponent: internal_exponent(dimension),
            offset: Offset::None,
        })
    }

    /// As the user wrote it.
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Numerator and denominator beside the power of ten.
    pub(super) fn ratio(&self) -> (u128, u128) {
        (self.numerator, self.denominator)
    }

    pub(super) fn exponent_halves(&self) -> i32 {
        self.exponent
    }

    /// A computed value of this unit in internal units.
    ///
    /// For a literal use [`super::quantity_value`], which rounds once; here the float is rounded already.
    pub fn to_internal(&self, value: f64) -> f64 {
        let value = if self.offset == Offset::Celsius { value + 273.15 } else { value };
        self.scale(1).of(value)
    }

    /// An internal value as a number of this unit. One rounding wherever the unit is a whole power of ten.
    pub fn from_internal(&self, value: f64) -> f64 {
        self.reader()(value)
    }

    /// [`Unit::from_internal`] for many values, of which the unit's size is found once.
    pub fn reader(&self) -> impl Fn(f64) -> f64 + use<> {
        let scale = self.scale(-1);
        let zero = if self.offset == Offset::Celsius { 273.15 } else { 0.0 };
        move |value| scale.of(value) - zero
    }

    /// This unit's size in internal units, to the power `sign`.
    fn scale(&self, sign: i32) -> Scale {
        let halves = self.exponent - internal_exponent(self.dimension);
        if halves % 2 == 0 && (self.numerator, self.denominator) == (1, 1) {
            // A division by a power of ten rounds once; a multiplication by its inverse would twice.
            let power = sign * halves / 2;
            return if power >= 0 { Scale::Times(10_f64.powi(power)) } else { Scale::Over(10_f64.powi(-power)) };
        }
        let size = self.size();
        if sign > 0 { Scale::Times(size) } else { Scale::Over(size) }
    }

    /// One of this unit in internal units, rounded once.
    fn size(&self) -> f64 {
        let plain = Unit { offset: Offset::None, ..self.clone() };
        // Within EXPONENT_LIMIT no unit is near the ends of the range of a float.
        quantity_value("1", Some(&plain)).unwrap_or(f64::NAN)
    }

    fn simple(dimension: Dimension, numerator: u128, power_of_ten: i32, offset: Offset) -> Unit {
        Unit { spelling: String::new(), dimension, numerator, denominator: 1, exponent: 2 * power_of_ten, offset }
    }

    /// This unit to the power `halves / 2`.
    fn power(&self, halves: i32) -> Option<Unit> {
        let dimension = self.dimension.pow(halves, 2)?;
        let ratio = |part: u128| -> Option<u128> {
            match (part, halves % 2) {
                (1, _) => Some(1),
                (_, 0) => part.checked_pow(halves.unsigned_abs() / 2).filter(|p| *p < FACTOR_LIMIT),
                _ => None,
            }
        };
        let (up, down) = (ratio(self.numerator)?, ratio(self.denominator)?);
        let (numerator, denominator) = if halves < 0 { (down, up) } else { (up, down) };
        // Powers of ten of all units are whole, so their half powers are whole numbers of halves.
        let exponent = self.exponent.checked_mul(halves)? / 2;
        Some(Unit { spelling: String::new(), dimension, numerator, denominator, exponent, offset: self.offset })
    }

    fn times(&self, other: &Unit) -> Option<Unit> {
        let dimension = Some(self.dimension * other.dimension).filter(|d| d.is_representable())?;
        let product = |a: u128, b: u128| a.checked_mul(b).filter(|p| *p < FACTOR_LIMIT);
        Some(Unit {
            spelling: String::new(),
            dimension,
            numerator: product(self.numerator, other.numerator)?,
            denominator: product(self.denominator, other.denominator)?,
            exponent: self.exponent.checked_add(other.exponent)?,
            offset: Offset::None,
        })
        .filter(|u| (u.exponent - internal_exponent(dimension)).abs() <= EXPONENT_LIMIT)
    }
}

/// A number of the SI's coherent unit of a dimension (s, V, Hz, ...) in internal units.
pub fn from_si(value: f64, dimension: Dimension) -> f64 {
    scaled(value, -internal_exponent(dimension))
}

/// A number in internal units in the SI's coherent unit of its dimension.
pub fn to_si(value: f64, dimension: Dimension) -> f64 {
    scaled(value, internal_exponent(dimension))
}

/// Times ten to the power `halves / 2`, rounded once where that is a whole power.
fn scaled(value: f64, halves: i32) -> f64 {
    let power = |k: i32| 10_f64.powi(k);
    match (halves % 2, halves / 2) {
        (0, k) if k >= 0 => value * power(k),
        (0, k) => value / power(-k),
        (_, k) => value * power(k) * if halves > 0 { SQRT_10 } else { 1.0 / SQRT_10 },
    }
}

const SQRT_10: f64 = 3.162_277_660_168_379_5;

/// The power of ten of the internal unit of a dimension, relative to the SI's coherent unit, in halves.
///
/// Chosen so that ms, mV, pA, um, mM and K are 1; the exponents of mass and amount follow from that.
pub fn internal_exponent(dimension: Dimension) -> i32 {
    const BASE: [i32; 6] = [-6, -12, -3, -12, 0, -18];
    dimension.half_exponents().iter().zip(BASE).map(|(e, b)| i32::from(*e) * b).sum()
}

/// Reads a unit such as `mV`, `uF/cm^2`, `mV^-1`, `s^-0.5`, `nA*ms`, `%`.
///
/// Without spaces; `*` and `/` from left to right, so `a/b*c` is `(a/b)*c`. A symbol that is a unit as it stands is
/// that unit before it is a prefix and a unit: `m` is the metre, `min` the minute, `mol` the mole.
pub fn parse_unit(text: &str) -> Result<Unit, UnitError> {
    let mut product: Option<Unit> = None;
    let mut rest = text;
    let mut divide = false;
    let compound = text.contains(['*', '/', '^']);
    loop {
        let end = rest.find(['*', '/']).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        let factor = parse_factor(part, divide)?;
        if compound && factor.offset != Offset::None {
            return Err(UnitError::CelsiusInCompound);
        }
        product = Some(match product {
            None => factor,
            Some(p) => p.times(&factor).ok_or(UnitError::OutOfRange)?,
        });
        divide = tail.starts_with('/');
        match tail.get(1..) {
            Some(next) => rest = next,
            None => break,
        }
    }
    let mut unit = product.ok_or(UnitError::Missing)?;
    unit.spelling = text.to_string();
    Ok(unit)
}

/// A symbol and perhaps its power; the inverse where it stands after `/`.
fn parse_factor(part: &str, inverse: bool) -> Result<Unit, UnitError> {
    let (symbol, power) = match part.split_once('^') {
        Some((symbol, power)) => (symbol, Some(power)),
        None => (part, None),
    };
    if symbol.is_empty() {
        return Err(UnitError::Missing);
    }
    let unit =
        find(symbol).ok_or_else(|| UnitError::Unknown { part: symbol.to_string(), suggestion: suggest(symbol) })?;
    let halves = match power {
        None => 2,
        Some(text) => parse_halves(text).ok_or_else(|| UnitError::Power { part: part.to_string() })?,
    };
    let halves = if inverse { -halves } else { halves };
    if halves == 2 {
        return Ok(unit);
    }
    unit.power(halves).ok_or_else(|| UnitError::Power { part: part.to_string() })
}

/// A power in halves: `2`, `-1`, `0.5`, `-1.5`, `2.0`.
fn parse_halves(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, half) = match digits.split_once('.') {
        Some((whole, fraction)) => match fraction.trim_end_matches('0') {
            "" if !fraction.is_empty() => (whole, 0),
            "5" => (whole, 1),
            _ => return None,
        },
        None => (digits, 0),
    };
    if whole.is_empty() || whole.len() > 3 || !whole.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let halves = 2 * whole.parse::<i32>().ok()? + half;
    (1..=32).contains(&halves).then_some(sign * halves)
}

fn find(symbol: &str) -> Option<Unit> {
    if let Some((_, dimension, numerator, power, offset)) = PLAIN.iter().find(|(s, ..)| *s == symbol) {
        return Some(Unit::simple(*dimension, *numerator, *power, *offset));
    }
    let bases = || PREFIXED.iter().chain([&MOLAR]);
    if let Some((_, dimension, power)) = bases().find(|(s, ..)| *s == symbol) {
        return Some(Unit::simple(*dimension, 1, *power, Offset::None));
    }
    PREFIXES.iter().find_map(|(prefix, shift)| {
        let base = symbol.strip_prefix(prefix)?;
        let (_, dimension, power) = bases().find(|(s, ..)| *s == base)?;
        Some(Unit::simple(*dimension, 1, power + shift, Offset::None))
    })
}

/// Every simple unit that can be written, in a fixed order: for suggestions, completion and the grammar of editors.
pub fn symbols() -> Vec<String> {
    let mut all: Vec<String> = PLAIN.iter().map(|(s, ..)| s.to_string()).collect();
    for (base, ..) in PREFIXED.iter().chain([&MOLAR]) {
        all.push(base.to_string());
        all.extend(PREFIXES.iter().filter(|(p, _)| p.is_ascii()).map(|(prefix, _)| format!("{prefix}{base}")));
    }
    all
}

/// What `symbol` was probably meant to be: case slips first, then words, then a digit without `^`, then typing slips.
fn suggest(symbol: &str) -> Option<String> {
    if symbol.len() > 32 {
        return None;
    }
    let all = symbols();
    let slips = |known: &str| known.chars().zip(symbol.chars()).filter(|(a, b)| a != b).count();
    // Nobody counts in hundredths of anything but the metre.
    let unusual = |known: &str| known.starts_with('c') && known != "cm";
    let same = all.iter().filter(|k| k.eq_ignore_ascii_case(symbol));
    if let Some(found) = same.min_by_key(|k| (unusual(k), slips(k))) {
        return Some(found.clone());
    }
    let lower = symbol.to_lowercase();
    if let Some((_, meant)) = MEANT.iter().find(|(word, _)| *word == lower) {
        return Some(meant.to_string());
    }
    // `um2`, `um\u{b2}`: a power without its sign; `kohms`: a plural.
    let digits = symbol.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '\u{b2}' && c != '\u{b3}' && c != '-');
    let base = &symbol[..symbol.len() - digits.len()];
    if !digits.is_empty() && find(base).is_some() {
        let power = digits.replace('\u{b2}', "2").replace('\u{b3}', "3");
        return parse_halves(&power).map(|_| format!("{base}^{power}"));
    }
    if let Some(found) = lower.strip_suffix('s').and_then(|one| all.iter().find(|k| k.eq_ignore_ascii_case(one))) {
        return Some(found.clone());
    }
    // Symbols of one or two letters are all one slip apart; only longer ones say what was meant.
    let close = |known: &&String| symbol.len() >= 3 && known.len() >= 3 && strsim::osa_distance(known, symbol) == 1;
    let mut near = all.iter().filter(close);
    near.next().filter(|_| near.next().is_none()).cloned()
}

/// Units of dimensions that have one, as neuroscientists write them; the first that fits is taken for products, too.
const TYPICAL: [(&str, Dimension); 14] = [
    ("mV", Dimension::VOLTAGE),
    ("pA", Dimension::CURRENT),
    ("nS", Dimension::CONDUCTANCE),
    ("pF", Dimension::CAPACITANCE),
    ("ms", Dimension::TIME),
    ("um", Dimension::LENGTH),
    ("fC", Dimension::CHARGE),
    ("mM", Dimension::CONCENTRATION),
    ("MOhm", Dimension::RESISTANCE),
    ("K", Dimension::TEMPERATURE),
    ("pJ", Dimension::ENERGY),
    ("pW", Dimension::POWER),
    ("kg", Dimension::MASS),
    ("mol", Dimension::AMOUNT),
];

impl Dimension {
    /// The unit a neuroscientist would name: `mV`, `pA`, `nS`, `Hz`, `mV/ms`, `pA/um^2`; empty for a number.
    pub fn typical_unit(self) -> String {
        if self.is_number() || !self.is_representable() {
            return String::new();
        }
        if self == Dimension::RATE {
            return "Hz".to_string();
        }
        if let Some((unit, _)) = TYPICAL.iter().find(|(_, d)| *d == self) {
            return unit.to_string();
        }
        let factors = match decompose(self, &TYPICAL.map(|(_, d)| d)) {
            Some(factors) => factors.into_iter().map(|(k, e)| (TYPICAL[k].0, e)).collect(),
            None => {
                let names = ["um", "kg", "ms", "pA", "K", "mol"];
                names.into_iter().zip(self.half_exponents().map(i32::from)).collect::<Vec<_>>()
            }
        };
        // A quotient without a numerator is written as a power, because `1/ms` is not a unit of the language.
        match factors.as_slice() {
            [(unit, e)] if *e < 0 => format!("{unit}^-{}", exponent(-e).strip_prefix('^').unwrap_or("1")),
            many if many.iter().all(|(_, e)| *e <= 0) => {
                let lead = many.iter().position(|(_, e)| *e < 0).unwrap_or(0);
                let power = exponent(-many[lead].1);
                let first = format!("{}^-{}", many[lead].0, power.strip_prefix('^').unwrap_or("1"));
                let rest: Vec<(&str, i32)> = many.iter().skip(lead + 1).copied().collect();
                write_product(&rest, &first)
            }
            many => write_product(many, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(text: &str) -> Unit {
        parse_unit(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn every_prefix_goes_with_every_unit() {
        for (base, dimension, power) in PREFIXED.iter().chain([&MOLAR]) {
            for (prefix, shift) in PREFIXES.iter().chain([&("", 0)]) {
                let u = unit(&format!("{prefix}{base}"));
                assert_eq!(u.dimension, *dimension, "{prefix}{base}");
                assert_eq!((u.numerator, u.denominator, u.exponent), (1, 1, 2 * (power + shift)), "{prefix}{base}");
            }
        }
    }

    #[test]
    fn ambiguous_spellings_have_their_customary_meaning() {
        let cases = [
            ("m", Dimension::LENGTH),
            ("min", Dimension::TIME),
            ("M", Dimension::CONCENTRATION),
            ("mM", Dimension::CONCENTRATION),
            ("mm", Dimension::LENGTH),
            ("Mm", Dimension::LENGTH),
            ("MOhm", Dimension::RESISTANCE),
            ("mol", Dimension::AMOUNT),
            ("mmol", Dimension::AMOUNT),
            ("h", Dimension::TIME),
            ("kg", Dimension::MASS),
            ("g", Dimension::MASS),
            ("ms", Dimension::TIME),
            ("mS", Dimension::CONDUCTANCE),
            ("pF", Dimension::CAPACITANCE),
            ("%", Dimension::NUMBER),
            ("deg", Dimension::NUMBER),
            ("degC", Dimension::TEMPERATURE),
            ("um^2", Dimension::AREA),
            ("mV^-1", Dimension::NUMBER / Dimension::VOLTAGE),
            ("s^-0.5", Dimension::NOISE),
            ("uF/cm^2", Dimension::CAPACITANCE / Dimension::AREA),
            ("nA*ms", Dimension::CHARGE),
            ("V/A*S", Dimension::NUMBER),
            ("m/s^2", Dimension::LENGTH * Dimension::RATE * Dimension::RATE),
            ("kg*m^2*s^-3*A^-1", Dimension::VOLTAGE),
        ];
        for (text, dimension) in cases {
            assert_eq!(unit(text).dimension(), dimension, "{text}");
        }
        assert_eq!(unit("\u{b5}m"), Unit { spelling: "\u{b5}m".into(), ..unit("um") });
        assert_eq!(unit("uF/cm^2").spelling(), "uF/cm^2");
    }

    #[test]
    fn errors_name_the_part_and_what_was_meant() {
        let suggestion = |text: &str| parse_unit(text).unwrap_err().suggestion().map(str::to_string);
        let cases = [
            ("mv", "mV"),
            ("ohm", "Ohm"),
            ("Mohm", "MOhm"),
            ("sec", "s"),
            ("msec", "ms"),
            ("hz", "Hz"),
            ("khz", "kHz"),
            ("KHz", "kHz"),
            ("PA", "pA"),
            ("Seconds", "s"),
            ("volts", "V"),
            ("um2", "um^2"),
            ("cm\u{b2}", "cm^2"),
            ("s-1", "s^-1"),
            ("\u{2126}", "Ohm"),
            ("mins", "min"),
            ("uF/CM^2", "cm^2"),
            ("kohms", "kOhm"),
        ];
        for (text, meant) in cases {
            let meant = meant.split('^').next().filter(|_| text.contains('^')).unwrap_or(meant);
            assert_eq!(suggestion(text).as_deref(), Some(meant), "{text}");
        }
        for text in ["q", "spikes", "furlong", "eV", "L"] {
            assert_eq!(suggestion(text), None, "{text}");
        }
        let Err(UnitError::Unknown { part, .. }) = parse_unit("nA/xy^2") else { panic!("must fail") };
        assert_eq!(part, "xy");
        assert_eq!(parse_unit("1/degC"), Err(UnitError::Unknown { part: "1".into(), suggestion: None }));
        assert_eq!(parse_unit("mV/degC"), Err(UnitError::CelsiusInCompound));
        assert_eq!(parse_unit("degC^2"), Err(UnitError::CelsiusInCompound));
        for text in ["", "*", "mV*", "/s", "mV//s"] {
            assert_eq!(parse_unit(text), Err(UnitError::Missing), "{text}");
        }
        for text in ["mV^", "mV^0", "mV^0.3", "mV^17", "mV^--1", "mV^1e3", "mV^2^2", "min^0.5", "deg^2"] {
            assert!(matches!(parse_unit(text), Err(UnitError::Power { .. })), "{text}");
        }
        assert_eq!(parse_unit(&["s^16"; 9].join("*")), Err(UnitError::OutOfRange));
        assert_eq!(parse_unit("deg*deg"), Err(UnitError::OutOfRange));
        assert_eq!(parse_unit("Gm^16*Gm^15"), Err(UnitError::OutOfRange));
    }

    #[test]
    fn typical_units_parse_back() {
        let cases = [
            (Dimension::VOLTAGE, "mV"),
            (Dimension::CURRENT, "pA"),
            (Dimension::RESISTANCE, "MOhm"),
            (Dimension::RATE, "Hz"),
            (Dimension::AREA, "um^2"),
            (Dimension::VOLUME, "um^3"),
            (Dimension::CONCENTRATION, "mM"),
            (Dimension::CURRENT / Dimension::AREA, "pA/um^2"),
            (Dimension::CAPACITANCE / Dimension::AREA, "pF/um^2"),
            (Dimension::VOLTAGE / Dimension::TIME, "mV/ms"),
            (Dimension::RATE * Dimension::RATE, "ms^-2"),
            (Dimension::NUMBER / Dimension::VOLTAGE, "mV^-1"),
            (Dimension::VOLTAGE * Dimension::NOISE, "mV/ms^0.5"),
            (Dimension::NOISE, "ms^-0.5"),
            (Dimension::LENGTH / Dimension::TIME, "um/ms"),
        ];
        for (dimension, text) in cases {
            assert_eq!(dimension.typical_unit(), text);
        }
        for name in Dimension::names().filter(|n| *n != "number") {
            let d = Dimension::by_name(name).unwrap();
            assert_eq!(unit(&d.typical_unit()).dimension(), d, "{name}");
        }
        assert_eq!(Unit::typical(Dimension::NUMBER).from_internal(3.0), 3.0);
    }

    #[test]
    fn values_go_in_and_out() {
        assert_eq!(unit("Hz").from_internal(0.01), 10.0);
        assert_eq!(unit("Hz").to_internal(10.0), 0.01);
        assert_eq!(unit("mV").from_internal(-65.25), -65.25);
        assert_eq!(unit("MOhm").from_internal(0.1), 100.0);
        assert_eq!(unit("degC").from_internal(279.45), 279.45 - 273.15);
        assert_eq!(unit("degC").to_internal(6.3), 279.45);
        assert_eq!(unit("deg").from_internal(std::f64::consts::PI), 180.0);
        assert_eq!(unit("min").from_internal(90_000.0), 1.5);
        assert_eq!(unit("min^-1").to_internal(60.0), 0.001);
    }

    #[test]
    fn symbols_are_units_and_unlike() {
        let all = symbols();
        for (k, s) in all.iter().enumerate() {
            assert!(find(s).is_some(), "{s}");
            assert!(!all[..k].contains(s), "{s} twice");
        }
    }

    proptest! {
        #[test]
        fn the_product_of_units_has_the_product_of_dimensions(
            a in prop::sample::select(symbols()),
            b in prop::sample::select(symbols()),
        ) {
            prop_assume!(a != "degC" && b != "degC" && !(a == "deg" && b == "deg"));
            let (ua, ub) = (unit(&a), unit(&b));
            prop_assert_eq!(unit(&format!("{a}*{b}")).dimension(), ua.dimension() * ub.dimension());
            prop_assert_eq!(unit(&format!("{a}/{b}")).dimension(), ua.dimension() / ub.dimension());
        }

        #[test]
        fn typical_units_of_any_dimension_parse(e in prop::array::uniform6(-6_i32..=6)) {
            let bases = [
                Dimension::LENGTH, Dimension::MASS, Dimension::TIME,
                Dimension::CURRENT, Dimension::TEMPERATURE, Dimension::AMOUNT,
            ];
            let d = bases.iter().zip(e).fold(Dimension::NUMBER, |p, (b, e)| p * b.pow(e, 2).unwrap());
            prop_assume!(!d.is_number());
            let text = d.typical_unit();
            prop_assert_eq!(parse_unit(&text).map(|u| u.dimension()), Ok(d), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "[a-zA-Z0-9^*/.%\u{b5}\u{b2}-]{0,24}") {
            let _ = parse_unit(&text);
        }

        #[test]
        fn in_and_out_is_the_identity_for_powers_of_ten(v in -1e6_f64..1e6) {
            for text in ["mV", "s", "MOhm", "Hz", "uF/cm^2"] {
                let u = unit(text);
                let back = u.from_internal(u.to_internal(v));
                prop_assert!((back - v).abs() <= v.abs() * 4e-16, "{} {}", back, v);
            }
        }
    }
}
