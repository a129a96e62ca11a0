//! Quantities as a reader likes them: `37.9 Hz`, `20 mV`, `1.5 ms`.

use super::dimension::Dimension;
use super::unit::{Offset, Unit, parse_unit};

/// Units of one dimension from small to large; the largest that leaves a number of at least 1 is taken.
const SCALES: [(Dimension, &[&str]); 14] = [
    (Dimension::VOLTAGE, &["nV", "uV", "mV", "V", "kV"]),
    (Dimension::CURRENT, &["fA", "pA", "nA", "uA", "mA", "A"]),
    (Dimension::CONDUCTANCE, &["fS", "pS", "nS", "uS", "mS", "S"]),
    (Dimension::CAPACITANCE, &["fF", "pF", "nF", "uF", "mF", "F"]),
    (Dimension::RESISTANCE, &["Ohm", "kOhm", "MOhm", "GOhm"]),
    (Dimension::CHARGE, &["fC", "pC", "nC", "uC", "mC", "C"]),
    (Dimension::TIME, &["ns", "us", "ms", "s"]),
    (Dimension::RATE, &["Hz", "kHz", "MHz", "GHz"]),
    (Dimension::LENGTH, &["nm", "um", "mm", "m", "km"]),
    (Dimension::AREA, &["um^2", "mm^2", "m^2"]),
    (Dimension::VOLUME, &["um^3", "mm^3", "m^3"]),
    (Dimension::CONCENTRATION, &["nM", "uM", "mM", "M"]),
    (Dimension::ENERGY, &["fJ", "pJ", "nJ", "uJ", "mJ", "J"]),
    (Dimension::POWER, &["fW", "pW", "nW", "uW", "mW", "W"]),
];

/// An internal value with the unit that makes it easiest to read.
///
/// Six significant digits at most; dimensions without a scale of prefixes are told in their typical unit.
pub fn display(value: f64, dimension: Dimension) -> String {
    let Some((_, scale)) = SCALES.iter().find(|(d, _)| *d == dimension) else {
        return display_in(value, &Unit::typical(dimension));
    };
    let units = scale.iter().filter_map(|text| parse_unit(text).ok());
    if value == 0.0 || !value.is_finite() {
        return display_in(value, &Unit::typical(dimension));
    }
    // A number that six digits would show as the next unit's 1 belongs there: 999.9999 ms is 1 s.
    let reads_as_one = |unit: &Unit| unit.from_internal(value).abs() >= 0.999_999_5;
    let mut best = None;
    for unit in units {
        if best.is_none() || reads_as_one(&unit) {
            best = Some(unit);
        }
    }
    display_in(value, &best.unwrap_or_else(|| Unit::typical(dimension)))
}

/// An internal value in a given unit: six significant digits at most, then the unit as it was spelled.
pub fn display_in(value: f64, unit: &Unit) -> String {
    let shown = number(unit.from_internal(value));
    match (unit.spelling(), unit.offset()) {
        ("", Offset::None) => shown,
        (spelling, _) => format!("{shown} {spelling}"),
    }
}

/// Four significant digits, for what is measured or estimated: more of them would be noise.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A name above values in the typical unit of their dimension: `voltage (mV)`.
pub fn heading(name: &str, dimension: Dimension) -> String {
    match Unit::typical(dimension).spelling() {
        "" => name.to_string(),
        spelling => format!("{name} ({spelling})"),
    }
}

/// A bare number with at most six significant digits; whole numbers below 10^9 in full, so that counts stay counts.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    if !value.is_finite() || (value.fract() == 0.0 && value.abs() < 1e9) {
        return value.to_string().replace("NaN", "nan");
    }
    let scientific = format!("{value:.5e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let places = (5 - exponent).max(0) as usize;
        return trimmed(&format!("{value:.places$}"));
    }
    format!("{}e{exponent}", trimmed(mantissa))
}

/// Without the zeros after the point that say nothing.
fn trimmed(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text.to_string() }
}

/// `3.2 GB`
pub fn bytes_text(bytes: f64) -> String {
    for (unit, size) in [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] {
        if bytes >= size {
            return format!("{:.1} {unit}", bytes / size);
        }
    }
    format!("{bytes:.0} B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_read_well() {
        let cases = [
            (0.0379, Dimension::RATE, "37.9 Hz"),
            (0.0005, Dimension::RATE, "0.5 Hz"),
            (20.0, Dimension::VOLTAGE, "20 mV"),
            (-0.0125, Dimension::VOLTAGE, "-12.5 uV"),
            (1.5, Dimension::TIME, "1.5 ms"),
            (2500.0, Dimension::TIME, "2.5 s"),
            (999.999_9, Dimension::TIME, "1 s"),
            (1_800_000.0, Dimension::TIME, "1800 s"),
            (0.1, Dimension::TIME, "100 us"),
            (100.0, Dimension::CURRENT, "100 pA"),
            (1500.0, Dimension::CURRENT, "1.5 nA"),
            (0.0, Dimension::VOLTAGE, "0 mV"),
            (0.0, Dimension::NUMBER, "0"),
            (0.333_333_333, Dimension::NUMBER, "0.333333"),
            (1_234_567.0, Dimension::NUMBER, "1234567"),
            (1_234_567.8, Dimension::NUMBER, "1.23457e6"),
            (1.5e-7, Dimension::NUMBER, "1.5e-7"),
            (0.01, Dimension::CAPACITANCE / Dimension::AREA, "0.01 pF/um^2"),
            (0.25, Dimension::VOLTAGE / Dimension::TIME, "0.25 mV/ms"),
            (f64::NAN, Dimension::RATE, "nan Hz"),
            (f64::INFINITY, Dimension::VOLTAGE, "inf mV"),
            (279.45, Dimension::TEMPERATURE, "279.45 K"),
        ];
        for (value, dimension, text) in cases {
            assert_eq!(display(value, dimension), text);
        }
        assert_eq!(display_in(0.01, &parse_unit("uF/cm^2").unwrap()), "1 uF/cm^2");
        assert_eq!(display_in(279.45, &parse_unit("degC").unwrap()), "6.3 degC");
        assert_eq!(display_in(0.512, &parse_unit("%").unwrap()), "51.2 %");
    }

    #[test]
    fn every_scale_is_of_its_dimension_and_grows() {
        for (dimension, scale) in SCALES {
            let units: Vec<Unit> = scale.iter().map(|t| parse_unit(t).unwrap()).collect();
            assert!(units.iter().all(|u| u.dimension() == dimension), "{dimension}");
            assert!(units.windows(2).all(|w| w[0].to_internal(1.0) < w[1].to_internal(1.0)), "{dimension}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_value_to_six_digits(mantissa in 1.0_f64..10.0, power in -12_i32..12, negative: bool) {
            let value = mantissa * 10_f64.powi(power) * if negative { -1.0 } else { 1.0 };
            for dimension in [Dimension::VOLTAGE, Dimension::NUMBER, Dimension::RATE] {
                let text = display(value, dimension);
                let (shown, unit) = text.split_once(' ').unwrap_or((&text, ""));
                let shown: f64 = shown.parse().unwrap();
                let unit = if unit.is_empty() { Unit::typical(dimension) } else { parse_unit(unit).unwrap() };
                prop_assert!((unit.to_internal(shown) / value - 1.0).abs() < 6e-6, "{} for {}", text, value);
            }
        }
    }
}
