//! The committed example report comes out of its record again, byte for byte.

use std::fs;
use std::path::Path;

use breakpoint::report;

#[test]
fn the_example_renders_again_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/example");
    let record = report::read(&fs::read(folder.join("result.json")).unwrap()).unwrap();
    let artifacts = report::render(&record).unwrap();
    let mut names: Vec<&str> = artifacts.iter().map(|a| a.name).collect();
    for artifact in &artifacts {
        let committed = fs::read(folder.join(artifact.name)).unwrap();
        assert!(
            committed == artifact.bytes,
            "{} differs; if that is meant: breakpoint report reports/example, look at it, commit \
             it",
            artifact.name
        );
    }
    names.sort_unstable();
    let mut files: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files, names, "nothing else lies there");
}
