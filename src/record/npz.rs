//! NumPy's `.npz`: a zip of `.npy` files, stored and without clock times, so that equal data are equal bytes.

use std::io::{self, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::npy::write_header;
use super::{Recording, StateTraces};
use crate::units::Unit;

/// Elements are encoded in pieces of this many bytes.
const CHUNK: usize = 1 << 16;

/// Writes one array after the other; `numpy.load` gives them by name.
pub struct NpzWriter<W: Write + Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + Seek> NpzWriter<W> {
    pub fn new(w: W) -> NpzWriter<W> {
        NpzWriter { zip: ZipWriter::new(w) }
    }

    /// Adds an array of 64-bit floats in C order.
    pub fn f64(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = f64>) -> io::Result<()> {
        self.array(name, "<f8", shape, 8, values.into_iter().map(f64::to_le_bytes))
    }

    /// Adds an array of 32-bit unsigned integers in C order.
    pub fn u32(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = u32>) -> io::Result<()> {
        self.array(name, "<u4", shape, 4, values.into_iter().map(u32::to_le_bytes))
    }

    /// Adds a text as a scalar; `str(file[name])` in Python.
    pub fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        // NumPy has no strings of length zero in files.
        let text = if text.is_empty() { "1" } else { text };
        let letters = text.chars().map(|c| u32::from(c).to_le_bytes());
        let length = text.chars().count();
        self.begin(name, &format!("<U{length}"), &[], 4 * length as u64)?;
        letters.into_iter().try_for_each(|letter| self.zip.write_all(&letter))
    }

    /// Completes the file; without this it cannot be read.
    pub fn finish(self) -> io::Result<W> {
        Ok(self.zip.finish()?)
    }

    fn begin(&mut self, name: &str, descr: &str, shape: &[usize], bytes: u64) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            // With room for the header; beyond 4 GiB the zip needs its 64-bit form from the start.
            .large_file(bytes >= u64::from(u32::MAX) - (1 << 16));
        self.zip.start_file(format!("{name}.npy"), options)?;
        write_header(&mut self.zip, descr, shape)
    }

    fn array<const N: usize>(
        &mut self,
        name: &str,
        descr: &str,
        shape: &[usize],
        size: usize,
        mut values: impl Iterator<Item = [u8; N]>,
    ) -> io::Result<()> {
        let count: usize = shape.iter().product();
        self.begin(name, descr, shape, count as u64 * size as u64)?;
        let mut chunk = vec![0; CHUNK];
        let mut written = 0;
        loop {
            let mut filled = 0;
            for (place, value) in chunk.as_chunks_mut::<N>().0.iter_mut().zip(&mut values) {
                *place = value;
                filled += 1;
            }
            self.zip.write_all(&chunk[..filled * N])?;
            written += filled;
            if filled < CHUNK / N {
                break;
            }
        }
        if written != count {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("array `{name}` has {written} values where its shape needs {count}"),
            ));
        }
        Ok(())
    }
}

/// `spikes.npz`: `PATH/times_ms` (float64) and `PATH/senders` (uint32) of every recorded population, silent ones too.
pub fn write_spikes_npz(w: impl Write + Seek, recording: &Recording) -> io::Result<()> {
    let mut npz = NpzWriter::new(w);
    for p in &recording.spikes {
        npz.f64(&format!("{}/times_ms", p.path), &[p.len()], p.steps.iter().map(|s| recording.time_ms(*s)))?;
        npz.u32(&format!("{}/senders", p.path), &[p.len()], p.senders.iter().copied())?;
    }
    npz.finish()?.flush()
}

/// `states.npz`: of every recorded variable `PATH/VARIABLE` (float64, `[time, neuron]`) in its typical unit (mV, pA,
/// nS, Hz, ...), with `PATH/VARIABLE/times_ms`, `PATH/VARIABLE/neurons` and the unit's name in `PATH/VARIABLE/unit`
/// (`1` for a plain number).
pub fn write_states_npz(w: impl Write + Seek, recording: &Recording) -> io::Result<()> {
    let mut npz = NpzWriter::new(w);
    for s in &recording.states {
        write_traces(&mut npz, recording, s)?;
    }
    npz.finish()?.flush()
}

