//! The dimension of a quantity: exponents of six SI base quantities, in halves.
//!
//! Halves, because white noise `xi` is a time to the power -1/2 (and the square root of a rate is met in practice);
//! luminous intensity is left out, nothing in a circuit glows.

use std::fmt;
use std::ops::{Div, Mul};

use serde::{Deserialize, Serialize};

/// Exponents of length, mass, time, current, temperature and amount, each counted in halves.
///
/// Arithmetic never panics: an exponent beyond ±63 makes [`Dimension::OUT_OF_RANGE`], which stays so through all
/// further arithmetic and which [`Dimension::is_representable`] tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dimension([i8; 6]);

/// Index of a base quantity in the exponents.
const LENGTH: usize = 0;
const MASS: usize = 1;
const TIME: usize = 2;
const CURRENT: usize = 3;
const TEMPERATURE: usize = 4;
const AMOUNT: usize = 5;

/// What the base quantities are called where no better name exists.
const BASE_NAMES: [&str; 6] = ["length", "mass", "time", "current", "temperature", "amount"];

/// Exponents in whole numbers, as the SI brochure writes them.
const fn whole(length: i8, mass: i8, time: i8, current: i8, temperature: i8, amount: i8) -> Dimension {
    Dimension([2 * length, 2 * mass, 2 * time, 2 * current, 2 * temperature, 2 * amount])
}

impl Dimension {
    pub const NUMBER: Dimension = whole(0, 0, 0, 0, 0, 0);
    pub const LENGTH: Dimension = whole(1, 0, 0, 0, 0, 0);
    pub const AREA: Dimension = whole(2, 0, 0, 0, 0, 0);
    pub const VOLUME: Dimension = whole(3, 0, 0, 0, 0, 0);
    pub const MASS: Dimension = whole(0, 1, 0, 0, 0, 0);
    pub const TIME: Dimension = whole(0, 0, 1, 0, 0, 0);
    pub const RATE: Dimension = whole(0, 0, -1, 0, 0, 0);
    pub const CURRENT: Dimension = whole(0, 0, 0, 1, 0, 0);
    pub const CHARGE: Dimension = whole(0, 0, 1, 1, 0, 0);
    pub const VOLTAGE: Dimension = whole(2, 1, -3, -1, 0, 0);
    pub const CONDUCTANCE: Dimension = whole(-2, -1, 3, 2, 0, 0);
    pub const RESISTANCE: Dimension = whole(2, 1, -3, -2, 0, 0);
    pub const CAPACITANCE: Dimension = whole(-2, -1, 4, 2, 0, 0);
    pub const TEMPERATURE: Dimension = whole(0, 0, 0, 0, 1, 0);
    pub const AMOUNT: Dimension = whole(0, 0, 0, 0, 0, 1);
    pub const CONCENTRATION: Dimension = whole(-3, 0, 0, 0, 0, 1);
    pub const ENERGY: Dimension = whole(2, 1, -2, 0, 0, 0);
    pub const POWER: Dimension = whole(2, 1, -3, 0, 0, 0);
    /// The white noise `xi`: time to the power -1/2.
    pub const NOISE: Dimension = Dimension([0, 0, -1, 0, 0, 0]);
    /// The result of arithmetic whose exponents left the range; it equals no dimension that a program can write.
    pub const OUT_OF_RANGE: Dimension = Dimension([i8::MIN; 6]);

    /// The named dimensions of the language, in the order of its specification.
    const NAMED: [(&'static str, Dimension); 16] = [
        ("number", Dimension::NUMBER),
        ("voltage", Dimension::VOLTAGE),
        ("current", Dimension::CURRENT),
        ("conductance", Dimension::CONDUCTANCE),
        ("capacitance", Dimension::CAPACITANCE),
        ("resistance", Dimension::RESISTANCE),
        ("charge", Dimension::CHARGE),
        ("time", Dimension::TIME),
        ("rate", Dimension::RATE),
        ("length", Dimension::LENGTH),
        ("area", Dimension::AREA),
        ("volume", Dimension::VOLUME),
        ("concentration", Dimension::CONCENTRATION),
        ("temperature", Dimension::TEMPERATURE),
        ("energy", Dimension::ENERGY),
        ("power", Dimension::POWER),
    ];

    /// The dimension that a name of the language means.
    pub fn by_name(name: &str) -> Option<Dimension> {
        Dimension::NAMED.iter().find(|(n, _)| *n == name).map(|(_, d)| *d)
    }

    /// All names that [`Dimension::by_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Dimension::NAMED.iter().map(|(n, _)| *n)
    }

