fn main() {
    for f in std::env::args().skip(1) {
        let w = std::fs::read(&f).unwrap();
        let t = std::time::Instant::now();
        match hostel_lower::lower(&w, false) {
            Ok(m) => {
                println!("{f}: {} -> {} in {:?}", w.len(), m.len(), t.elapsed());
                let name = std::path::Path::new(&f).file_name().unwrap().to_str().unwrap();
                std::fs::write(format!("/tmp/lowered/{name}"), m).unwrap();
            }
            Err(e) => println!("{f}: {e}"),
        }
    }
}
