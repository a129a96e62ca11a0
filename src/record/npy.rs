//! NumPy's `.npy`: a writer of version 1.0 and a reader of versions 1 to 3.
//!
//! Format: numpy.lib.format, "NPY format". The reader is safe for hostile bytes: every length is checked against the
//! buffer before anything is allocated.

use std::io::{self, Write};

use thiserror::Error;

/// An array as numbers, in C order whatever the file's order was.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

/// Why bytes are no array of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NpyError {
    #[error("not an .npy file")]
    Magic,
    #[error("version {0} of the .npy format is not known")]
    Version(u8),
    #[error("the header of the .npy file is malformed: {0}")]
    Header(&'static str),
    #[error("elements of type `{0}` are not numbers that can be read (b1, i1 to i8, u1 to u8, f4, f8)")]
    Type(String),
    #[error("the array needs {expected} bytes but the file holds {found}")]
    Length { expected: usize, found: usize },
    #[error("the array's shape is too large")]
    TooLarge,
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy itself reads at most 64.
const MAX_AXES: usize = 64;

/// Writes magic, version and header; the elements follow in C order.
///
/// `descr` is the type in NumPy's spelling, such as `<f8`. The header is padded so that data are aligned to 64 bytes.
pub fn write_header(w: &mut impl Write, descr: &str, shape: &[usize]) -> io::Result<()> {
    let axes: Vec<String> = shape.iter().map(|n| n.to_string()).collect();
    let tuple = match axes.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple}, }}");
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let length =
        u16::try_from(header.len()).map_err(|_| io::Error::other("an .npy header of more than 65535 bytes"))?;
    w.write_all(MAGIC)?;
    w.write_all(&[1, 0])?;
    w.write_all(&length.to_le_bytes())?;
    w.write_all(header.as_bytes())
}

