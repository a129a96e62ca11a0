//! From a literal and its unit to a float, rounding once.
//!
//! The literal is held as decimal digits and a power of ten; the unit multiplies the digits exactly and adds its
//! power; the standard library's correctly rounded parser turns the result into a float. Sound because internal units
//! are powers of ten of the SI's. The factors that are no decimal numbers (the root of ten under a half power, pi of
//! `deg`) carry 34 digits or more, seventeen beyond what a float can tell apart.

use thiserror::Error;

use super::unit::{Offset, Unit, internal_exponent};

/// Why a literal has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    #[error("not a number")]
    Malformed,
    #[error("the number is too large for a 64-bit float")]
    TooLarge,
    #[error("the number is too close to zero for a 64-bit float")]
    Underflow,
    #[error("a temperature in degC cannot lie below -273.15 degC")]
    BelowAbsoluteZero,
}

/// The square root of ten, times 10^35.
const SQRT_10: u128 = 316_227_766_016_837_933_199_889_354_443_271_853;
const SQRT_10_PLACES: i64 = 35;

/// No multiplier or divisor is larger, so that a digit times it and a carry stays within 128 bits.
pub(super) const FACTOR_LIMIT: u128 = 10_u128.pow(37);

/// Digits kept of a longer literal: a float's rounding depends on 767 at most.
const DIGITS_KEPT: usize = 800;

/// Digits of a quotient that does not end.
const QUOTIENT_DIGITS: usize = 60;

/// `0.d1 d2 d3 ... * 10^point`; the first digit is not zero, and zero has no digits.
#[derive(Clone, Debug, PartialEq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

/// The value of a literal in internal units: the nearest 64-bit float to the exact product.
///
/// `text` is a number of the language, underscores included; a leading `-` is taken, too, because `-10 degC` is a
/// temperature and not the negative of one. Without a unit the value is the number itself.
pub fn quantity_value(text: &str, unit: Option<&Unit>) -> Result<f64, NumberError> {
    let mut value = Decimal::parse(text).ok_or(NumberError::Malformed)?;
    let Some(unit) = unit else { return value.round() };
    if unit.offset() == Offset::Celsius {
        return value.celsius_to_kelvin();
    }
    let (numerator, denominator) = unit.ratio();
    value.multiply(numerator);
    let halves = unit.exponent_halves() - internal_exponent(unit.dimension());
    value.point += i64::from(halves.div_euclid(2));
    if halves.rem_euclid(2) == 1 {
        value.multiply(SQRT_10);
        value.point -= SQRT_10_PLACES;
    }
    value.divide(denominator);
    value.round()
}

