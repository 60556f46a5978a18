//! Serves a DynamoDB in memory on this port of 127.0.0.1, until it is ended: `dynoxide-server PORT`.

use std::error::Error;

use dynoxide::{Database, server};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: dynoxide-server PORT")?.parse()?;
    let database = Database::memory()?;
    Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        server::serve_on(listener, database).await;
        Ok(())
    })
}
