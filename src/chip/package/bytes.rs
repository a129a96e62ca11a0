//! A package as bytes. A reader compares every length with what is there before it uses it; whether numbers make sense is for
//! the emulator's loader to say.

use super::{AxonIn, AxonOut, Compartment, Core, Host, Manifest, Package};
use crate::base::sections::{Broken, Format};
use crate::chip::fixed::{HostSpike, TraceWrite};
use crate::chip::microcode::{Program, assemble};

/// What a package begins with.
pub const FORMAT: Format = Format { magic: *b"nsmpkg\x1a\n", version: 4 };

const MANIFEST: u32 = 1;
const CORE: u32 = 2;
const HOST: u32 = 3;
const EXPERIMENT: u32 = 4;

impl Package {
    /// The file: the same package gives the same bytes.
    ///
    /// # Errors
    /// In words, where the manifest has no JSON form.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        let manifest = serde_json::to_vec(&self.manifest).map_err(|e| e.to_string())?;
        let mut sections = vec![(MANIFEST, manifest)];
        sections.extend(self.cores.iter().map(|c| (CORE, core_bytes(c))));
        sections.push((HOST, host_bytes(&self.host)));
        sections.push((EXPERIMENT, self.experiment.clone()));
        let mut out = Vec::new();
        FORMAT.write(&sections, &mut out).map_err(|e| e.to_string())?;
        Ok(out)
    }

    /// Reads what [`Package::write`] wrote, and assembles its programs.
    ///
    /// # Errors
    /// [`Broken`] where a checksum or a length is wrong or a part can't be read.
    pub fn read(bytes: &[u8]) -> Result<(Package, Vec<Program>), Broken> {
        let damaged = |what: String| Broken::Damaged(what);
        let sections = FORMAT.read(bytes)?;
        let Some(((MANIFEST, manifest), rest)) = sections.split_first() else {
            return Err(damaged("it has no manifest".to_string()));
        };
        let manifest: Manifest =
            serde_json::from_slice(manifest).map_err(|e| damaged(format!("its manifest can't be read: {e}")))?;
        let programs: Result<Vec<Program>, Broken> = manifest
            .programs
            .iter()
            .map(|text| assemble(text).map_err(|e| damaged(format!("a program can't be read: {e}"))))
            .collect();
        let programs = programs?;
        let [cores @ .., (HOST, host), (EXPERIMENT, experiment)] = rest else {
            return Err(damaged("it has no part of the host".to_string()));
        };
        let words = |profile: u32| {
            let p = manifest.profiles.get(profile as usize)?;
            Some(programs.get(p.program as usize)?.states.len())
        };
        let mut out = Vec::with_capacity(cores.len());
        for (k, (kind, bytes)) in cores.iter().enumerate() {
            let core = if *kind == CORE { read_core(bytes, &words) } else { None };
            out.push(core.ok_or_else(|| damaged(format!("the tables of core {k} can't be read")))?);
        }
        let driven = manifest.populations.iter().filter(|p| p.profile.is_none());
        let driven: u64 = driven.map(|p| u64::from(p.size)).sum();
        let host = read_host(host, driven).ok_or_else(|| damaged("the part of the host can't be read".to_string()))?;
        Ok((Package { manifest, cores: out, host, experiment: experiment.to_vec() }, programs))
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    fn i32(&mut self, v: i32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    fn axons(&mut self, axons: &[AxonOut]) {
        self.u32(axons.len() as u32);
        for a in axons {
            self.u32(a.core);
            self.u32(a.axon);
        }
    }
}

fn core_bytes(core: &Core) -> Vec<u8> {
    let mut w = Writer::default();
    w.u32(core.compartments.len() as u32);
    for c in &core.compartments {
        w.u32(c.profile);
        w.u32(c.neuron);
        c.state.iter().for_each(|v| w.i32(*v));
    }
    w.u32(core.index_bits);
    w.u32(core.axons_in.len() as u32);
    for a in &core.axons_in {
        w.u32(a.format);
        w.u32(a.word);
    }
    w.u32(core.words.len() as u32);
    core.words.iter().for_each(|v| w.u64(*v));
    core.axons_out.iter().for_each(|a| w.axons(a));
    w.0
}

fn host_bytes(host: &Host) -> Vec<u8> {
    let mut w = Writer::default();
    host.axons_out.iter().for_each(|a| w.axons(a));
    w.u64(host.events.len() as u64);
    for e in &host.events {
        w.u64(e.step);
        w.u32(e.neuron);
        w.i32(e.payload);
    }
    w.u64(host.writes.len() as u64);
    for t in &host.writes {
        w.u64(t.step);
        w.u32(t.projection);
        w.u32(t.neuron);
        w.u32(t.trace);
        w.i32(t.value);
    }
    w.0
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_at_checked(N)?;
        self.0 = rest;
        first.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// `n` entries of at least `bytes` bytes each: no more than are there, so a wrong count can't ask for memory.
    fn many<T>(&mut self, n: u64, bytes: u64, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        if n.checked_mul(bytes)? > self.0.len() as u64 {
            return None;
        }
        let mut out = Vec::with_capacity(usize::try_from(n).ok()?);
        for _ in 0..n {
            out.push(one(self)?);
        }
        Some(out)
    }

    fn axons(&mut self) -> Option<Vec<AxonOut>> {
        let n = self.u32()?;
        self.many(u64::from(n), 8, |r| Some(AxonOut { core: r.u32()?, axon: r.u32()? }))
    }

    fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

fn read_core(bytes: &[u8], words: &impl Fn(u32) -> Option<usize>) -> Option<Core> {
    let mut r = Reader(bytes);
    let n = u64::from(r.u32()?);
    let compartments = r.many(n, 8, |r| {
        let (profile, neuron) = (r.u32()?, r.u32()?);
        let state = r.many(words(profile)? as u64, 4, Reader::i32)?;
        Some(Compartment { profile, neuron, state })
    })?;
    let index_bits = r.u32()?;
    let k = u64::from(r.u32()?);
    let axons_in = r.many(k, 8, |r| Some(AxonIn { format: r.u32()?, word: r.u32()? }))?;
    let k = u64::from(r.u32()?);
    let memory = r.many(k, 8, Reader::u64)?;
    let axons_out = r.many(n, 4, Reader::axons)?;
    r.end(Core { compartments, index_bits, axons_in, words: memory, axons_out })
}

fn read_host(bytes: &[u8], driven: u64) -> Option<Host> {
    let mut r = Reader(bytes);
    let axons_out = r.many(driven, 4, Reader::axons)?;
    let n = r.u64()?;
    let events = r.many(n, 16, |r| Some(HostSpike { step: r.u64()?, neuron: r.u32()?, payload: r.i32()? }))?;
    let n = r.u64()?;
    let writes = r.many(n, 24, |r| {
        let (step, projection, neuron) = (r.u64()?, r.u32()?, r.u32()?);
        Some(TraceWrite { step, projection, neuron, trace: r.u32()?, value: r.i32()? })
    })?;
    r.end(Host { axons_out, events, writes })
}
