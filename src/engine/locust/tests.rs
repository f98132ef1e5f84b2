use super::*;

#[test]
fn the_plug_in_speaks_this_programs_protocol() {
    assert!(PLUGIN.contains(&format!("\nPROTOCOL = {PROTOCOL}\n")));
}
