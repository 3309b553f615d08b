//! Ports that stay free until somebody listens on them.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Below the ports that the kernel gives to outgoing connections: what listens a moment later, or is down for a while, finds
/// its port free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// So many free ports of the loopback address, for processes that are told where to listen.
///
/// # Errors
/// When there are none.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::new();
    for _ in 0..1000 {
        if held.len() == N {
            break;
        }
        let port = fastrand::u16(PORTS);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    let ports: Vec<u16> = held.into_iter().map(|(port, _)| port).collect();
    match ports.try_into() {
        Ok(ports) => Ok(ports),
        Err(_) => bail!(
            "there are no {N} free ports on 127.0.0.1 from {} to {}",
            PORTS.start,
            PORTS.end
        ),
    }
}
