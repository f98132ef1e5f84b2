//! The systems that come with the program.

/// Name and text of each, as in the folder `systems/`.
const SHIPPED: &[(&str, &str)] = &[
    ("a", include_str!("../../../systems/a.toml")),
    ("b", include_str!("../../../systems/b.toml")),
    ("c", include_str!("../../../systems/c.toml")),
    ("d", include_str!("../../../systems/d.toml")),
    ("f", include_str!("../../../systems/f.toml")),
    ("h", include_str!("../../../systems/h.toml")),
];

/// The systems that come with the program: name and text of each, in the order of the names.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    SHIPPED
}
