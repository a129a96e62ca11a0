//! The distributions that a sequential stream can be drawn from.
//!
//! All transformations are our own, from exactly defined operations: the standard libraries of different compilers draw
//! different numbers from one generator.

use super::Stream;
use super::draws::box_muller;
use super::poisson::stirling_error;
use crate::numerics::dispatch::multiversion;
use crate::numerics::math::{exp, ln, ln1p, pow};

impl Stream {
    /// A normal number with mean 0 and variance 1 (Box and Muller 1958; every other call uses the second of a pair).
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare_normal.take() {
            return value;
        }
        let (first, second) = (self.uniform_open(), self.uniform_open());
        let (value, spare) = normal_pair(first, second);
        self.spare_normal = Some(spare);
        value
    }

    /// An exponential number with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -ln(self.uniform_open())
    }

    /// A gamma number with the given shape and scale 1 (Marsaglia and Tsang, ACM TOMS 26, 2000).
    ///
    /// NaN unless the shape is positive and finite.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if !(shape > 0.0 && shape.is_finite()) {
            return f64::NAN;
        }
        if shape < 1.0 {
            let larger = self.gamma(shape + 1.0);
            return larger * pow(self.uniform_open(), 1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let root = c.mul_add(x, 1.0);
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            if ln(self.uniform_open()) < 0.5 * x * x + d * (1.0 - v + ln(v)) {
                return d * v;
            }
        }
    }

    /// e to the power of a normal number with mean `mu` and standard deviation `sigma`.
    pub fn lognormal(&mut self, mu: f64, sigma: f64) -> f64 {
        exp(sigma.mul_add(self.normal(), mu))
    }

    /// A Poisson count; 0 if the mean is not positive, and means above 2^52 are drawn as that.
    ///
    /// Inversion below a mean of 12, above it Hörmann's transformed rejection PTRS (Insurance: Math. and Econ. 12, 1993).
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean.is_nan() || mean <= 0.0 {
            return 0;
        }
        let mean = mean.min(4503599627370496.0);
        if mean < 12.0 {
            let target = self.uniform_open();
            let mut term = exp(-mean);
            let mut sum = term;
            let mut count = 0u64;
            while target > sum && count < 1000 {
                count += 1;
                term *= mean / count as f64;
                sum += term;
            }
            return count;
        }
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform_open() - 0.5;
            let v = self.uniform_open();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b).mul_add(u, mean + 0.43)).floor();
            if us >= 0.07 && v <= v_r {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            if ln(v * inverse_alpha / (a / (us * us) + b)) <= ln_poisson_probability(k, mean) {
                return k as u64;
            }
        }
    }

    /// The number of successes in `n` trials of probability `p` (clamped to 0 .. 1; NaN counts as 0). Exact for n up to
    /// 2^52; larger n count as that.
    ///
    /// Inversion if n min(p, 1 - p) < 10, else Hörmann's BTRS (J. Stat. Comput. Simul. 46, 1993).
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        let n = n.min(1 << 52);
        if n == 0 || p.is_nan() || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial_small(n, 1.0 - p);
        }
        self.binomial_small(n, p)
    }

    /// For 0 < p <= 1/2.
    fn binomial_small(&mut self, n: u64, p: f64) -> u64 {
        let trials = n as f64;
        let odds = p / (1.0 - p);
        if trials * p < 10.0 {
            let target = self.uniform_open();
            let mut term = exp(trials * ln1p(-p));
            let mut sum = term;
            let mut count = 0u64;
            while target > sum && count < n && count < 1000 {
                term *= odds * ((n - count) as f64 / (count + 1) as f64);
                count += 1;
                sum += term;
            }
            return count;
        }
        let spread = (trials * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let centre = trials.mul_add(p, 0.5);
        let v_r = 0.92 - 4.2 / b;
        let alpha = (2.83 + 5.1 / b) * spread;
        let mode = ((trials + 1.0) * p).floor();
        let at_mode = ln_binomial_probability(mode, trials, p);
        loop {
            let u = self.uniform_open() - 0.5;
            let v = self.uniform_open();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b).mul_add(u, centre)).floor();
            if us >= 0.07 && v <= v_r {
                return k as u64;
            }
            if k < 0.0 || k > trials {
                continue;
            }
            let accept = ln_binomial_probability(k, trials, p) - at_mode;
            if ln(v * alpha / (a / (us * us) + b)) <= accept {
                return k as u64;
            }
        }
    }
}