    /// The name of this dimension, if the language has one for it.
    pub fn name(self) -> Option<&'static str> {
        Dimension::NAMED.iter().find(|(_, d)| *d == self).map(|(n, _)| *n)
    }

    pub fn is_number(self) -> bool {
        self == Dimension::NUMBER
    }

    /// False only for [`Dimension::OUT_OF_RANGE`].
    pub fn is_representable(self) -> bool {
        self != Dimension::OUT_OF_RANGE
    }

    /// This dimension to the power `num / den`.
    ///
    /// `None` if `den` is 0, if an exponent would not be a multiple of one half, or if it leaves the range.
    pub fn pow(self, num: i32, den: i32) -> Option<Dimension> {
        if den == 0 || !self.is_representable() {
            return None;
        }
        let mut out = [0; 6];
        for (o, e) in out.iter_mut().zip(self.0) {
            let scaled = i64::from(e) * i64::from(num);
            if scaled % i64::from(den) != 0 {
                return None;
            }
            *o = in_range(scaled / i64::from(den))?;
        }
        Some(Dimension(out))
    }

    /// The square root; `None` if an exponent is an odd number of halves.
    pub fn sqrt(self) -> Option<Dimension> {
        self.pow(1, 2)
    }

    /// The exponents of length, mass, time, current, temperature and amount, in halves.
    pub fn half_exponents(self) -> [i8; 6] {
        self.0
    }

    fn combine(self, other: Dimension, sign: i64) -> Dimension {
        if !self.is_representable() || !other.is_representable() {
            return Dimension::OUT_OF_RANGE;
        }
        let mut out = [0; 6];
        for (k, o) in out.iter_mut().enumerate() {
            match in_range(i64::from(self.0[k]) + sign * i64::from(other.0[k])) {
                Some(e) => *o = e,
                None => return Dimension::OUT_OF_RANGE,
            }
        }
        Dimension(out)
    }

    /// The halves `e` with `self = other^(e/2)`, if there are any.
    pub(super) fn as_power_of(self, other: Dimension) -> Option<i32> {
        let lead = other.0.iter().position(|e| *e != 0)?;
        let (have, unit) = (i32::from(self.0[lead]), i32::from(other.0[lead]));
        if 2 * have % unit != 0 {
            return None;
        }
        let halves = 2 * have / unit;
        let fits = self.0.iter().zip(other.0).all(|(s, o)| 2 * i32::from(*s) == halves * i32::from(o));
        fits.then_some(halves)
    }
}

/// `i8::MIN` is kept for [`Dimension::OUT_OF_RANGE`].
fn in_range(halves: i64) -> Option<i8> {
    i8::try_from(halves).ok().filter(|e| *e != i8::MIN)
}

impl Mul for Dimension {
    type Output = Dimension;

    fn mul(self, other: Dimension) -> Dimension {
        self.combine(other, 1)
    }
}

impl Div for Dimension {
    type Output = Dimension;

    fn div(self, other: Dimension) -> Dimension {
        self.combine(other, -1)
    }
}

/// One factor of a dimension written as a product: an index into a table of atoms and an exponent in halves.
pub(super) type Factor = (usize, i32);

/// Writes `dimension` as a product of few powers of `atoms`, in the order a reader expects: numerator first.
///
/// The shortest product wins; among equals the one with the simplest exponents, then the one whose atoms stand
/// earlier in the table. `None` if three factors do not suffice.
pub(super) fn decompose(dimension: Dimension, atoms: &[Dimension]) -> Option<Vec<Factor>> {
    if dimension.is_number() || !dimension.is_representable() {
        return None;
    }
    if let Some(found) = cheapest(atoms.iter().enumerate().filter_map(|(k, a)| {
        let e = dimension.as_power_of(*a)?;
        Some(vec![(k, e)])
    })) {
        return Some(found);
    }
    let pairs = || {
        atoms.iter().enumerate().flat_map(move |(k, a)| {
            atoms.iter().enumerate().filter(move |(j, _)| *j != k).filter_map(move |(j, b)| {
                let e = (dimension / *a).as_power_of(*b)?;
                Some(vec![(k, 2), (j, e)])
            })
        })
    };
    if let Some(found) = cheapest(pairs()) {
        return Some(found);
    }
    cheapest(atoms.iter().enumerate().flat_map(|(k, a)| {
        atoms.iter().enumerate().filter(move |(j, _)| *j != k).flat_map(move |(j, b)| {
            [*a * *b, *a / *b].into_iter().zip([2, -2]).flat_map(move |(ab, sign)| {
                atoms.iter().enumerate().filter(move |(i, _)| *i != k && *i != j).filter_map(move |(i, c)| {
                    let e = (dimension / ab).as_power_of(*c)?;
                    Some(vec![(k, 2), (j, sign), (i, e)])
                })
            })
        })
    }))
}

