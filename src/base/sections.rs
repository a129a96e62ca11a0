//! Files of sections with checksums: what compiled circuits and checkpoints are written as.
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic: six letters, 0x1a, line feed; a transfer as text breaks it visibly |
//! | 4 | format version |
//! | 4 | length of the header: all up to the first section |
//! | 8 | length of the file |
//! | 4 | number of sections |
//! | 24 each | kind (u32), CRC32 (u32), offset (u64), length (u64) |
//! | 4 | CRC32 of the header up to here |
//! | ... | sections, one after the other |
//! | 4 | CRC32 of everything before |
//!
//! A reader compares every length with the file before it uses it.

use std::fmt;
use std::io::{self, Write};

/// Bytes before the table of sections, and of each of its entries.
pub const FIXED: usize = 28;
pub const ENTRY: usize = 24;

/// What a file begins with.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub magic: [u8; 8],
    pub version: u32,
}

/// Why bytes are no file of a format, in words.
#[derive(Clone, Debug, PartialEq)]
pub enum Broken {
    /// Shorter or longer than it says.
    Length { found: u64, expected: u64 },
    /// A format of another nsmc.
    Version { found: u32, known: u32 },
    /// A part whose checksum or content is wrong.
    Damaged(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Length { found, expected } => {
                write!(f, "it has {found} bytes where {expected} were written: the copy is incomplete or was changed")
            }
            Broken::Version { found, known } => write!(f, "it is of format {found}; this nsmc reads format {known}"),
            Broken::Damaged(what) => write!(f, "{what}"),
        }
    }
}

impl Format {
    /// Whether a file that begins with `bytes` is meant to be of this format.
    pub fn begins(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.magic[..6])
    }

    /// Writes the sections (kind, content).
    pub fn write(&self, sections: &[(u32, Vec<u8>)], out: &mut dyn Write) -> io::Result<()> {
        let length = FIXED + ENTRY * sections.len() + 4;
        let total = length + sections.iter().map(|(_, s)| s.len()).sum::<usize>() + 4;
        let mut header = Vec::with_capacity(length);
        header.extend_from_slice(&self.magic);
        header.extend_from_slice(&self.version.to_le_bytes());
        header.extend_from_slice(&(length as u32).to_le_bytes());
        header.extend_from_slice(&(total as u64).to_le_bytes());
        header.extend_from_slice(&(sections.len() as u32).to_le_bytes());
        let mut offset = length;
        for (kind, bytes) in sections {
            header.extend_from_slice(&kind.to_le_bytes());
            header.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
            header.extend_from_slice(&(offset as u64).to_le_bytes());
            header.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            offset += bytes.len();
        }
        let crc = crc32fast::hash(&header);
        header.extend_from_slice(&crc.to_le_bytes());
        let mut all = crc32fast::Hasher::new();
        for part in std::iter::once(&header).chain(sections.iter().map(|(_, bytes)| bytes)) {
            all.update(part);
            out.write_all(part)?;
        }
        out.write_all(&all.finalize().to_le_bytes())
    }

    /// The sections of what [`Format::write`] wrote, in its order.
    ///
    /// # Errors
    /// [`Broken`] where a length or a checksum does not fit; whether the content makes sense is for others to say.
    pub fn read<'b>(&self, bytes: &'b [u8]) -> Result<Vec<(u32, &'b [u8])>, Broken> {
        let damaged = |what: &str| Broken::Damaged(what.to_string());
        let found = bytes.len() as u64;
        if !bytes.starts_with(&self.magic) {
            return Err(damaged("its first bytes are changed, as by a transfer as text"));
        }
        // The version comes first: what follows may be laid out otherwise in another one.
        let version = u32_at(bytes, 8).ok_or(Broken::Length { found, expected: FIXED as u64 })?;
        if version != self.version {
            return Err(Broken::Version { found: version, known: self.version });
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
        Ok(sections)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}