impl Stream {
    /// How many of `draws` taken without replacement from `good + bad` items are good.
    ///
    /// Inversion from the mode outwards, with probabilities in Loader's saddle-point form (2000); the work grows with the
    /// standard deviation. Exact to rounding for totals up to 2^52; draws beyond the total count as all of it.
    pub fn hypergeometric(&mut self, good: u64, bad: u64, draws: u64) -> u64 {
        let total = good.saturating_add(bad);
        let draws = draws.min(total);
        let lowest = draws.saturating_sub(bad);
        let highest = draws.min(good);
        if lowest == highest {
            return lowest;
        }
        let (g, b, d) = (good as f64, bad as f64, draws as f64);
        let mode = ((d + 1.0) * (g + 1.0) / (g + b + 2.0)).floor().clamp(lowest as f64, highest as f64);
        let fraction = d / (g + b);
        let at_mode = exp(ln_binomial_probability(mode, g, fraction) + ln_binomial_probability(d - mode, b, fraction)
            - ln_binomial_probability(d, g + b, fraction));
        // P(k + 1) / P(k) = (g - k) (d - k) / ((k + 1) (b - d + k + 1)).
        let mut target = self.uniform_open() - at_mode;
        let (mut up, mut up_term) = (mode, at_mode);
        let (mut down, mut down_term) = (mode, at_mode);
        while target > 0.0 {
            let (more, less) = (up < highest as f64, down > lowest as f64);
            if more {
                up_term *= (g - up) * (d - up) / ((up + 1.0) * (b - d + up + 1.0));
                up += 1.0;
                target -= up_term;
                if target <= 0.0 {
                    return up as u64;
                }
            }
            if less {
                down_term *= down * (b - d + down) / ((g - down + 1.0) * (d - down + 1.0));
                down -= 1.0;
                target -= down_term;
                if target <= 0.0 {
                    return down as u64;
                }
            }
            // Rounding may leave a crumb of probability when all is used up, or terms too small to matter.
            if !(more || less) || up_term.max(down_term) < 1e-30 {
                break;
            }
        }
        mode as u64
    }
}

/// The logarithm of the binomial probability of `k` successes in `n` trials, for 0 < p < 1, by Loader's saddle-point form
/// ("Fast and accurate computation of binomial probabilities", 2000): differences of factorials would lose all digits
/// for large `n`.
fn ln_binomial_probability(k: f64, n: f64, p: f64) -> f64 {
    if n == 0.0 {
        return 0.0;
    }
    if k == 0.0 {
        return n * ln1p(-p);
    }
    if k == n {
        return n * ln(p);
    }
    let error = stirling_error_any(n) - stirling_error_any(k) - stirling_error_any(n - k);
    let exponent = error - deviance(k, n * p) - deviance(n - k, n * (1.0 - p));
    exponent - 0.5 * ln(std::f64::consts::TAU * k * ((n - k) / n))
}

/// The logarithm of the Poisson probability of `k`, in the same form.
fn ln_poisson_probability(k: f64, mean: f64) -> f64 {
    if k == 0.0 {
        return -mean;
    }
    -stirling_error_any(k) - deviance(k, mean) - 0.5 * ln(std::f64::consts::TAU * k)
}

