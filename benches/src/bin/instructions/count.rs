//! Runs this program under callgrind, a process for each path.

use crate::{COUNTED, paths::Path};
use std::{env, fs, process::Command};

/// Settings of glibc that decide by the processor's model, or by the number of processors, which code runs:
/// how `memcpy` copies, and which arena `malloc` takes.
const TUNABLES: &str = "glibc.malloc.arena_max=1:glibc.cpu.hwcaps=-ERMS,-FSRM,-AVX2,-AVX512VL,-AVX512F:\
    glibc.cpu.x86_non_temporal_threshold=0x1000000:glibc.cpu.x86_rep_movsb_threshold=0x10000000:\
    glibc.cpu.x86_rep_stosb_threshold=0x10000000";

/// Returns whether this program was built by the profile that is recorded, by its folder in `target/`.
pub fn is_optimized() -> Result<bool, String> {
    let program = env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    Ok(program
        .parent()
        .is_some_and(|folder| folder.ends_with("optimized")))
}

pub fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

/// Returns the compiler's version, `rustc` and what follows.
pub fn compiler() -> Result<String, String> {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.map_err(|error| format!("rustc --version: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

/// Counts the instructions of one round of `path`.
///
/// # Errors
///
/// valgrind fails, or counted nothing.
pub fn instructions(path: &Path) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let output_file = env::temp_dir().join(format!("hostel-{}-{}", std::process::id(), path.name));
    // Nothing of the environment reaches the counted program: its size moves the stack, and an allocator's
    // decisions follow addresses.
    let output = Command::new("valgrind")
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("GLIBC_TUNABLES", TUNABLES)
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=*paths::counted*")
        .arg(format!("--callgrind-out-file={}", output_file.display()))
        .arg(program)
        .args([COUNTED, path.name])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let counts = fs::read_to_string(&output_file);
    let _ = fs::remove_file(&output_file);
    if !output.status.success() {
        return Err(format!(
            "{}: {}",
            path.name,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let counts = counts.map_err(|error| format!("{}: {error}", output_file.display()))?;
    let total = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<u64>().ok());
    let rounds = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse::<u64>()
        .ok();
    match (total, rounds) {
        (Some(total), Some(rounds)) if total > 0 && rounds > 0 => Ok(total / rounds),
        _ => Err(format!("{}: callgrind counted nothing", path.name)),
    }
}
