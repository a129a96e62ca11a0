//! Several threads run the cores of one chip.
//!
//! Within a step no core sees another: packets go from all to all between two steps. So a stage of the threads is to take in the packets
//! of the step before, learn, and run the programs of the next, core by core in any order; whoever ends a stage sends its packets, alone.
//! Results don't depend on the number of threads.

use super::core::CoreState;
use super::{Counters, Emulator, Fault, HostState, Mode, Spike};
use crate::chip::fixed::{HostSpike, TraceWrite};
use crate::chip::microcode::Program;
use crate::chip::package::{AxonOut, Manifest};
use crate::runtime::Stages;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Operations of a step from which on a second thread is worth its waiting: about 50 us of work, where a stage takes 2 to 10 us.
const STEP_WORK: u64 = 10_000;
/// Operations of a run from which on threads are worth starting: about 2 ms of work, where a thread takes 50 us.
const RUN_WORK: u64 = 400_000;
/// Tasks of a stage for each thread, so that one that is slow holds up little.
const TASKS: usize = 4;

/// What a stage works on. Nobody waits for these locks: a core is its task's, and all are those of whoever ends a stage.
struct Chip<'c> {
    cores: Vec<Mutex<&'c mut CoreState>>,
    mail: Mutex<Mail<'c>>,
    manifest: &'c Manifest,
    programs: &'c [Program],
    writes: &'c [TraceWrite],
    mode: Mode,
    /// The step whose programs a stage runs, the first of all and the last.
    step: AtomicU64,
    first: u64,
    last: u64,
    /// Writes of the step before.
    due: (AtomicUsize, AtomicUsize),
    tasks: usize,
}

/// What goes from core to core.
struct Mail<'c> {
    host: HostMail<'c>,
    spikes: &'c mut Vec<Spike>,
    packets: Vec<(AxonOut, i32)>,
    fault: Option<Fault>,
}

/// Of the host, what changes as it sends.
pub(super) struct HostMail<'c> {
    pub axons_out: &'c [Vec<AxonOut>],
    pub driven: &'c [Option<u32>],
    pub events: &'c [HostSpike],
    pub next_event: &'c mut usize,
    pub counters: &'c mut Counters,
}

fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Emulator {
    /// Threads that a run may take; results don't depend on it.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    /// Threads that `steps` steps are worth, by the work that steps took so far, or are expected to.
    fn worthwhile(&self, steps: u64) -> usize {
        let done = Counters::sum(self.counters());
        let each = match self.step {
            0 => self.expected,
            n => (done.operations + done.synaptic_operations + done.learning_operations) / n,
        };
        if each < STEP_WORK || each.saturating_mul(steps) < RUN_WORK { 1 } else { self.threads.min(self.cores.len()) }
    }

    /// Advances by `steps` steps.
    ///
    /// # Errors
    /// The first [`Fault`], in order of (step, core, compartment); the emulator is of no use then.
    pub fn run(&mut self, steps: u64) -> Result<(), Fault> {
        if steps == 0 {
            return Ok(());
        }
        let threads = self.worthwhile(steps).max(1);
        let tasks = if threads == 1 { 1 } else { self.cores.len().min(TASKS * threads) };
        let HostState { axons_out, driven, events, next_event, writes, next_write, counters } = &mut self.host;
        let chip = Chip {
            cores: self.cores.iter_mut().map(Mutex::new).collect(),
            mail: Mutex::new(Mail {
                host: HostMail { axons_out, driven, events, next_event, counters },
                spikes: &mut self.spikes,
                packets: vec![],
                fault: None,
            }),
            manifest: &self.manifest,
            programs: &self.programs,
            writes,
            mode: self.mode,
            step: AtomicU64::new(self.step + 1),
            first: self.step + 1,
            last: self.step + steps,
            due: (AtomicUsize::new(*next_write), AtomicUsize::new(*next_write)),
            tasks,
        };
        let stages = Stages::new(tasks);
        std::thread::scope(|scope| {
            for home in 1..threads {
                let (chip, stages) = (&chip, &stages);
                scope.spawn(move || {
                    while stages.await_open() {
                        chip.work(stages, home * TASKS);
                    }
                });
            }
            stages.open();
            chip.work(&stages, 0);
            stages.end();
        });
        // A thread that works beside this one may end the last stage.
        let (step, due) = (chip.step.load(Ordering::Acquire), chip.due.1.load(Ordering::Acquire));
        let fault = hold(&chip.mail).fault.take();
        drop(chip);
        self.host.next_write = due;
        self.step = step - 1;
        fault.map_or(Ok(()), Err)
    }
}

