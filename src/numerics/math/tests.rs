//! Checks against correctly rounded values (MPFR with 400 bits) and between scalar and batch versions.

use super::*;
use crate::numerics::dispatch::Level;

type Scalar = fn(f64) -> f64;
type Batch = fn(Level, &mut [f64]);
type BatchF32 = fn(Level, &mut [f32]);

const UNARY: [(&str, Scalar, Batch, BatchF32); 14] = [
    ("exp", exp, exp_batch_at, exp_batch_f32_at),
    ("expm1", expm1, expm1_batch_at, expm1_batch_f32_at),
    ("exprel", exprel, exprel_batch_at, exprel_batch_f32_at),
    ("sinh", sinh, sinh_batch_at, sinh_batch_f32_at),
    ("cosh", cosh, cosh_batch_at, cosh_batch_f32_at),
    ("tanh", tanh, tanh_batch_at, tanh_batch_f32_at),
    ("ln", ln, ln_batch_at, ln_batch_f32_at),
    ("ln1p", ln1p, ln1p_batch_at, ln1p_batch_f32_at),
    ("log2", log2, log2_batch_at, log2_batch_f32_at),
    ("log10", log10, log10_batch_at, log10_batch_f32_at),
    ("sin", sin, sin_batch_at, sin_batch_f32_at),
    ("cos", cos, cos_batch_at, cos_batch_f32_at),
    ("tan", tan, tan_batch_at, tan_batch_f32_at),
    ("atan", atan, atan_batch_at, atan_batch_f32_at),
];

const EDGES: [f64; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    -2.0,
    3.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MIN_POSITIVE,
    -f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    1e-310,
    f64::MAX,
    f64::MIN,
    709.782712893384,
    -745.1332191019411,
    1e22,
    -1e300,
    1073741824.0,
    1e-9,
];

/// Distance in representable numbers; 0 for two NaN, huge for a NaN against a number or for zeros of different sign.
fn distance(a: f64, b: f64) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    if a == 0.0 && b == 0.0 {
        return if a.to_bits() == b.to_bits() { 0 } else { u64::MAX };
    }
    let ordered = |x: f64| {
        let bits = x.to_bits() as i64;
        i128::from(if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits })
    };
    (ordered(a) - ordered(b)).unsigned_abs() as u64
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Xorshift numbers: bit patterns of every kind, or numbers of moderate size.
fn arguments(count: usize) -> Vec<f64> {
    let mut state = 88172645463325252u64;
    let mut values: Vec<f64> = EDGES.to_vec();
    while values.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let unit = (state >> 11) as f64 / 9007199254740992.0;
        values.push(match values.len() % 4 {
            0 => f64::from_bits(state),
            1 => 2.0 * unit - 1.0,
            2 => 40.0 * unit - 20.0,
            _ => 1600.0 * unit - 800.0,
        });
    }
    values
}

#[test]
fn close_to_exact_values() {
    let number = |text: Option<&str>| f64::from_bits(u64::from_str_radix(text.unwrap(), 16).unwrap());
    let mut rows = 0;
    for line in include_str!("reference.txt").lines() {
        let mut fields = line.split(' ');
        let name = fields.next().unwrap();
        let (x, y, expected) = (number(fields.next()), number(fields.next()), number(fields.next()));
        let found = match name {
            "pow" => pow(x, y),
            "atan2" => atan2(x, y),
            _ => UNARY.iter().find(|entry| entry.0 == name).unwrap().1(x),
        };
        // Overflow at the very edge may go either way: the largest number and infinity are neighbours.
        let steps = distance(found, expected);
        // See the functions for their errors.
        let most = if name == "exprel" { 2 } else { 1 };
        assert!(steps <= most, "{name}({x:e}, {y:e}) = {found:e}, expected {expected:e}: {steps} apart");
        let exact = matches!(name, "log2" | "log10") || x == 0.0 || x.is_infinite() || x.is_nan();
        assert!(!exact || steps == 0, "{name}({x:e}, {y:e}) = {found:e}, expected exactly {expected:e}");
        rows += 1;
    }
    assert!(rows > 800, "{rows}");
}

#[test]
fn batch_equals_scalar_bit_for_bit() {
    let arguments = arguments(1_000_000);
    for (name, scalar, batch, _) in UNARY {
        let expected: Vec<f64> = arguments.iter().map(|x| scalar(*x)).collect();
        for level in Level::ALL {
            // The baseline calls a library function for every fused multiply-add.
            let count = if level == Level::Baseline { 50_000 } else { arguments.len() };
            let mut values = arguments[..count].to_vec();
            batch(level, &mut values);
            for i in 0..count {
                let (x, found, expected) = (arguments[i], values[i], expected[i]);
                assert!(same(found, expected), "{name}({x:e}) at {level:?}: {found:e}, scalar {expected:e}");
            }
        }
    }
}

