//! Compiled circuits as files: verified IR and never machine code, so that loading one needs no trust.
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `NSMART`, 0x1a, line feed: a transfer as text breaks it visibly |
//! | 4 | format version |
//! | 4 | length of the header: all up to the first section |
//! | 8 | length of the file |
//! | 4 | number of sections |
//! | 24 each | kind (u32), CRC32 (u32), offset (u64), length (u64) |
//! | 4 | CRC32 of the header up to here |
//! | ... | sections, one after the other |
//! | 4 | CRC32 of everything before |
//!
//! Sections: one manifest (RON), then for each job its IR (RON) and its long arrays (tables, columns of edge files) as 64-bit
//! floats. A reader compares every length with the file before it uses it, and the RON reader is bounded in depth.

use crate::base::SourceMap;
use crate::ir::artefact::Job;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

const MAGIC: [u8; 8] = *b"NSMART\x1a\n";
const VERSION: u32 = 1;
const FIXED: usize = 28;
const ENTRY: usize = 24;
/// Expressions are at most 256 deep in a source; each level takes a few levels of RON.
const DEPTH: usize = 4096;

const MANIFEST: u32 = 1;
const JOB: u32 = 2;
const NUMBERS: u32 = 3;

/// Where an artefact comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of the nsmc that wrote it.
    pub nsmc: String,
    /// FNV-1a over names and texts of all source files.
    pub source_hash: String,
    /// Network and experiment of each job.
    pub jobs: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Artefact {
    pub manifest: Manifest,
    pub jobs: Vec<Job>,
}

/// Why bytes are no artefact, in words.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Broken {
    /// Shorter or longer than it says.
    Length { found: u64, expected: u64 },
    /// A format of another nsmc.
    Version(u32),
    /// A part whose checksum or content is wrong.
    Damaged(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Length { found, expected } => {
                write!(f, "it has {found} bytes where {expected} were written: the copy is incomplete or was changed")
            }
            Broken::Version(v) => write!(f, "it is of format {v}; this nsmc reads format {VERSION}"),
            Broken::Damaged(what) => write!(f, "{what}"),
        }
    }
}

/// Whether a file that begins with `bytes` is meant to be an artefact.
pub(super) fn is_artefact(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..6])
}

