//! Which HTTP is spoken to the target, and how connections are shared.

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    One,
    /// Over TLS what the server chooses in the handshake (ALPN), without it HTTP/1.1.
    Auto,
    /// HTTP/2: over TLS by ALPN, without it by prior knowledge.
    Two,
}

impl Http {
    /// As a profile has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "1.1",
            Self::Auto => "auto",
            Self::Two => "2",
        }
    }

    /// What a name says.
    pub fn named(name: &str) -> Option<Self> {
        [Self::One, Self::Auto, Self::Two]
            .into_iter()
            .find(|http| http.name() == name)
    }

    /// Whether HTTP/2 may be spoken to such an address.
    pub fn may_be_two(self, tls: bool) -> bool {
        match self {
            Self::One => false,
            Self::Auto => tls,
            Self::Two => true,
        }
    }
}

/// What is spoken, and how many share a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Which HTTP.
    pub http: Http,
    /// How many VUs of a thread share a connection of HTTP/2.
    pub streams_per_connection: u32,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            http: Http::default(),
            streams_per_connection: 1,
        }
    }
}