#[test]
fn binary_batch_equals_scalar_bit_for_bit() {
    let first = arguments(300_000);
    let mut second = first.clone();
    second.reverse();
    second[..EDGES.len() * EDGES.len()].iter_mut().enumerate().for_each(|(i, y)| *y = EDGES[i / EDGES.len()]);
    let mut first = first;
    first[..EDGES.len() * EDGES.len()].iter_mut().enumerate().for_each(|(i, x)| *x = EDGES[i % EDGES.len()]);
    type Case = (&'static str, fn(f64, f64) -> f64, fn(Level, &mut [f64], &[f64]));
    let cases: [Case; 2] = [("pow", pow, pow_batch_at), ("atan2", atan2, atan2_batch_at)];
    for (name, scalar, batch) in cases {
        for level in Level::ALL {
            let count = if level == Level::Baseline { 20_000 } else { first.len() };
            let mut values = first[..count].to_vec();
            batch(level, &mut values, &second[..count]);
            for i in 0..count {
                let (x, y, expected) = (first[i], second[i], scalar(first[i], second[i]));
                assert!(same(values[i], expected), "{name}({x:e}, {y:e}) at {level:?}: {:e}, {expected:e}", values[i]);
            }
        }
    }
}

#[test]
fn f32_batch_rounds_the_f64_value() {
    let arguments: Vec<f32> = arguments(100_000).iter().map(|x| *x as f32).collect();
    for (name, scalar, _, batch) in UNARY {
        for level in [Level::Avx2, Level::Avx512] {
            let mut values = arguments.clone();
            batch(level, &mut values);
            for (x, found) in arguments.iter().zip(values) {
                let expected = scalar(f64::from(*x)) as f32;
                assert!(
                    found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
                    "{name}({x:e})"
                );
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_position_or_length() {
    for (name, scalar, batch, _) in UNARY {
        for length in 0..70 {
            let mut values: Vec<f64> = (0..length).map(|i| 0.37 * f64::from(i) - 3.0).collect();
            let expected: Vec<f64> = values.iter().map(|x| scalar(*x)).collect();
            batch(Level::detected(), &mut values);
            assert!(values.iter().zip(&expected).all(|(a, b)| same(*a, *b)), "{name} over {length}");
        }
    }
}

#[test]
fn monotone_where_pieces_meet() {
    // Neighbouring arguments across every change of n in exp and of k in ln.
    for n in -1000..1000 {
        let x = (f64::from(n) + 0.5) * std::f64::consts::LN_2;
        assert!(exp(x.next_down()) <= exp(x) && exp(x) <= exp(x.next_up()), "exp at {x}");
    }
    for k in -1000..1000 {
        let x = pow(2.0, f64::from(k) + 0.5);
        assert!(ln(x.next_down()) <= ln(x) && ln(x) <= ln(x.next_up()), "ln at {x}");
    }
}

#[test]
fn turns_agree_with_angles() {
    for i in 0..10_000 {
        let u = (f64::from(i) + 0.5) / 10_000.0;
        let (s, c) = kernel::sincos_turn(u);
        let angle = std::f64::consts::TAU * u;
        assert!((s - sin(angle)).abs() < 1e-15 && (c - cos(angle)).abs() < 1e-15, "{u}");
        assert!((s * s + c * c - 1.0).abs() < 5e-16, "{u}");
    }
}

/// In units in the last place of single precision, against double precision.
#[test]
fn single_precision_is_close_to_double_precision() {
    type Case = (&'static str, fn(f32) -> f32, Scalar, fn(Level, &mut [f32]));
    let cases: [Case; 2] =
        [("exp", exp_single, exp, exp_single_batch_at), ("exprel", exprel_single, exprel, exprel_single_batch_at)];
    let mut all: Vec<f32> = arguments(300_000).iter().map(|x| *x as f32).collect();
    all.extend((0..2_000_000).map(|k| -104.5 + 194.0 * (k as f32 / 2_000_000.0)));
    for (name, function, exact, batch) in cases {
        let mut most: f64 = 0.0;
        for x in &all {
            let (found, expected) = (function(*x), exact(f64::from(*x)));
            if expected.is_nan() {
                assert!(found.is_nan(), "{name}({x:e})");
                continue;
            }
            let nearest = expected as f32;
            if !nearest.is_finite() || expected == 0.0 || !found.is_finite() {
                // Overflow at the very edge may go either way.
                assert!(found == nearest || expected.abs() > f64::from(f32::MAX) * 0.999, "{name}({x:e}) = {found:e}");
                continue;
            }
            let unit = f64::from(nearest.abs().max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON) / 2.0;
            let exponent =
                f64::from(f32::EPSILON) * f64::powi(2.0, nearest.abs().max(f32::MIN_POSITIVE).log2().floor() as i32);
            most = most.max((f64::from(found) - expected).abs() / unit.max(exponent));
        }
        // See the functions for their errors.
        let allowed = if name == "exp" { 0.98 } else { 1.9 };
        assert!(most <= allowed, "{name}: {most} ulp");
        for level in Level::ALL {
            let mut values = all[..100_000].to_vec();
            batch(level, &mut values);
            let same = |(x, v): (&f32, &f32)| function(*x).to_bits() == v.to_bits() || v.is_nan();
            assert!(all.iter().zip(&values).all(same), "{name} at {level:?}");
        }
    }
}