impl Decimal {
    fn parse(text: &str) -> Option<Decimal> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        if !whole.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let mut digits = Vec::with_capacity(mantissa.len());
        let mut point = exponent;
        for (part, counts) in [(whole, 1), (fraction, 0)] {
            for c in part.bytes() {
                match c {
                    b'0'..=b'9' => {
                        digits.push(c - b'0');
                        point += counts;
                    }
                    b'_' => {}
                    _ => return None,
                }
            }
        }
        let mut value = Decimal { negative, digits, point };
        value.normalise();
        Some(value)
    }

    /// Takes zeros off both ends and cuts what no rounding can see, keeping a sticky digit for it.
    fn normalise(&mut self) {
        let zeros = self.digits.iter().take_while(|d| **d == 0).count();
        self.digits.drain(..zeros);
        self.point -= zeros as i64;
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.len() > DIGITS_KEPT {
            self.digits.truncate(DIGITS_KEPT);
            self.digits.push(1);
        }
    }

    fn multiply(&mut self, factor: u128) {
        debug_assert!(factor < FACTOR_LIMIT);
        if factor == 1 {
            return;
        }
        let mut carry = 0;
        for digit in self.digits.iter_mut().rev() {
            let product = u128::from(*digit) * factor + carry;
            *digit = (product % 10) as u8;
            carry = product / 10;
        }
        let mut front = Vec::new();
        while carry > 0 {
            front.push((carry % 10) as u8);
            carry /= 10;
        }
        self.point += front.len() as i64;
        front.reverse();
        self.digits.splice(..0, front);
        self.normalise();
    }

    fn divide(&mut self, divisor: u128) {
        debug_assert!(divisor < FACTOR_LIMIT);
        if divisor == 1 {
            return;
        }
        let mut remainder = 0;
        let mut quotient = Vec::with_capacity(self.digits.len() + QUOTIENT_DIGITS + 1);
        let padded = self.digits.iter().copied().chain(std::iter::repeat(0));
        for (k, digit) in padded.take(self.digits.len() + QUOTIENT_DIGITS).enumerate() {
            if k >= self.digits.len() && remainder == 0 {
                break;
            }
            remainder = remainder * 10 + u128::from(digit);
            quotient.push((remainder / divisor) as u8);
            remainder %= divisor;
        }
        if remainder > 0 {
            quotient.push(1);
        }
        self.digits = quotient;
        self.normalise();
    }

    fn round(&self) -> Result<f64, NumberError> {
        if self.digits.is_empty() {
            return Ok(if self.negative { -0.0 } else { 0.0 });
        }
        // Decided here, because the parser below reads only short exponents.
        if self.point > 400 {
            return Err(NumberError::TooLarge);
        }
        if self.point < -400 {
            return Err(NumberError::Underflow);
        }
        let mut text = String::with_capacity(self.digits.len() + 8);
        text.push_str(if self.negative { "-0." } else { "0." });
        text.extend(self.digits.iter().map(|d| char::from(b'0' + d)));
        text.push_str(&format!("e{}", self.point));
        match text.parse::<f64>() {
            Ok(v) if v.is_infinite() => Err(NumberError::TooLarge),
            Ok(0.0) => Err(NumberError::Underflow),
            Ok(v) => Ok(v),
            Err(_) => Err(NumberError::Malformed),
        }
    }

    /// The value plus 273.15.
    fn celsius_to_kelvin(&self) -> Result<f64, NumberError> {
        // Thirty digits with their first and last within these places leave room for the sum in 128 bits, exactly;
        // nobody writes a temperature that does not, and then two roundings do.
        let places = self.digits.len() as i64 - self.point;
        let kelvin = if self.digits.len() <= 30 && (-30..=30).contains(&self.point) && places <= 30 {
            let places = places.max(2) as u32;
            let magnitude = self.digits.iter().fold(0_i128, |n, d| n * 10 + i128::from(*d));
            let shift = i64::from(places) + self.point - self.digits.len() as i64;
            match magnitude.checked_mul(10_i128.pow(shift.clamp(0, 38) as u32)) {
                Some(m) => {
                    let sum = 27_315 * 10_i128.pow(places - 2) + if self.negative { -m } else { m };
                    Decimal::parse(&format!("{sum}e-{places}")).ok_or(NumberError::Malformed)?.round()?
                }
                None => self.round()? + 273.15,
            }
        } else {
            match self.round() {
                Err(NumberError::Underflow) => 273.15,
                other => other? + 273.15,
            }
        };
        if kelvin < 0.0 { Err(NumberError::BelowAbsoluteZero) } else { Ok(kelvin) }
    }
}

/// An exponent, held within bounds that are far outside what a float can be.
fn parse_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut exponent: i64 = 0;
    for c in digits.bytes().filter(|c| *c != b'_') {
        if !c.is_ascii_digit() {
            return None;
        }
        exponent = (exponent * 10 + i64::from(c - b'0')).min(1 << 40);
    }
    Some(sign * exponent)
}

#[cfg(test)]
mod tests {
    use super::super::parse_unit;
    use super::*;
    use proptest::prelude::*;

    fn value(number: &str, unit: &str) -> f64 {
        quantity_value(number, Some(&parse_unit(unit).unwrap())).unwrap()
    }

    #[test]
    fn usual_quantities_are_round_internal_numbers() {
        let cases = [
            ("20", "mV", 20.0),
            ("-70", "mV", -70.0),
            ("10", "Hz", 0.01),
            ("250", "pF", 250.0),
            ("30", "nS", 30.0),
            ("0.1", "ms", 0.1),
            ("1", "s", 1000.0),
            ("2", "%", 0.02),
            ("0.5", "nA", 500.0),
            ("10", "MOhm", 0.01),
            ("1", "GOhm", 1.0),
            ("1", "mM", 1.0),
            ("1", "M", 1000.0),
            ("1", "fC", 1.0),
            ("1", "um", 1.0),
            ("1", "uF/cm^2", 0.01),
            ("120", "mS/cm^2", 1.2),
            ("10", "uA/cm^2", 0.1),
            ("0.3", "m/s", 300.0),
            ("0.062", "mV^-1", 0.062),
            ("9.81", "s^-2", 9.81e-6),
            ("1", "mV/s", 0.001),
            ("10", "K", 10.0),
            ("6.3", "degC", 279.45),
            ("-10", "degC", 263.15),
            ("1", "min", 60_000.0),
            ("0.5", "h", 1.8e6),
            ("180", "deg", std::f64::consts::PI),
            ("1", "nA*ms", 1000.0),
            ("1", "fW", 1.0),
            ("1", "J", 1e18),
        ];
        for (number, unit, expected) in cases {
            assert_eq!(value(number, unit).to_bits(), f64::to_bits(expected), "{number} {unit}");
        }
    }

