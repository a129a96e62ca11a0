//! Compiled circuits as files: verified IR and never machine code, so that loading one needs no trust.
//!
//! The file is one of [`sections`](crate::base::sections): one manifest (RON), then for each job its IR (RON) and its long arrays
//! (tables, columns of edge files) as 64-bit floats, little-endian. The RON reader is bounded in depth.

use crate::base::SourceMap;
use crate::base::sections::{Broken, Format};
use crate::ir::artefact::Job;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const FORMAT: Format = Format { magic: *b"NSMART\x1a\n", version: 4 };
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

/// Whether a file that begins with `bytes` is meant to be an artefact.
pub(super) fn is_artefact(bytes: &[u8]) -> bool {
    FORMAT.begins(bytes)
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
    let mut out = Vec::new();
    FORMAT.write(&sections, &mut out).map_err(|e| e.to_string())?;
    Ok(out)
}

/// Reads what [`write`] wrote. The IR in it is well-formed data but has not been verified as a network.
pub(super) fn read(bytes: &[u8]) -> Result<Artefact, Broken> {
    let damaged = |what: &str| Broken::Damaged(what.to_string());
    let sections = FORMAT.read(bytes)?;
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
    use crate::base::sections::{ENTRY, FIXED};
    use crate::ir::artefact::{Notes, Unit};
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
        Job {
            network: "N".into(),
            experiment: "E".into(),
            seeds: 2,
            units,
            points: vec![point],
            notes: Notes::default(),
        }
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
        let mut out = FORMAT.magic.to_vec();
        out.extend(FORMAT.version.to_le_bytes());
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
        let (known, found) = (FORMAT.version, FORMAT.version + 1);
        other[8..][..4].copy_from_slice(&found.to_le_bytes());
        assert_eq!(read(&other), Err(Broken::Version { found, known }));
    }
}
