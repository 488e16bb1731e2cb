//! Prints what guests do on this machine, to be compared with others.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
firmware::main!(firmware::transcript::run);

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    if firmware::transcript::run() {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}