/// x ln(x / mean) + mean - x without cancellation: mean ((1 + d) ln(1 + d) - d) with d = x / mean - 1.
fn deviance(x: f64, mean: f64) -> f64 {
    let d = (x - mean) / mean;
    if d.abs() < 0.1 {
        // (1 + d) ln(1 + d) - d = sum over j >= 2 of (-d)^j / (j (j - 1)).
        let mut power = d * d;
        let mut sum = 0.0;
        let mut j = 2.0;
        while power.abs() > 1e-19 * d * d {
            sum += power / (j * (j - 1.0));
            power *= -d;
            j += 1.0;
        }
        return mean * sum;
    }
    mean * ((1.0 + d) * ln1p(d) - d)
}

/// `stirling_error` for every whole number from 1 on.
fn stirling_error_any(n: f64) -> f64 {
    /// ln(2 pi).
    const LN_TAU: f64 = 1.8378770664093453;
    if n >= 20.0 {
        return stirling_error(n);
    }
    // Exact: 19! is below 2^57 and has many trailing zeros.
    let mut factorial = 1.0;
    let mut factor = 2.0;
    while factor <= n {
        factorial *= factor;
        factor += 1.0;
    }
    ln(factorial) - ((n + 0.5) * ln(n) - n + 0.5 * LN_TAU)
}