/// The product that is easiest to read; the first of several.
fn cheapest(products: impl Iterator<Item = Vec<Factor>>) -> Option<Vec<Factor>> {
    let cost = |factors: &Vec<Factor>| -> (i32, Vec<usize>) {
        let exponents = factors
            .iter()
            .map(|(_, e)| {
                let size = match e.abs() {
                    2 => 0,
                    4 => 2,
                    1 => 4,
                    other => 4 + other,
                };
                // `resistance*length` before `length/conductance`.
                size + i32::from(*e < 0)
            })
            .sum();
        (exponents, factors.iter().map(|(k, _)| *k).collect())
    };
    // Exponents of a size that nobody writes are better read off the base quantities.
    products.filter(|f| f.iter().all(|(_, e)| *e != 0 && e.abs() <= 16)).min_by_key(cost)
}

/// Writes factors as `a*b^2/c`, with `one` for an empty numerator.
pub(super) fn write_product(factors: &[(&str, i32)], one: &str) -> String {
    let mut text = String::new();
    for (name, halves) in factors.iter().filter(|(_, e)| *e > 0) {
        if !text.is_empty() {
            text.push('*');
        }
        text.push_str(name);
        text.push_str(&exponent(*halves));
    }
    if text.is_empty() {
        text.push_str(one);
    }
    for (name, halves) in factors.iter().filter(|(_, e)| *e < 0) {
        text.push('/');
        text.push_str(name);
        text.push_str(&exponent(-halves));
    }
    text
}

/// `^2` or `^0.5`; nothing for the power one.
pub(super) fn exponent(halves: i32) -> String {
    match (halves, halves % 2) {
        (2, _) => String::new(),
        (_, 0) => format!("^{}", halves / 2),
        _ => format!("^{}", f64::from(halves) / 2.0),
    }
}

/// In what names a dimension without a name of its own is told: earlier ones are preferred.
const SPOKEN: [(&str, Dimension); 14] = [
    ("voltage", Dimension::VOLTAGE),
    ("current", Dimension::CURRENT),
    ("conductance", Dimension::CONDUCTANCE),
    ("capacitance", Dimension::CAPACITANCE),
    ("resistance", Dimension::RESISTANCE),
    ("time", Dimension::TIME),
    ("area", Dimension::AREA),
    ("length", Dimension::LENGTH),
    ("charge", Dimension::CHARGE),
    ("concentration", Dimension::CONCENTRATION),
    ("volume", Dimension::VOLUME),
    ("temperature", Dimension::TEMPERATURE),
    ("energy", Dimension::ENERGY),
    ("power", Dimension::POWER),
];

/// The name if there is one, else a product that reads well: `current/area`, `voltage/time^0.5`, `1/voltage`.
///
/// Where names suffice, this is the language's own syntax for a dimension.
impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.pad(name);
        }
        if !self.is_representable() {
            return f.pad("a dimension out of range");
        }
        if let Some(k) = (0..6).find(|k| (0..6).all(|j| self.0[j] == if j == *k { 2 } else { 0 })) {
            return f.pad(BASE_NAMES[k]);
        }
        let factors: Vec<(&str, i32)> = match decompose(*self, &SPOKEN.map(|(_, d)| d)) {
            Some(factors) => factors.into_iter().map(|(k, e)| (SPOKEN[k].0, e)).collect(),
            None => {
                let order = [MASS, LENGTH, AMOUNT, CURRENT, TEMPERATURE, TIME];
                order.iter().map(|k| (BASE_NAMES[*k], i32::from(self.0[*k]))).collect()
            }
        };
        f.pad(&write_product(&factors, "1"))
    }
}

