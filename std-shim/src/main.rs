//! The program `hostel`: runs and inspects plugins from the command line.

mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