multiversion! {
    fn normal_pair / normal_pair_at(first: f64, second: f64) -> (f64, f64) {
        box_muller(first, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::check::{assert_chi_square, assert_deciles, assert_moments, histogram};
    use crate::random::{Purpose, StreamKey};

    fn stream(element: u64) -> Stream {
        Stream::new(StreamKey::new(3, "net.rec", Purpose::Connect), element)
    }

    fn many(n: usize, mut draw: impl FnMut() -> f64) -> Vec<f64> {
        (0..n).map(|_| draw()).collect()
    }

    #[test]
    fn continuous_laws() {
        let n = 100_000;
        let mut s = stream(2);
        let unit = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
        assert_deciles("uniform", many(n, || s.uniform()), &unit);
        assert_deciles("uniform_open", many(n, || s.uniform_open()), &unit);
        let values = many(n, || s.normal());
        assert_moments("normal", &values, 0.0, 1.0, 3.0);
        // Deciles by scipy.stats.
        let exponential = [
            0.10536051565782631,
            0.22314355131420976,
            0.35667494393873245,
            0.5108256237659907,
            std::f64::consts::LN_2,
            0.916290731874155,
            1.203972804325936,
            1.6094379124341005,
            std::f64::consts::LN_10,
        ];
        assert_deciles("exponential", many(n, || s.exponential()), &exponential);
        let lognormal = [
            1.196753062874161,
            1.3358859325035468,
            1.4461427967832974,
            1.5475348170361938,
            1.6487212707001282,
            1.756523858807288,
            1.87967732820397,
            2.0348158194650563,
            2.2713807156931205,
        ];
        assert_deciles("lognormal", many(n, || s.lognormal(0.5, 0.25)), &lognormal);
        let gammas = [
            (
                0.3,
                [
                    0.0003237246218234327,
                    0.0032703395246849493,
                    0.012726657769948697,
                    0.03373979264658412,
                    0.07313113586695198,
                    0.14125250363107097,
                    0.2565649133210519,
                    0.4600738869878518,
                    0.8848107733602443,
                ],
            ),
            (1.0, exponential),
            (
                2.5,
                [
                    0.8051539934811613,
                    1.1712671529205605,
                    1.4999540663799533,
                    1.8277498115707937,
                    2.175730095547763,
                    2.5659335372009098,
                    3.03221499207745,
                    3.6446380633244804,
                    4.618178449890562,
                ],
            ),
            (
                40.0,
                [
                    32.13892223408757,
                    34.603469541769265,
                    36.45767115693809,
                    38.093965976887596,
                    39.6671650106891,
                    41.28312501111594,
                    43.05985495117296,
                    45.202674266114975,
                    48.28910180763351,
                ],
            ),
        ];
        for (shape, edges) in gammas {
            let values = many(n, || s.gamma(shape));
            assert_moments(&format!("gamma {shape}"), &values, shape, shape, 3.0 + 6.0 / shape);
            assert_deciles(&format!("gamma {shape}"), values, &edges);
        }
        assert!(s.gamma(0.0).is_nan() && s.gamma(f64::NAN).is_nan() && s.gamma(f64::INFINITY).is_nan());
    }

    #[test]
    fn poisson_law() {
        let n = 100_000;
        let mut s = stream(3);
        for mean in [0.01, 3.0, 11.9, 12.0, 50.0, 1e4, 1e9] {
            let values = many(n, || s.poisson(mean) as f64);
            assert_moments(&format!("Poisson {mean}"), &values, mean, mean, 3.0 + 1.0 / mean);
        }
        // scipy.stats.poisson.
        let twelve = [
            0.15502778176746304,
            0.0873643799030494,
            0.10483725588365947,
            0.11436791550944614,
            0.11436791550944647,
            0.10557038354718173,
            0.09048890018329858,
            0.0723911201466384,
            0.0926180507758465,
            0.06296629677397025,
        ];
        let observed =
            histogram(many(n, || s.poisson(12.0) as f64), &[8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 17.0]);
        assert_chi_square("Poisson 12", &observed, &twelve);
        let fifty = [
            0.11228906255311709,
            0.10875117007232758,
            0.09563737342789472,
            0.10818907214942647,
            0.11265001265038171,
            0.10831731985613624,
            0.0964720377995485,
            0.07981109520754348,
            0.08561780432469124,
            0.09226505195893298,
        ];
        let observed =
            histogram(many(n, || s.poisson(50.0) as f64), &[41.0, 44.0, 46.0, 48.0, 50.0, 52.0, 54.0, 56.0, 59.0]);
        assert_chi_square("Poisson 50", &observed, &fifty);
        assert_eq!((s.poisson(0.0), s.poisson(-1.0), s.poisson(f64::NAN)), (0, 0, 0));
        assert!(s.poisson(f64::INFINITY) > 1 << 51);
    }

    #[test]
    fn binomial_law() {
        let n = 100_000;
        let mut s = stream(4);
        for (trials, p) in [(1u64, 0.5), (20, 0.3), (1000, 0.4), (1000, 0.93), (1_000_000, 1e-5), (1 << 40, 0.25)] {
            let values = many(n, || s.binomial(trials, p) as f64);
            assert!(values.iter().all(|&k| k <= trials as f64));
            let variance = trials as f64 * p * (1.0 - p);
            let kurtosis = 3.0 + (1.0 - 6.0 * p * (1.0 - p)) / variance;
            assert_moments(&format!("binomial {trials} {p}"), &values, trials as f64 * p, variance, kurtosis);
        }
        // scipy.stats.binom.
        let twenty = [
            0.10708680450373087,
            0.13042097437387049,
            0.17886305056987953,
            0.19163898275344354,
            0.16426198521723634,
            0.11439673970486097,
            0.06536956554563489,
            0.04796189733134337,
        ];
        let observed = histogram(many(n, || s.binomial(20, 0.3) as f64), &[3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_chi_square("binomial 20 0.3", &observed, &twenty);
        let thousand = [
            0.10382449783572581,
            0.1062685119969399,
            0.10465277850165888,
            0.09668641916454923,
            0.10229765078826941,
            0.10128801262633658,
            0.093872159316303,
            0.09948554313987967,
            0.09849958138578974,
            0.09312484524454778,
        ];
        let edges = [380.0, 387.0, 392.0, 396.0, 400.0, 404.0, 408.0, 413.0, 420.0];
        let observed = histogram(many(n, || s.binomial(1000, 0.4) as f64), &edges);
        assert_chi_square("binomial 1000 0.4", &observed, &thousand);
        let high = [
            0.12070511443474533,
            0.08769225588258964,
            0.11862887544111556,
            0.09253234835016616,
            0.09807551508323104,
            0.09785589336846767,
            0.09176463393304135,
            0.11589898972057089,
            0.08262325474136345,
            0.09422311904470893,
        ];
        let edges = [920.0, 923.0, 926.0, 928.0, 930.0, 932.0, 934.0, 937.0, 940.0];
        let observed = histogram(many(n, || s.binomial(1000, 0.93) as f64), &edges);
        assert_chi_square("binomial 1000 0.93", &observed, &high);
        let found = [s.binomial(0, 0.5), s.binomial(9, 0.0), s.binomial(9, 1.0), s.binomial(9, -1.0)];
        assert_eq!(found, [0, 0, 9, 0]);
        assert_eq!((s.binomial(9, f64::NAN), s.binomial(9, 7.0)), (0, 9));
    }

    #[test]
    fn hypergeometric_law() {
        let n = 100_000;
        let mut s = stream(5);
        // scipy.stats.hypergeom.
        let small = [
            0.20916320082580614,
            0.19182559242904657,
            0.2140910629788465,
            0.1802872109295549,
            0.11617645704296764,
            0.08845647579377824,
        ];
        let observed = histogram(many(n, || s.hypergeometric(30, 70, 20) as f64), &[4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_chi_square("hypergeometric 30 70 20", &observed, &small);
        let large = [
            0.10012299860980661,
            0.10862398424614883,
            0.10560469009403067,
            0.08666153715797742,
            0.11003142530466636,
            0.09109725914369393,
            0.10166846098134497,
            0.10037811754418913,
            0.10126872284154376,
            0.09454280407659832,
        ];
        let edges = [467.0, 477.0, 484.0, 489.0, 495.0, 500.0, 506.0, 513.0, 523.0];
        let observed = histogram(many(n, || s.hypergeometric(10_000, 1_000_000, 50_000) as f64), &edges);
        assert_chi_square("hypergeometric large", &observed, &large);
        let lopsided = [0.3562709324872201, 0.3588426380599835, 0.21719422829946355, 0.06769220115333285];
        let observed = histogram(many(n, || s.hypergeometric(60, 5, 40) as f64), &[36.0, 37.0, 38.0]);
        assert_chi_square("hypergeometric 60 5 40", &observed, &lopsided);
        // As good as binomial: mean 1000 and nearly all of its variance, out of 10^12.
        let values = many(20_000, || s.hypergeometric(1_000_000, 1_000_000_000_000, 1_000_000_000) as f64);
        assert_moments("hypergeometric huge", &values, 999.999, 998.999, 3.0);
        let edges = [
            s.hypergeometric(0, 5, 3),
            s.hypergeometric(5, 0, 3),
            s.hypergeometric(4, 4, 8),
            s.hypergeometric(1, 9, 99),
        ];
        assert_eq!(edges, [0, 3, 4, 1]);
    }

    #[test]
    fn factorials_and_small_probabilities() {
        // ln n! = (n + 1/2) ln n - n + ln(2 pi) / 2 + error, against the sum of logarithms.
        let mut sum = 0.0;
        for k in 1..200 {
            let n = f64::from(k);
            sum += ln(n);
            let found = (n + 0.5) * ln(n) - n + 0.5 * ln(std::f64::consts::TAU) + stirling_error_any(n);
            assert!((found - sum).abs() <= 2e-15 * sum.max(1.0), "{k}: {found} {sum}");
        }
        // 2 of 5 with 0.3, and the certain ends.
        let cases = [
            (ln_binomial_probability(2.0, 5.0, 0.3), 0.3087),
            (ln_binomial_probability(0.0, 5.0, 0.3), 0.16807),
            (ln_binomial_probability(5.0, 5.0, 0.3), 0.00243),
            (ln_binomial_probability(0.0, 0.0, 0.3), 1.0),
            (ln_poisson_probability(0.0, 1.5), 0.22313016014842982),
            (ln_poisson_probability(3.0, 1.5), 0.12551071508349176),
            // With 90 digits.
            (ln_binomial_probability(500_001_000.0, 1e9, 0.5), 2.518091299254178e-05),
            (ln_poisson_probability(1_000_030_000.0, 1e9), 8.04401716953538e-06),
        ];
        for (found, expected) in cases {
            assert!((exp(found) / expected - 1.0).abs() < 1e-13, "{} {expected}", exp(found));
        }
    }
}
