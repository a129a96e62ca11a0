//! `nsmc doc`: a file as an HTML page.

use super::args::DocArgs;
use super::codes;
use super::graph::write;
use super::loader::FileLoader;
use super::terminal::Terminal;
use super::{Status, source};
use crate::driver;
use crate::{doc as pages, graph};

pub(super) fn doc(args: &DocArgs, terminal: &Terminal) -> Status {
    let (loader, name) = match FileLoader::open(&args.file) {
        Ok(opened) => opened,
        Err(e) => return source::fail_in(&codes::unreadable(&args.file, &e), args.message_format, terminal),
    };
    let outcome = driver::describe(&loader, &name, &source::options(&args.circuit, false));
    let status = source::report(&outcome, args.message_format, terminal);
    let main = outcome.sources.iter().find(|(_, f)| f.name == name).map(|(id, _)| id);
    let (Some(file), Some(id), Status::Fine) = (&outcome.ast, main, status) else { return status };
    let mut drawings: Vec<(String, String)> = Vec::new();
    for unit in outcome.jobs.iter().filter_map(|j| j.units.first()) {
        // Of several experiments with one network, the first one's sizes are drawn.
        if !drawings.iter().any(|(n, _)| *n == unit.network.name) {
            let figure = graph::figure(&unit.network);
            drawings.push((unit.network.name.clone(), graph::draw::svg(&figure)));
        }
    }
    let page = pages::page(&pages::Source { file, id, sources: &outcome.sources, program: &outcome.program, drawings });
    match write(&page, &args.file, args.output.as_deref(), "html", terminal) {
        Ok(()) => status,
        Err(d) => source::fail_in(&d, args.message_format, terminal),
    }
}