/// `weights.npz`: of every recorded projection `PATH/weights` (float64, `[time, synapse]`) in its typical unit, with
/// `PATH/times_ms`, the cells of each synapse in `PATH/pre` and `PATH/post` (uint32), and `PATH/unit`.
pub fn write_weights_npz(w: impl Write + Seek, recording: &Recording) -> io::Result<()> {
    let mut npz = NpzWriter::new(w);
    for t in &recording.weights {
        let unit = Unit::typical(t.dimension);
        let shape = [t.steps.len(), t.edges.len()];
        npz.f64(&format!("{}/weights", t.path), &shape, t.values.iter().copied().map(unit.reader()))?;
        npz.f64(&format!("{}/times_ms", t.path), &[t.steps.len()], t.steps.iter().map(|k| recording.time_ms(*k)))?;
        npz.u32(&format!("{}/pre", t.path), &[t.edges.len()], t.edges.iter().map(|e| e.0))?;
        npz.u32(&format!("{}/post", t.path), &[t.edges.len()], t.edges.iter().map(|e| e.1))?;
        npz.text(&format!("{}/unit", t.path), unit.spelling())?;
    }
    npz.finish()?.flush()
}

fn write_traces<W: Write + Seek>(npz: &mut NpzWriter<W>, recording: &Recording, s: &StateTraces) -> io::Result<()> {
    let unit = s.unit();
    let name = format!("{}/{}", s.path, s.variable);
    npz.f64(&name, &[s.steps.len(), s.neurons.len()], s.values.iter().copied().map(unit.reader()))?;
    npz.f64(&format!("{name}/times_ms"), &[s.steps.len()], s.steps.iter().map(|k| recording.time_ms(*k)))?;
    npz.u32(&format!("{name}/neurons"), &[s.neurons.len()], s.neurons.iter().copied())?;
    npz.text(&format!("{name}/unit"), unit.spelling())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::{PopulationSpikes, read_npy};
    use super::*;
    use crate::units::Dimension;

    fn recording() -> Recording {
        let mut spikes = PopulationSpikes::new("bg.D1", 3);
        spikes.push(5, 2);
        spikes.push(20, 0);
        let states = StateTraces {
            path: "E".into(),
            variable: "V".into(),
            dimension: Dimension::VOLTAGE,
            neurons: vec![0, 7],
            steps: vec![0, 10, 20],
            values: vec![-70.0, -69.0, -68.0, -67.0, -66.0, -65.0],
        };
        let silent = PopulationSpikes::new("I", 10);
        Recording {
            dt_ms: 0.5,
            duration_steps: 30,
            spikes: vec![spikes, silent],
            states: vec![states],
            ..Recording::default()
        }
    }

    /// The array of a stored zip member, found by the member's name.
    fn member(zip: &[u8], name: &str) -> Vec<u8> {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut archive.by_name(name).unwrap(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn spikes_and_states_come_back() {
        let mut spikes = Vec::new();
        write_spikes_npz(Cursor::new(&mut spikes), &recording()).unwrap();
        assert_eq!(read_npy(&member(&spikes, "bg.D1/times_ms.npy")).unwrap().data, [2.5, 10.0]);
        assert_eq!(read_npy(&member(&spikes, "bg.D1/senders.npy")).unwrap().data, [2.0, 0.0]);
        assert_eq!(read_npy(&member(&spikes, "I/times_ms.npy")).unwrap().shape, [0]);
        let mut states = Vec::new();
        write_states_npz(Cursor::new(&mut states), &recording()).unwrap();
        let v = read_npy(&member(&states, "E/V.npy")).unwrap();
        assert_eq!((v.shape, v.data[3]), (vec![3, 2], -67.0));
        assert_eq!(read_npy(&member(&states, "E/V/times_ms.npy")).unwrap().data, [0.0, 5.0, 10.0]);
        assert_eq!(read_npy(&member(&states, "E/V/neurons.npy")).unwrap().data, [0.0, 7.0]);
        assert!(member(&states, "E/V/unit.npy").ends_with(b"m\0\0\0V\0\0\0"));
    }

    #[test]
    fn equal_recordings_are_equal_bytes() {
        let write = || {
            let mut out = Vec::new();
            write_states_npz(Cursor::new(&mut out), &recording()).unwrap();
            out
        };
        assert_eq!(write(), write());
    }

    #[test]
    fn a_shape_that_does_not_fit_is_an_error() {
        let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
        assert_eq!(npz.f64("x", &[3], [1.0]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