/// The sources of a compilation in 64 bits.
pub(super) fn source_hash(sources: &SourceMap) -> String {
    let bytes = sources.iter().flat_map(|(_, f)| f.name.bytes().chain([0]).chain(f.text.bytes()).chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

/// The file of `jobs`; an error is a value that RON can't hold.
pub(super) fn write(jobs: &[Job], source_hash: String) -> Result<Vec<u8>, String> {
    let manifest = Manifest {
        nsmc: env!("CARGO_PKG_VERSION").to_string(),
        source_hash,
        jobs: jobs.iter().map(|j| (j.network.clone(), j.experiment.clone())).collect(),
    };
    let mut sections = vec![(MANIFEST, to_ron(&manifest)?)];
    for job in jobs {
        let mut job = job.clone();
        let mut numbers = Vec::new();
        each_array(&mut job, &mut |array| {
            let array = std::mem::take(array);
            numbers.extend_from_slice(&(array.len() as u64).to_le_bytes());
            array.iter().for_each(|v| numbers.extend_from_slice(&v.to_le_bytes()));
        });
        sections.push((JOB, to_ron(&job)?));
        sections.push((NUMBERS, numbers));
    }
    let header = FIXED + ENTRY * sections.len() + 4;
    let total = header + sections.iter().map(|(_, s)| s.len()).sum::<usize>() + 4;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(header as u32).to_le_bytes());
    out.extend_from_slice(&(total as u64).to_le_bytes());
    out.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    let mut offset = header;
    for (kind, bytes) in &sections {
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
        out.extend_from_slice(&(offset as u64).to_le_bytes());
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        offset += bytes.len();
    }
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    sections.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    Ok(out)
}

/// Reads what [`write`] wrote. The IR in it is well-formed data but has not been verified as a network.
pub(super) fn read(bytes: &[u8]) -> Result<Artefact, Broken> {
    let damaged = |what: &str| Broken::Damaged(what.to_string());
    let found = bytes.len() as u64;
    if !bytes.starts_with(&MAGIC) {
        return Err(damaged("its first bytes are changed, as by a transfer as text"));
    }
    // The version comes first: what follows may be laid out otherwise in another one.
    let version = u32_at(bytes, 8).ok_or(Broken::Length { found, expected: FIXED as u64 })?;
    if version != VERSION {
        return Err(Broken::Version(version));
    }
    let fixed = (u32_at(bytes, 12), u64_at(bytes, 16), u32_at(bytes, 24));
    let (Some(header), Some(expected), Some(count)) = fixed else {
        return Err(Broken::Length { found, expected: FIXED as u64 });
    };
    let header = header as usize;
    if found != expected {
        return Err(Broken::Length { found, expected });
    }
    let table = (count as usize).checked_mul(ENTRY).and_then(|n| n.checked_add(FIXED + 4));
    if table != Some(header) || header > bytes.len() {
        return Err(damaged("its header is damaged"));
    }
    if u32_at(bytes, header - 4) != Some(crc32fast::hash(&bytes[..header - 4])) {
        return Err(damaged("its header is damaged (checksum)"));
    }
    let end = bytes.len() - 4;
    if end < header || u32_at(bytes, end) != Some(crc32fast::hash(&bytes[..end])) {
        return Err(damaged("its content is damaged (checksum)"));
    }
    let mut sections = Vec::new();
    let mut at = header;
    for k in 0..count as usize {
        let entry = FIXED + ENTRY * k;
        let fields =
            (u32_at(bytes, entry), u32_at(bytes, entry + 4), u64_at(bytes, entry + 8), u64_at(bytes, entry + 16));
        let (Some(kind), Some(crc), Some(offset), Some(length)) = fields else {
            return Err(damaged("its header is damaged"));
        };
        let last = usize::try_from(length).ok().and_then(|n| at.checked_add(n)).filter(|last| *last <= end);
        let Some(last) = last.filter(|_| offset == at as u64) else {
            return Err(damaged("its sections don't follow each other"));
        };
        let section = &bytes[at..last];
        if crc32fast::hash(section) != crc {
            return Err(Broken::Damaged(format!("section {k} is damaged (checksum)")));
        }
        sections.push((kind, section));
        at = last;
    }
    if at != end {
        return Err(damaged("it has bytes that belong to no section"));
    }
    let Some(((MANIFEST, manifest), rest)) = sections.split_first() else {
        return Err(damaged("it has no manifest"));
    };
    let manifest: Manifest = from_ron(manifest)?;
    let mut jobs = Vec::new();
    for pair in rest.chunks(2) {
        let [(JOB, job), (NUMBERS, numbers)] = pair else {
            return Err(damaged("its sections are not those of an artefact"));
        };
        let mut job: Job = from_ron(job)?;
        let mut numbers = *numbers;
        let mut whole = true;
        each_array(&mut job, &mut |array| match take(&mut numbers) {
            Some(values) if array.is_empty() => *array = values,
            _ => whole = false,
        });
        if !whole || !numbers.is_empty() {
            return Err(damaged("its arrays don't fit its networks"));
        }
        jobs.push(job);
    }
    if jobs.len() != manifest.jobs.len() {
        return Err(damaged("its manifest doesn't fit its content"));
    }
    Ok(Artefact { manifest, jobs })
}

/// The arrays that may be long, in a fixed order.
fn each_array(job: &mut Job, f: &mut dyn FnMut(&mut Vec<f64>)) {
    for unit in &mut job.units {
        unit.network.tables.iter_mut().for_each(|t| f(&mut t.data));
        for projection in unit.network.graph.edge_weights_mut() {
            projection.columns.iter_mut().for_each(&mut *f);
        }
    }
}

/// One array from the front of `bytes`: its length, then its numbers.
fn take(bytes: &mut &[u8]) -> Option<Vec<f64>> {
    let (length, rest) = bytes.split_at_checked(8)?;
    let length = u64_at(length, 0).and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_mul(8))?;
    let (values, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(values.chunks_exact(8).filter_map(|c| c.try_into().ok()).map(f64::from_le_bytes).collect())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

fn options() -> ron::Options {
    ron::Options::default().with_recursion_limit(DEPTH)
}

fn to_ron(value: &impl Serialize) -> Result<Vec<u8>, String> {
    options().to_string(value).map(String::into_bytes).map_err(|e| e.to_string())
}

fn from_ron<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
    options().from_bytes(bytes).map_err(|e| Broken::Damaged(format!("its content can't be read: {e}")))
}

/// A job as RON with line breaks: `--emit ron`.
pub(super) fn pretty(job: &Job) -> Result<String, String> {
    let config = ron::ser::PrettyConfig::new().depth_limit(6).indentor("  ");
    options().to_string_pretty(job, config).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::artefact::Unit;
    use crate::ir::protocol::{Point, Protocol, Stmt};
    use crate::ir::{Network, Node, Table};
    use crate::script::{BinaryOp, Expr, Value};

    fn job() -> Job {
        let mut network = Network { name: "N".into(), dt_ms: 0.1, ..Network::default() };
        network.graph.add_node(Node::Private { path: "drive".into(), model: "Poisson".into() });
        let data = vec![1.0 / 3.0, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE];
        network.tables.push(Table { name: "W".into(), shape: vec![2, 2], data, draw: None });
        network.tables.push(Table { name: "none".into(), shape: vec![0], data: Vec::new(), draw: None });
        let time = Expr::Binary(BinaryOp::Add, Box::new(Expr::number(0.1)), Box::new(Expr::number(1e300)));
        let protocol = Protocol {
            statements: vec![Stmt::Simulate { time, window: Some("w".into()), place: "a.nsm:1:1".into() }],
            ..Protocol::default()
        };
        let point = Point { sweep: vec![(3, Value::Mask(vec![true, false]))], unit: 0 };
        let units = vec![Unit { network, protocol }];
        Job { network: "N".into(), experiment: "E".into(), seeds: 2, units, points: vec![point] }
    }

    fn file() -> Vec<u8> {
        write(&[job(), job()], "0123".into()).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let artefact = read(&file()).unwrap();
        assert_eq!(artefact.jobs, [job(), job()]);
        assert_eq!(artefact.manifest.source_hash, "0123");
        assert!(is_artefact(&file()) && !is_artefact(b"network N {}"));
        assert!(pretty(&job()).unwrap().contains("Simulate"));
    }

    #[test]
    fn every_prefix_is_refused() {
        let file = file();
        for n in 0..file.len() {
            assert!(read(&file[..n]).is_err(), "{n} bytes");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert_eq!(read(&longer), Err(Broken::Length { found: file.len() as u64 + 1, expected: file.len() as u64 }));
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let file = file();
        for n in 0..file.len() {
            for bit in [0x01, 0x80] {
                let mut changed = file.clone();
                changed[n] ^= bit;
                assert!(read(&changed).is_err(), "byte {n}");
            }
        }
    }

    /// Wraps sections with valid checksums, as somebody with bad intent would.
    fn forged(sections: &[(u32, &[u8])]) -> Vec<u8> {
        let header = FIXED + ENTRY * sections.len() + 4;
        let total = header + sections.iter().map(|(_, s)| s.len()).sum::<usize>() + 4;
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend((header as u32).to_le_bytes());
        out.extend((total as u64).to_le_bytes());
        out.extend((sections.len() as u32).to_le_bytes());
        let mut offset = header as u64;
        for (kind, bytes) in sections {
            out.extend(kind.to_le_bytes());
            out.extend(crc32fast::hash(bytes).to_le_bytes());
            out.extend(offset.to_le_bytes());
            out.extend((bytes.len() as u64).to_le_bytes());
            offset += bytes.len() as u64;
        }
        out.extend(crc32fast::hash(&out).to_le_bytes());
        sections.iter().for_each(|(_, b)| out.extend_from_slice(b));
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    #[test]
    fn forged_content_is_refused() {
        let manifest = br#"(nsmc:"0",source_hash:"",jobs:[("N","E")])"#;
        let ron = to_ron(&{
            let mut job = job();
            each_array(&mut job, &mut |a| a.clear());
            job
        })
        .unwrap();
        // Lengths that the file doesn't have, and arrays that the job doesn't have.
        let huge = u64::MAX.to_le_bytes();
        let deep = [b"[".repeat(1 << 20), b"]".repeat(1 << 20)].concat();
        let few = 0_u64.to_le_bytes();
        let many = [0; 32];
        for numbers in [&huge[..], &few[..], &many[..], &[]] {
            assert!(read(&forged(&[(MANIFEST, manifest), (JOB, &ron), (NUMBERS, numbers)])).is_err());
        }
        assert!(read(&forged(&[])).is_err());
        assert!(read(&forged(&[(MANIFEST, manifest)])).is_err());
        assert!(read(&forged(&[(JOB, &ron)])).is_err());
        assert!(read(&forged(&[(MANIFEST, manifest), (JOB, b"()"), (NUMBERS, &[])])).is_err());
        assert!(read(&forged(&[(MANIFEST, &deep)])).is_err());
        let mut other = file();
        other[8] = 2;
        assert_eq!(read(&other), Err(Broken::Version(2)));
    }
}
