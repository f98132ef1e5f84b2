//! The TLS provider of the process.

/// Installs ring as the process' TLS provider; does nothing when one is there already. The HTTP clients of this program
/// need it even where they speak no TLS.
pub fn install() {
    // The error says that another provider was first, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}