impl fmt::Debug for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dimension({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn named_dimensions_agree_with_physics() {
        let d = |n| Dimension::by_name(n).unwrap();
        assert_eq!(d("voltage") * d("conductance"), d("current"));
        assert_eq!(d("resistance") * d("capacitance"), d("time"));
        assert_eq!(d("voltage") / d("current"), d("resistance"));
        assert_eq!(d("capacitance") * d("voltage"), d("charge"));
        assert_eq!(d("charge") / d("time"), d("current"));
        assert_eq!(d("voltage") * d("current"), d("power"));
        assert_eq!(d("power") * d("time"), d("energy"));
        assert_eq!(d("number") / d("time"), d("rate"));
        assert_eq!(d("length").pow(2, 1), Some(d("area")));
        assert_eq!(d("concentration") * d("volume"), Dimension::AMOUNT);
        assert_eq!(d("rate").sqrt(), Some(Dimension::NOISE));
        assert_eq!(Dimension::by_name("weight"), None);
    }

    #[test]
    fn prints_in_the_words_of_the_language() {
        let cases = [
            (Dimension::CURRENT / Dimension::AREA, "current/area"),
            (Dimension::VOLTAGE / Dimension::TIME, "voltage/time"),
            (Dimension::VOLTAGE * Dimension::NOISE, "voltage/time^0.5"),
            (Dimension::NOISE, "1/time^0.5"),
            (Dimension::RATE * Dimension::RATE, "1/time^2"),
            (Dimension::NUMBER / Dimension::VOLTAGE, "1/voltage"),
            (Dimension::CONDUCTANCE / Dimension::AREA, "conductance/area"),
            (Dimension::CAPACITANCE / Dimension::AREA, "capacitance/area"),
            (Dimension::LENGTH / Dimension::TIME, "length/time"),
            (Dimension::VOLTAGE * Dimension::VOLTAGE, "voltage^2"),
            (Dimension::CONDUCTANCE / Dimension::VOLTAGE, "conductance/voltage"),
            (Dimension::VOLTAGE * Dimension::TIME, "voltage*time"),
            (Dimension::RESISTANCE * Dimension::LENGTH, "resistance*length"),
            (Dimension::MASS, "mass"),
            (Dimension::NUMBER, "number"),
        ];
        for (dimension, text) in cases {
            assert_eq!(dimension.to_string(), text);
        }
    }

    #[test]
    fn powers_that_are_not_halves_do_not_exist() {
        assert_eq!(Dimension::NOISE.sqrt(), None);
        assert_eq!(Dimension::LENGTH.pow(1, 3), None);
        assert_eq!(Dimension::VOLUME.pow(1, 3), Some(Dimension::LENGTH));
        assert_eq!(Dimension::VOLUME.pow(-2, 3), Dimension::NUMBER.pow(1, 1).map(|n| n / Dimension::AREA));
        assert_eq!(Dimension::TIME.pow(1000, 1), None);
        assert_eq!(Dimension::TIME.pow(i32::MAX, 1), None);
        assert_eq!(Dimension::TIME.pow(1, 0), None);
        assert_eq!(Dimension::NUMBER.pow(1000, 7), Some(Dimension::NUMBER));
    }

    #[test]
    fn leaving_the_range_is_remembered() {
        let mut d = Dimension::VOLTAGE;
        for _ in 0..80 {
            d = d * d;
        }
        assert!(!d.is_representable());
        assert!(!(d / d).is_representable());
        assert_eq!(d.to_string(), "a dimension out of range");
        assert_eq!(d.sqrt(), None);
    }

    fn any_dimension() -> impl Strategy<Value = Dimension> {
        prop::array::uniform6(-12_i8..=12).prop_map(Dimension)
    }

    proptest! {
        #[test]
        fn a_product_adds_exponents(a in any_dimension(), b in any_dimension()) {
            let sum: Vec<i8> = a.0.iter().zip(b.0).map(|(x, y)| x + y).collect();
            prop_assert_eq!((a * b).0.to_vec(), sum);
            prop_assert_eq!(a * b / b, a);
            prop_assert_eq!((a * a).sqrt(), Some(a));
            prop_assert_eq!(a.pow(3, 1), Some(a * a * a));
        }

        #[test]
        fn what_is_printed_means_the_dimension(d in any_dimension()) {
            let mut product = Dimension::NUMBER;
            for (sign, part) in d.to_string().replace('/', "*/").split('*').map(|p| (p.starts_with('/'), p)) {
                let part = part.trim_start_matches('/');
                let (name, power) = part.split_once('^').unwrap_or((part, "1"));
                let halves = (power.parse::<f64>().unwrap() * 2.0) as i32;
                let base = match name {
                    "1" => Dimension::NUMBER,
                    "mass" => Dimension::MASS,
                    "amount" => Dimension::AMOUNT,
                    other => Dimension::by_name(other).unwrap(),
                };
                let factor = base.pow(halves, 2).unwrap();
                product = if sign { product / factor } else { product * factor };
            }
            prop_assert_eq!(product, d);
        }
    }
}
