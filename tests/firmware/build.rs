//! Tells the linker the board's memory.

const BOARDS: [&str; 4] = ["mps2-an386", "netduinoplus2", "musca-b1", "virt"];

fn main() {
    println!("cargo::rerun-if-changed=boards");
    for board in BOARDS {
        let feature = board.replace('-', "_").to_uppercase();
        if std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some() {
            let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it");
            println!("cargo::rustc-link-search={directory}/boards/{board}");
        }
    }
}
