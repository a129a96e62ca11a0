use nsm::base::*;
struct L;
impl Loader for L {
    fn resolve(&self, from: &str, path: &str) -> Result<String, LoadError> { let d = std::path::Path::new(from).parent().unwrap(); Ok(d.join(path).to_str().unwrap().to_string()) }
    fn folder(&self, n: &str) -> Option<Vec<String>> { let _ = n; None }
    fn text(&self, n: &str) -> Result<String, LoadError> { std::fs::read_to_string(n).map_err(|_| LoadError::NotFound) }
    fn bytes(&self, n: &str) -> Result<Vec<u8>, LoadError> { std::fs::read(n).map_err(|_| LoadError::NotFound) }
}
fn main() {
    let mut print = false;
    for f in std::env::args().skip(1) {
        if f == "-p" { print = true; continue; }
        let o = nsm::driver::compile(&L, &f, &nsm::driver::Options { quick: false, ..Default::default() });
        println!("{f}: {} errors, {} jobs, {:.1} ms", o.diagnostics.error_count(), o.jobs.len(), o.compile_s*1e3);
        for d in o.diagnostics.sorted() {
            println!("  {} {}", d.code.0, d.message);
            for l in &d.labels { let (a,b)=o.sources.line_column(l.span.file,l.span.start); println!("     {}:{a}:{b} `{}` {}", o.sources.file(l.span.file).name, o.sources.snippet(l.span), l.text); }
            for n in &d.notes { println!("     note {n}"); }
            if let Some(h) = &d.help { println!("     help {h}"); }
        }
        if print { for j in &o.jobs { for u in &j.units { println!("{}", nsm::ir::print(&u.network)); } } }
    }
}
