//! The profiles that come with the program.

/// A profile that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The profile that is used when neither a profile nor an address is named.
pub const DEMO: Builtin = Builtin {
    name: "demo",
    text: include_str!("../../profiles/demo.toml"),
};

/// All of them.
pub const ALL: [Builtin; 4] = [
    DEMO,
    Builtin {
        name: "gateway-512mb",
        text: include_str!("../../profiles/gateway-512mb.toml"),
    },
    Builtin {
        name: "llm-stream",
        text: include_str!("../../profiles/llm-stream.toml"),
    },
    Builtin {
        name: "redis-512mb",
        text: include_str!("../../profiles/redis-512mb.toml"),
    },
];
