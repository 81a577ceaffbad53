//! Other proxies between the same client and the same service: nginx and HAProxy as Debian has them, configured as their
//! manuals would. They listen on loopback alone, and are ended by their handles.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// A proxy at work.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Peer {
    /// nginx, whose files are in `folder`.
    pub fn nginx(folder: &Path, service: SocketAddr) -> io::Result<Self> {
        let address = free()?;
        let at = folder.display();
        let text = format!(
            "daemon off; master_process off; worker_processes 1; pid {at}/nginx.pid; error_log {at}/nginx.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{\n access_log off;\n client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;\n \
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n \
             upstream service {{ server {service}; keepalive 4; }}\n \
             server {{\n  listen {address};\n  location / {{\n   proxy_pass http://service;\n   proxy_http_version 1.1;\n   \
             proxy_set_header Connection \"\";\n   proxy_set_header Host $host;\n   proxy_request_buffering off;\n  }}\n }}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, text)?;
        Self::start(Command::new("nginx").arg("-c").arg(file).arg("-p").arg(folder), address)
    }

    /// HAProxy, whose file is in `folder`.
    pub fn haproxy(folder: &Path, service: SocketAddr) -> io::Result<Self> {
        let address = free()?;
        let text = format!(
            "global\n maxconn 256\ndefaults\n mode http\n timeout connect 2s\n timeout client 5s\n timeout server 5s\n \
             timeout http-request 5s\nfrontend in\n bind {address}\n default_backend out\nbackend out\n server service {service}\n"
        );
        let file = folder.join("haproxy.cfg");
        fs::write(&file, text)?;
        Self::start(Command::new("haproxy").arg("-db").arg("-f").arg(file), address)
    }

    fn start(command: &mut Command, address: SocketAddr) -> io::Result<Self> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let peer = Self { process, address };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                return Ok(peer);
            }
            sleep(Duration::from_millis(50));
        }
        Err(io::Error::other(format!("{command:?} does not listen")))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