/// Reads an array of booleans, integers or floats of either byte order and either memory order as 64-bit floats.
///
/// Integers beyond 2^53 are rounded to the nearest float.
pub fn read_npy(bytes: &[u8]) -> Result<NpyArray, NpyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::Magic)?;
    let [major, _minor, rest @ ..] = rest else { return Err(NpyError::Magic) };
    let (length, rest) = match (major, rest) {
        (1, [a, b, rest @ ..]) => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        (2 | 3, [a, b, c, d, rest @ ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        (1..=3, _) => return Err(NpyError::Header("it ends too early")),
        _ => return Err(NpyError::Version(*major)),
    };
    let header = rest.get(..length).ok_or(NpyError::Header("it is longer than the file"))?;
    let data = &rest[length..];
    let header = Header::parse(header)?;
    let element = Element::parse(&header.descr).ok_or(NpyError::Type(header.descr))?;
    let count = header.shape.iter().try_fold(1_usize, |n, axis| n.checked_mul(*axis)).ok_or(NpyError::TooLarge)?;
    let expected = count.checked_mul(element.size).ok_or(NpyError::TooLarge)?;
    if data.len() != expected {
        return Err(NpyError::Length { expected, found: data.len() });
    }
    let numbers: Vec<f64> = data.chunks_exact(element.size).map(|chunk| element.number(chunk)).collect();
    let data = if header.fortran_order { to_c_order(&numbers, &header.shape) } else { numbers };
    Ok(NpyArray { shape: header.shape, data })
}

/// Reorders elements of which the first index runs fastest so that the last one does.
fn to_c_order(numbers: &[f64], shape: &[usize]) -> Vec<f64> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, axis| {
            let this = *stride;
            *stride *= axis;
            Some(this)
        })
        .collect();
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(numbers.len());
    for _ in 0..numbers.len() {
        out.push(numbers[index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>()]);
        for (i, axis) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *axis {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// How one element is stored.
#[derive(Clone, Copy)]
struct Element {
    kind: u8,
    size: usize,
    big_endian: bool,
}

impl Element {
    fn parse(descr: &str) -> Option<Element> {
        let [order, kind, size] = descr.as_bytes() else { return None };
        let size = usize::from(size.checked_sub(b'0')?);
        let known = match kind {
            b'b' => size == 1,
            b'i' | b'u' => matches!(size, 1 | 2 | 4 | 8),
            b'f' => matches!(size, 4 | 8),
            _ => false,
        };
        let big_endian = match order {
            b'>' => true,
            b'<' => false,
            // "Not applicable" is said of single bytes only; "native" is not written to files.
            b'|' if size == 1 => false,
            _ => return None,
        };
        known.then_some(Element { kind: *kind, size, big_endian })
    }

    fn number(self, bytes: &[u8]) -> f64 {
        let mut little = [0; 8];
        for (k, byte) in bytes.iter().enumerate() {
            little[if self.big_endian { self.size - 1 - k } else { k }] = *byte;
        }
        let bits = u64::from_le_bytes(little);
        match (self.kind, self.size) {
            (b'f', 4) => f64::from(f32::from_bits(bits as u32)),
            (b'f', _) => f64::from_bits(bits),
            (b'b', _) => f64::from(u8::from(bits != 0)),
            (b'u', _) => bits as f64,
            _ => {
                // Sign extension: the number's top bit to the word's top bit and back.
                let unused = 64 - 8 * self.size as u32;
                (((bits << unused) as i64) >> unused) as f64
            }
        }
    }
}

/// The header's dictionary.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Position in the header's text.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn eat(&mut self, word: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(word.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn string(&mut self) -> Result<String, NpyError> {
        self.skip_space();
        let bad = NpyError::Header("a string is expected");
        let [quote @ (b'\'' | b'"'), rest @ ..] = self.rest else { return Err(bad) };
        let end = rest.iter().position(|c| c == quote).ok_or(bad)?;
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.rest = &rest[end + 1..];
        Ok(text)
    }

    fn shape(&mut self) -> Result<Vec<usize>, NpyError> {
        let bad = || NpyError::Header("the shape is not a tuple of numbers");
        if !self.eat("(") {
            return Err(bad());
        }
        let mut shape = Vec::new();
        loop {
            if self.eat(")") {
                return Ok(shape);
            }
            let digits = self.rest.iter().take_while(|c| c.is_ascii_digit()).count();
            let axis = std::str::from_utf8(&self.rest[..digits]).ok().and_then(|t| t.parse().ok()).ok_or_else(bad)?;
            self.rest = &self.rest[digits..];
            shape.push(axis);
            // Python 2 wrote long integers as `3L`.
            self.eat("L");
            if shape.len() > MAX_AXES {
                return Err(NpyError::TooLarge);
            }
            if !self.eat(",") && !self.rest.starts_with(b")") {
                return Err(bad());
            }
        }
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Header, NpyError> {
        let mut cursor = Cursor { rest: bytes };
        if !cursor.eat("{") {
            return Err(NpyError::Header("it is not a dictionary"));
        }
        let (mut descr, mut order, mut shape) = (None, None, None);
        while !cursor.eat("}") {
            let key = cursor.string()?;
            if !cursor.eat(":") {
                return Err(NpyError::Header("a colon is missing"));
            }
            match key.as_str() {
                "descr" if cursor.eat("[") => return Err(NpyError::Type("a record".to_string())),
                "descr" => descr = Some(cursor.string()?),
                "fortran_order" if cursor.eat("True") => order = Some(true),
                "fortran_order" if cursor.eat("False") => order = Some(false),
                "shape" => shape = Some(cursor.shape()?),
                _ => return Err(NpyError::Header("a key or its value is not known")),
            }
            cursor.skip_space();
            if !cursor.eat(",") && !cursor.rest.starts_with(b"}") {
                return Err(NpyError::Header("a comma is missing"));
            }
        }
        match (descr, order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Header { descr, fortran_order, shape }),
            _ => Err(NpyError::Header("one of descr, fortran_order and shape is missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([version, 0]);
        match version {
            1 => out.extend((header.len() as u16).to_le_bytes()),
            _ => out.extend((header.len() as u32).to_le_bytes()),
        }
        out.extend(header.as_bytes());
        out.extend(data);
        out
    }

    fn read_as(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Result<NpyArray, NpyError> {
        read_npy(&file(1, &format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"), data))
    }

    #[test]
    fn every_element_type_is_read() {
        let one = |descr: &str, data: &[u8]| read_as(descr, "False", "()", data).map(|a| a.data[0]);
        assert_eq!(one("|b1", &[1]), Ok(1.0));
        assert_eq!(one("|i1", &[0xfe]), Ok(-2.0));
        assert_eq!(one("|u1", &[0xfe]), Ok(254.0));
        assert_eq!(one("<i2", &(-300_i16).to_le_bytes()), Ok(-300.0));
        assert_eq!(one(">i2", &(-300_i16).to_be_bytes()), Ok(-300.0));
        assert_eq!(one(">u2", &60_000_u16.to_be_bytes()), Ok(60_000.0));
        assert_eq!(one("<i4", &(-70_000_i32).to_le_bytes()), Ok(-70_000.0));
        assert_eq!(one(">u4", &u32::MAX.to_be_bytes()), Ok(4_294_967_295.0));
        assert_eq!(one("<i8", &i64::MIN.to_le_bytes()), Ok(i64::MIN as f64));
        assert_eq!(one(">u8", &(1_u64 << 63).to_be_bytes()), Ok(2_f64.powi(63)));
        assert_eq!(one("<f4", &0.1_f32.to_le_bytes()), Ok(f64::from(0.1_f32)));
        assert_eq!(one(">f4", &(-2.5_f32).to_be_bytes()), Ok(-2.5));
        assert_eq!(one("<f8", &0.1_f64.to_le_bytes()), Ok(0.1));
        assert_eq!(one(">f8", &0.1_f64.to_be_bytes()), Ok(0.1));
        for descr in ["<f2", "<c8", "|O", "<U3", "|S1", "<M8", "=f8", "", "<f16", "|f8"] {
            assert_eq!(one(descr, &[0; 8]), Err(NpyError::Type(descr.to_string())), "{descr}");
        }
    }

    #[test]
    fn both_memory_orders_give_c_order() {
        let numbers = [1_u8, 2, 3, 4, 5, 6];
        let c = read_as("|u1", "False", "(2, 3)", &numbers).unwrap();
        assert_eq!((c.shape, c.data), (vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let f = read_as("|u1", "True", "(2, 3)", &numbers).unwrap();
        assert_eq!((f.shape, f.data), (vec![2, 3], vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
        assert!(read_as("|u1", "True", "(0, 3)", &[]).unwrap().data.is_empty());
    }

    #[test]
    fn all_versions_and_spellings_of_the_header_are_read() {
        let header = "{\"shape\":(2L,),\"fortran_order\":False,\"descr\":\"|u1\"}";
        for version in 1..=3 {
            assert_eq!(read_npy(&file(version, header, &[7, 8])).unwrap().data, [7.0, 8.0]);
        }
        assert_eq!(read_npy(&file(4, header, &[7, 8])), Err(NpyError::Version(4)));
    }

    #[test]
    fn false_lengths_are_refused_before_anything_is_allocated() {
        let shape = format!("({}, 8)", usize::MAX / 64);
        let huge = read_as("<f8", "False", &shape, &[0; 8]);
        assert!(matches!(huge, Err(NpyError::Length { .. } | NpyError::TooLarge)), "{huge:?}");
        let overflow = format!("({0}, {0})", usize::MAX);
        assert_eq!(read_as("<f8", "False", &overflow, &[]), Err(NpyError::TooLarge));
        assert_eq!(read_as("<f8", "False", "(2,)", &[0; 8]), Err(NpyError::Length { expected: 16, found: 8 }));
        assert_eq!(read_as("<f8", "False", "(1,)", &[0; 9]), Err(NpyError::Length { expected: 8, found: 9 }));
        let axes = "1, ".repeat(100);
        assert_eq!(read_as("|u1", "False", &format!("({axes})"), &[0]), Err(NpyError::TooLarge));
        for broken in ["(-1,)", "(1", "3", "(1.0,)", "(1 2)"] {
            assert!(matches!(read_as("|u1", "False", broken, &[0]), Err(NpyError::Header(_))), "{broken}");
        }
        assert_eq!(read_npy(b"PK\x03\x04"), Err(NpyError::Magic));
        assert_eq!(read_npy(&file(2, "", &[])[..9]), Err(NpyError::Header("it ends too early")));
        let structured = "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }";
        assert_eq!(read_npy(&file(1, structured, &[0; 8])), Err(NpyError::Type("a record".into())));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in 0_usize..5, columns in 0_usize..7, seed: u64) {
            let data: Vec<f64> = (0..rows * columns).map(|k| (seed as f64).sin() * k as f64).collect();
            let mut bytes = Vec::new();
            write_header(&mut bytes, "<f8", &[rows, columns]).unwrap();
            prop_assert_eq!(bytes.len() % 64, 0);
            bytes.extend(data.iter().flat_map(|v| v.to_le_bytes()));
            prop_assert_eq!(read_npy(&bytes), Ok(NpyArray { shape: vec![rows, columns], data }));
        }

        #[test]
        fn a_damaged_file_never_panics(position in 0_usize..140, byte: u8, cut in 0_usize..140) {
            let mut bytes = Vec::new();
            write_header(&mut bytes, "<i4", &[2, 2]).unwrap();
            bytes.extend([0; 16]);
            if let Some(b) = bytes.get_mut(position) {
                *b = byte;
            }
            let _ = read_npy(&bytes);
            let _ = read_npy(&bytes[..cut.min(bytes.len())]);
        }
    }
}
