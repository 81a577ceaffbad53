//! Clients for whom there is no room: they are told so, if that costs next to nothing, and their connections close.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    time::timeout,
};

use super::stream::Io;

/// Clients that are being told at the same time; the connections of further ones close without a word.
const TOLD_AT_ONCE: usize = 256;
/// How long it may take. What a client has sent has to be read: closing would otherwise take the answer from it.
const PATIENCE: Duration = Duration::from_millis(500);

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\n\
    content-length: 182\r\n\
    cache-control: no-store\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\
    \r\n\
    {\"type\":\"urn:tollgate:problem:request.overloaded\",\"title\":\"Service Unavailable\",\"status\":503,\
    \"detail\":\"There is too much to do at the moment.\",\"instance\":\"urn:tollgate:request:none\"}";

/// Turns clients away.
#[derive(Debug, Clone)]
pub(super) struct Shed(Arc<Semaphore>);

impl Default for Shed {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOLD_AT_ONCE)))
    }
}

impl Shed {
    /// Closes the connection, with a word where the client can understand one.
    pub(super) fn turn_away(&self, mut io: Io, is_plain: bool) {
        let Ok(permit) = self.0.clone().try_acquire_owned() else { return };
        if !is_plain {
            return;
        }
        tokio::spawn(async move {
            let telling = async {
                io.write_all(ANSWER).await?;
                io.shutdown().await?;
                let mut nothing = [0; 1024];
                while io.read(&mut nothing).await? > 0 {}
                std::io::Result::Ok(())
            };
            // Whoever does not want to hear it has left.
            let _ = timeout(PATIENCE, telling).await;
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{}", body.len());
    }
}
