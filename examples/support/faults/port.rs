//! A port that can refuse connections.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// A port of the loopback interface that no other process gets while nothing listens at it.
pub(super) struct Port {
    /// Bound, but not listening, which is what refuses connections. Nobody reads it.
    _reserved: TcpSocket,
    address: SocketAddr,
}

impl Port {
    pub(super) fn new() -> io::Result<Self> {
        let reserved = TcpSocket::new_v4()?;
        // As the listener has it: so both may hold the port.
        reserved.set_reuseaddr(true)?;
        reserved.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = reserved.local_addr()?;
        Ok(Self { _reserved: reserved, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections are taken until the listener is dropped.
    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.address)
    }
}