impl Chip<'_> {
    fn work(&self, stages: &Stages, home: usize) {
        stages.work(home, &mut |task| self.task(task), &mut || self.next(), &mut || false);
    }

    /// One task of a stage.
    fn task(&self, task: usize) {
        // Relaxed: the stage was opened after they were written.
        let step = self.step.load(Ordering::Relaxed);
        let writes = &self.writes[self.due.0.load(Ordering::Relaxed)..self.due.1.load(Ordering::Relaxed)];
        for core in self.cores.iter().skip(task).step_by(self.tasks) {
            let mut core = hold(core);
            if step > self.first {
                core.deliver(step - 1, self.manifest);
                core.learn(step - 1, &self.manifest.rules, writes);
            }
            if step <= self.last
                && let Err(fault) = core.update(step, self.mode, self.manifest, self.programs)
            {
                let first = &mut hold(&self.mail).fault;
                if first.as_ref().is_none_or(|f| f.core > fault.core) {
                    *first = Some(fault);
                }
            }
        }
    }

    /// Ends a stage; whether there is another.
    fn next(&self) -> bool {
        let step = self.step.load(Ordering::Relaxed);
        let mut mail = hold(&self.mail);
        if step > self.last || mail.fault.is_some() {
            return false;
        }
        let mut cores: Vec<_> = self.cores.iter().map(hold).collect();
        mail.route(step, &mut cores, self.manifest);
        let taken = self.due.1.load(Ordering::Relaxed);
        let more = self.writes[taken..].iter().take_while(|w| w.step <= step).count();
        self.due.0.store(taken, Ordering::Relaxed);
        self.due.1.store(taken + more, Ordering::Relaxed);
        self.step.store(step + 1, Ordering::Relaxed);
        true
    }
}

impl Mail<'_> {
    fn route(&mut self, t: u64, cores: &mut [MutexGuard<'_, &mut CoreState>], manifest: &Manifest) {
        self.host.route(t, cores.iter_mut().map(|c| &mut ***c), self.spikes, &mut self.packets, manifest);
        for (to, payload) in self.packets.drain(..) {
            cores[to.core as usize].inbox.push((to.axon, payload));
        }
    }
}

impl HostMail<'_> {
    /// Sends the spikes of step `t` along their axons, as packets, and keeps them.
    pub(super) fn route<'a>(
        &mut self,
        t: u64,
        cores: impl Iterator<Item = &'a mut CoreState>,
        spikes: &mut Vec<Spike>,
        packets: &mut Vec<(AxonOut, i32)>,
        manifest: &Manifest,
    ) {
        let first = spikes.len();
        let (sites, limits) = (&manifest.sites, &manifest.target);
        for (k, core) in cores.enumerate() {
            for (compartment, payload) in &core.outbox {
                let neuron = core.neurons[*compartment as usize];
                spikes.push(Spike { step: t, neuron, payload: *payload });
                for a in &core.axons_out[*compartment as usize] {
                    core.counters.travel(sites[k], sites[a.core as usize], limits);
                    packets.push((*a, *payload));
                }
            }
        }
        while let Some(e) = self.events.get(*self.next_event).filter(|e| e.step <= t) {
            *self.next_event += 1;
            let Some(k) = self.driven[e.neuron as usize] else { continue };
            spikes.push(Spike { step: t, neuron: e.neuron, payload: e.payload });
            self.counters.spikes += 1;
            for a in &self.axons_out[k as usize] {
                // Its way to the core is not counted.
                self.counters.packets_out += 1;
                packets.push((*a, e.payload));
            }
        }
        spikes[first..].sort_unstable();
    }
}
