//! The systems that come with the program.

/// Name and text of each, as in the folder `systems/`.
const SHIPPED: &[(&str, &str)] = &[
    ("a", include_str!("../../../systems/a.toml")),
    ("b", include_str!("../../../systems/b.toml")),
    ("c", include_str!("../../../systems/c.toml")),
    ("d", include_str!("../../../systems/d.toml")),
    ("f", include_str!("../../../systems/f.toml")),
    ("h", include_str!("../../../systems/h.toml")),
    ("brink", include_str!("../../../systems/brink.toml")),
    ("bursty", include_str!("../../../systems/bursty.toml")),
    ("cliff", include_str!("../../../systems/cliff.toml")),
    ("clockwork", include_str!("../../../systems/clockwork.toml")),
    ("crowded", include_str!("../../../systems/crowded.toml")),
    ("impatient", include_str!("../../../systems/impatient.toml")),
    ("leaky", include_str!("../../../systems/leaky.toml")),
    ("mixed", include_str!("../../../systems/mixed.toml")),
    ("moody", include_str!("../../../systems/moody.toml")),
    ("oom", include_str!("../../../systems/oom.toml")),
    ("open", include_str!("../../../systems/open.toml")),
    ("overflow", include_str!("../../../systems/overflow.toml")),
    ("roomy", include_str!("../../../systems/roomy.toml")),
    ("shedding", include_str!("../../../systems/shedding.toml")),
    ("stalls", include_str!("../../../systems/stalls.toml")),
    ("strict", include_str!("../../../systems/strict.toml")),
];

/// The systems that come with the program: name and text of each, the lettered ones first.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    SHIPPED
}
