//! `nsmc`: see [`nsm::cli`].

fn main() -> std::process::ExitCode {
    nsm::cli::main()
}