    #[test]
    fn half_powers_and_inverse_minutes_round_to_the_nearest() {
        assert_eq!(value("1", "ms^-0.5"), 1.0);
        assert_eq!(value("1", "s^-0.5"), 0.001_f64.sqrt());
        assert_eq!(value("2", "mV*s^-0.5"), 0.004_f64.sqrt());
        assert_eq!(value("1", "s^0.5"), 1000_f64.sqrt());
        assert_eq!(value("6", "min^-1"), 1e-4);
        assert_eq!(value("7", "h^-1"), 7.0 / 3.6e6);
    }

    #[test]
    fn the_same_quantity_has_the_same_bits() {
        let pairs = [
            (("10", "ms"), ("0.01", "s")),
            (("0.1", "nA"), ("100", "pA")),
            (("1_000", "us"), ("1", "ms")),
            (("0.3", "mV"), ("300", "uV")),
            (("1e-3", "mV"), ("1", "uV")),
            (("60", "s"), ("1", "min")),
            (("1", "uF/cm^2"), ("10", "fF/um^2")),
            (("1", "mM"), ("1", "mol*m^-3")),
            (("37.9", "Hz"), ("0.0379", "ms^-1")),
            (("279.45", "K"), ("6.3", "degC")),
            (("0.7", "Hz"), ("42", "min^-1")),
        ];
        for ((n1, u1), (n2, u2)) in pairs {
            assert_eq!(value(n1, u1).to_bits(), value(n2, u2).to_bits(), "{n1} {u1} = {n2} {u2}");
        }
    }

    #[test]
    fn what_no_float_can_hold_is_said() {
        let plain = |text: &str| quantity_value(text, None);
        assert_eq!(plain("1e999"), Err(NumberError::TooLarge));
        assert_eq!(plain("1e99999999999999999999999"), Err(NumberError::TooLarge));
        assert_eq!(plain("1e-999"), Err(NumberError::Underflow));
        assert_eq!(plain("0e999"), Ok(0.0));
        assert_eq!(plain("0.000"), Ok(0.0));
        assert_eq!(plain("1e308"), Ok(1e308));
        assert_eq!(plain("5e-324"), Ok(5e-324));
        assert_eq!(plain("1_0.2_5"), Ok(10.25));
        for bad in ["", "-", ".5", "1.", "1e", "1e+", "x", "1x", "--1", "1.2.3", "inf", "nan", "_1", "1e1.5"] {
            assert_eq!(plain(bad), Err(NumberError::Malformed), "{bad}");
        }
        let degc = parse_unit("degC").unwrap();
        assert_eq!(quantity_value("-274", Some(&degc)), Err(NumberError::BelowAbsoluteZero));
        assert_eq!(quantity_value("-273.15", Some(&degc)), Ok(0.0));
        assert_eq!(quantity_value("1e-500", Some(&degc)), Ok(273.15));
        assert_eq!(quantity_value("1e300", Some(&degc)), Ok(1e300));
    }

    #[test]
    fn a_literal_of_many_digits_still_rounds_once() {
        // One unit in the last of 900 digits above the midpoint of 1 and its upper neighbour.
        let midpoint = "1.00000000000000011102230246251565404236316680908203125";
        let above = format!("{midpoint}{}1", "0".repeat(850));
        assert_eq!(quantity_value(midpoint, None), Ok(1.0));
        assert_eq!(quantity_value(&above, None), Ok(1.0 + f64::EPSILON));
    }

    proptest! {
        #[test]
        fn without_a_unit_it_is_the_parser_of_the_standard_library(v in prop::num::f64::NORMAL) {
            prop_assert_eq!(quantity_value(&format!("{v:e}"), None).unwrap().to_bits(), v.to_bits());
        }

        #[test]
        fn a_prefix_is_a_shift_of_the_point(mantissa in 1_u64..1_000_000_000_000, exponent in -20_i32..20) {
            for (unit, power) in [("s", 3), ("ms", 0), ("us", -3), ("ns", -6)] {
                let expected: f64 = format!("{mantissa}e{}", exponent + power).parse().unwrap();
                prop_assert_eq!(value(&format!("{mantissa}e{exponent}"), unit).to_bits(), expected.to_bits());
            }
        }

        #[test]
        fn sixty_per_minute_is_one_per_second(mantissa in 1_u64..1_000_000_000) {
            let per_minute = value(&(60 * mantissa).to_string(), "min^-1");
            prop_assert_eq!(per_minute.to_bits(), value(&mantissa.to_string(), "Hz").to_bits());
        }

        #[test]
        fn no_text_panics(text in "[-+0-9eE._]{0,40}") {
            let _ = quantity_value(&text, Some(&parse_unit("deg*min^-1*s^0.5").unwrap()));
            let _ = quantity_value(&text, Some(&parse_unit("degC").unwrap()));
        }
    }
}
