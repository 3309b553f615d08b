/// Has every TLS client of this process use ring, unless the process has chosen something else. It is called by whatever
/// connects or launches; call it before you make an HTTP client without either.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // the first choice stays
}
