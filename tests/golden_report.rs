//! Reports from fixed records: what a reader of the files relies on.

#[path = "records/mod.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod records;

use breakpoint::report::{self, Format, ReportError};

#[test]
#[ignore = "writes pictures to look at: cargo test --test golden_report -- --ignored"]
fn pictures_to_look_at() {
    for (name, record) in records::all() {
        for artifact in report::render(&record).unwrap() {
            let dir = std::env::temp_dir().join("breakpoint-pictures").join(name);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(artifact.name), artifact.bytes).unwrap();
        }
        println!("{name}\n{}", report::summary(&record));
    }
    let _ = (Format::ALL, None::<ReportError>);
}
