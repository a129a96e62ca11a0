//! One number for each neuron of a range, in double or single precision.

use super::aligned::filled;
use super::part::Part;

#[derive(Clone, Debug)]
pub enum Column {
    Double(Part<f64>),
    Single(Part<f32>),
}

impl Column {
    /// `n` times `value`.
    pub fn filled(single: bool, value: f64, n: usize) -> Column {
        if single { Column::Single(filled(value as f32, n).into()) } else { Column::Double(filled(value, n).into()) }
    }

    /// The values, then the last of them up to `n`.
    pub fn padded(single: bool, values: impl ExactSizeIterator<Item = f64>, n: usize) -> Column {
        let mut out = Column::filled(single, 0.0, n.max(values.len()));
        out.put(values);
        out
    }

    /// Takes over values from the first, and the last of them in all that are left.
    pub fn put(&mut self, values: impl ExactSizeIterator<Item = f64>) {
        let (n, mut last) = (values.len(), 0.0);
        for (k, v) in values.enumerate() {
            self.set(k, v);
            last = v;
        }
        (n..self.len()).for_each(|k| self.set(k, last));
    }

    pub fn len(&self) -> usize {
        match self {
            Column::Double(v) => v.len(),
            Column::Single(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn at(&self, k: usize) -> f64 {
        match self {
            Column::Double(v) => v[k],
            Column::Single(v) => f64::from(v[k]),
        }
    }

    pub fn set(&mut self, k: usize, value: f64) {
        match self {
            Column::Double(v) => v[k] = value,
            Column::Single(v) => v[k] = value as f32,
        }
    }

    pub fn fill(&mut self, value: f64) {
        match self {
            Column::Double(v) => v.fill(value),
            Column::Single(v) => v.fill(value as f32),
        }
    }

    /// Puts f of each value in its place.
    pub fn map(&mut self, f: impl Fn(f64) -> f64) {
        match self {
            Column::Double(v) => v.iter_mut().for_each(|v| *v = f(*v)),
            Column::Single(v) => v.iter_mut().for_each(|v| *v = f(f64::from(*v)) as f32),
        }
    }

    /// The values from `start` on, as many as `out` takes.
    pub fn copy_to(&self, start: usize, out: &mut [f64]) {
        match self {
            Column::Double(v) => out.copy_from_slice(&v[start..start + out.len()]),
            Column::Single(v) => out.iter_mut().zip(&v[start..]).for_each(|(o, v)| *o = f64::from(*v)),
        }
    }

    /// Appends the values at these places.
    pub fn gather(&self, places: &[u32], out: &mut Vec<f64>) {
        match self {
            Column::Double(v) => out.extend(places.iter().map(|k| v[*k as usize])),
            Column::Single(v) => out.extend(places.iter().map(|k| f64::from(v[*k as usize]))),
        }
    }

    /// The first `n` values.
    pub fn first(&self, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        self.copy_to(0, &mut out);
        out
    }

    /// Where the values from `start` on lie: of this column, and of those side by side with it.
    pub fn pointer(&mut self, start: usize) -> *mut u8 {
        match self {
            Column::Double(v) => v.pointer(start).cast(),
            Column::Single(v) => v.pointer(start).cast(),
        }
    }

    /// Moves columns of one precision to where they lie side by side in this order.
    pub fn side_by_side(columns: Vec<&mut Column>) {
        let (mut doubles, mut singles) = (Vec::new(), Vec::new());
        for column in columns {
            match column {
                Column::Double(v) => doubles.push(v),
                Column::Single(v) => singles.push(v),
            }
        }
        Part::side_by_side(&mut doubles);
        Part::side_by_side(&mut singles);
    }
}
