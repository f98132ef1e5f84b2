//! The systems that come with the program.

/// Name and text of each, as in the folder `systems/`.
const SHIPPED: &[(&str, &str)] = &[
    ("a", include_str!("../../../systems/a.toml")),
    ("b", include_str!("../../../systems/b.toml")),
    ("c", include_str!("../../../systems/c.toml")),
    ("d", include_str!("../../../systems/d.toml")),
    ("f", include_str!("../../../systems/f.toml")),
    ("h", include_str!("../../../systems/h.toml")),
    ("admission", include_str!("../../../systems/admission.toml")),
    (
        "autoscaler",
        include_str!("../../../systems/autoscaler.toml"),
    ),
    ("bgerr", include_str!("../../../systems/bgerr.toml")),
    ("brink", include_str!("../../../systems/brink.toml")),
    ("bucket", include_str!("../../../systems/bucket.toml")),
    ("bursty", include_str!("../../../systems/bursty.toml")),
    ("cliff", include_str!("../../../systems/cliff.toml")),
    ("clockwork", include_str!("../../../systems/clockwork.toml")),
    ("crowded", include_str!("../../../systems/crowded.toml")),
    ("failover", include_str!("../../../systems/failover.toml")),
    ("fifo", include_str!("../../../systems/fifo.toml")),
    ("gcerr", include_str!("../../../systems/gcerr.toml")),
    ("goodput", include_str!("../../../systems/goodput.toml")),
    ("impatient", include_str!("../../../systems/impatient.toml")),
    ("jit", include_str!("../../../systems/jit.toml")),
    ("leaky", include_str!("../../../systems/leaky.toml")),
    ("mixed", include_str!("../../../systems/mixed.toml")),
    ("moody", include_str!("../../../systems/moody.toml")),
    ("oom", include_str!("../../../systems/oom.toml")),
    ("oomexp", include_str!("../../../systems/oomexp.toml")),
    ("open", include_str!("../../../systems/open.toml")),
    ("opensmall", include_str!("../../../systems/opensmall.toml")),
    ("overflow", include_str!("../../../systems/overflow.toml")),
    ("rarepause", include_str!("../../../systems/rarepause.toml")),
    ("roomy", include_str!("../../../systems/roomy.toml")),
    ("shedding", include_str!("../../../systems/shedding.toml")),
    ("shop", include_str!("../../../systems/shop.toml")),
    ("stalls", include_str!("../../../systems/stalls.toml")),
    ("strict", include_str!("../../../systems/strict.toml")),
    ("tailbase", include_str!("../../../systems/tailbase.toml")),
];

/// The systems that come with the program: name and text of each, the lettered ones first.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    SHIPPED
}
