//! Handshakes over sockets, between what clients use and what serves them. Certificates are made for each test.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, HandshakeKind, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tollgate_core::{
    config::document::HttpProtocol::{self, Http1, Http2},
    listener_tls::{CertificateFiles, ClientAuth, ListenerTls, TlsProfile},
};

use super::*;

/// 2030-01-01.
const NOW: u64 = 1_893_456_000_000;
const HOUR: u64 = 3_600_000;

/// A folder that is gone after the test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        // As a careful operator does it: nobody reads half of it.
        let fresh = self.0.join(format!("{name}.new"));
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A certificate and its key.
pub(super) struct Made {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Made {
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        let key = aws_lc_rs::sign::any_supported_type(&self.private()).unwrap();
        Arc::new(CertifiedKey::new(vec![self.der.clone()], key))
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    fn files(&self, folder: &Folder, name: &str) -> CertificateFiles {
        CertificateFiles {
            cert_file: folder.write(&format!("{name}.pem"), &self.pem),
            key_file: folder.write(&format!("{name}.key"), &self.key.serialize_pem()),
            place: "tollgate.yaml:7".to_owned(),
        }
    }
}

/// A certificate for these names that nobody vouches for.
pub(super) fn made(names: &[&str]) -> Made {
    made_with(names, &rcgen::PKCS_ECDSA_P256_SHA256)
}

fn made_with(names: &[&str], kind: &'static rcgen::SignatureAlgorithm) -> Made {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate_for(kind).unwrap();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    Made { pem: certificate.pem(), der: certificate.der().clone(), key }
}

/// An authority for clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn client(&self, name: &str, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = date_time_ymd(2040, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Made { pem: certificate.pem(), der: certificate.der().clone(), key }
    }

    fn revoking(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2029, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2029, 1, 1),
            next_update: date_time_ymd(2031, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn written(certificates: Vec<CertificateFiles>) -> ListenerTls {
    ListenerTls {
        certificates,
        acme: Vec::new(),
        strict_sni: false,
        profile: TlsProfile::Intermediate,
        client_auth: None,
        session_tickets: true,
        place: "tollgate.yaml:5".to_owned(),
    }
}

fn listener(written: ListenerTls, protocols: &[HttpProtocol]) -> Arc<core::Listener> {
    let speaks = core::Speaks { http1: protocols.contains(&Http1), http2: protocols.contains(&Http2) };
    let plain = core::Listener::plain(([127, 0, 0, 1], 0).into());
    Arc::new(core::Listener { tls: Some(Arc::new(written)), speaks, ..plain })
}

/// A process that ends TLS at one listener.
struct Site {
    tls: Tls,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Site {
    fn new(written: ListenerTls) -> Self {
        Self::speaking(written, &[Http2, Http1])
    }

    fn speaking(written: ListenerTls, protocols: &[HttpProtocol]) -> Self {
        let (clock, metrics) = (Clock::manual(NOW), Arc::new(Metrics::default()));
        let listeners = [listener(written, protocols)];
        let tls = Tls::new(&listeners, clock.clone(), metrics.clone()).unwrap();
        Self { tls, clock, metrics }
    }

    /// A handshake over a socket, as both sides see it. In TLS 1.3 a client is done before it is judged.
    async fn meet(
        &self,
        client: &Arc<ClientConfig>,
        name: &str,
    ) -> (Result<Accepted<TcpStream>, NotAccepted>, io::Result<TlsStream<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = self.tls.acceptor(0).unwrap();
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream).await
        };
        let come = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from(name.to_owned()).unwrap();
            TlsConnector::from(client.clone()).connect(name, stream).await
        };
        tokio::join!(serve, come)
    }

    fn failures(&self, reason: &str) -> u64 {
        self.metrics.tls.failures(reason)
    }
}

/// How a client is made.
struct Client<'c> {
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: &'c [&'c [u8]],
    certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Default for Client<'_> {
    fn default() -> Self {
        Self { versions: vec![&TLS13, &TLS12], alpn: &[], certificate: None }
    }
}

impl Client<'_> {
    /// One that believes whatever it is shown: what it is shown is looked at by the test.
    fn build(self) -> Arc<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Credulous(provider.clone()));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    fn with(made: &Made) -> Arc<ClientConfig> {
        Self { certificate: Some((vec![made.der.clone()], made.private())), ..Self::default() }.build()
    }
}

#[derive(Debug)]
struct Credulous(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Bytes go both ways; so a client has also read the tickets that came before them.
async fn talk(server: &mut Accepted<TcpStream>, client: &mut TlsStream<TcpStream>) {
    let mut four = [0; 4];
    client.write_all(b"ping").await.unwrap();
    server.stream.read_exact(&mut four).await.unwrap();
    server.stream.write_all(b"pong").await.unwrap();
    server.stream.flush().await.unwrap();
    client.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"pong");
}

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let folder = Folder::new();
    let (first, own, below) = (made(&["first.test"]), made(&["own.test"]), made(&["*.wild.test"]));
    let files = vec![first.files(&folder, "1"), own.files(&folder, "2"), below.files(&folder, "3")];
    let site = Site::new(written(files));
    for (name, wanted) in [
        ("own.test", &own),
        ("a.wild.test", &below),
        ("OWN.test", &own),
        ("wild.test", &first),
        ("unknown.test", &first),
        // Who asks for an address asks for no name (RFC 6066 §3).
        ("127.0.0.1", &first),
    ] {
        let (server, client) = site.meet(&Client::default().build(), name).await;
        assert!(server.is_ok() && shown(&client.unwrap()) == wanted.der, "{name}");
    }
}

#[tokio::test]
async fn a_name_that_no_certificate_has_ends_the_connection_where_names_are_strict() {
    let folder = Folder::new();
    let files = vec![made(&["own.test"]).files(&folder, "1")];
    let site = Site::new(ListenerTls { strict_sni: true, ..written(files) });
    let client = Client::default().build();
    assert!(site.meet(&client, "own.test").await.0.is_ok());
    let (server, client) = site.meet(&client, "other.test").await;
    assert_eq!(server.unwrap_err(), NotAccepted::Failed);
    assert!(client.is_err());
    assert_eq!(site.failures("unknown_name"), 1);
}

#[tokio::test]
async fn of_two_certificates_for_a_name_a_client_gets_the_one_it_can_check() {
    let folder = Folder::new();
    let (rsa, ecdsa) = (made_with(&["own.test"], &rcgen::PKCS_RSA_SHA256), made(&["own.test"]));
    let site = Site::new(written(vec![ecdsa.files(&folder, "1"), rsa.files(&folder, "2")]));
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256);
    let provider = Arc::new(provider);
    let only_rsa = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)))
        .with_no_client_auth();
    let (_, client) = site.meet(&Arc::new(only_rsa), "own.test").await;
    assert_eq!(shown(&client.unwrap()), rsa.der);
    let (_, client) = site.meet(&Client::default().build(), "own.test").await;
    assert_eq!(shown(&client.unwrap()), ecdsa.der);
}

#[tokio::test]
async fn both_sides_agree_on_a_protocol_that_the_listener_speaks() {
    let folder = Folder::new();
    let files = vec![made(&["own.test"]).files(&folder, "1")];
    let (both, old) = (Site::new(written(files.clone())), Site::speaking(written(files), &[Http1]));
    for (site, alpn, wanted) in [
        (&both, &[&b"h2"[..], b"http/1.1"][..], Some(Http2)),
        (&both, &[b"http/1.1"], Some(Http1)),
        (&both, &[], None),
        (&old, &[b"h2", b"http/1.1"], Some(Http1)),
    ] {
        let (server, _) = site.meet(&Client { alpn, ..Client::default() }.build(), "own.test").await;
        assert_eq!(server.unwrap().protocol, wanted, "{alpn:?}");
    }
    let (server, client) =
        old.meet(&Client { alpn: &[b"h2"], ..Client::default() }.build(), "own.test").await;
    assert!(server.is_err() && client.is_err());
    assert_eq!(old.failures("incompatible"), 1);
}

#[tokio::test]
async fn a_modern_listener_speaks_the_newest_version_alone() {
    let folder = Folder::new();
    let files = vec![made(&["own.test"]).files(&folder, "1")];
    let modern = Site::new(ListenerTls { profile: TlsProfile::Modern, ..written(files.clone()) });
    let intermediate = Site::new(written(files));
    let (old, new) = (
        Client { versions: vec![&TLS12], ..Client::default() }.build(),
        Client { versions: vec![&TLS13], ..Client::default() }.build(),
    );
    assert!(intermediate.meet(&old, "own.test").await.0.is_ok());
    assert!(intermediate.meet(&new, "own.test").await.0.is_ok());
    assert!(modern.meet(&new, "own.test").await.0.is_ok());
    assert!(modern.meet(&old, "own.test").await.0.is_err());
    assert_eq!(modern.failures("incompatible"), 1);
}

#[tokio::test]
async fn a_client_that_comes_back_resumes_its_session() {
    let folder = Folder::new();
    let files = vec![made(&["own.test"]).files(&folder, "1")];
    let site = Site::new(written(files.clone()));
    for version in [&TLS13, &TLS12] {
        let client = Client { versions: vec![version], ..Client::default() }.build();
        let (server, one) = site.meet(&client, "own.test").await;
        let (mut server, mut one) = (server.unwrap(), one.unwrap());
        talk(&mut server, &mut one).await;
        assert_eq!(one.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        let (_, again) = site.meet(&client, "own.test").await;
        assert_eq!(again.unwrap().get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
    }
    assert_eq!((site.metrics.tls.full.get(), site.metrics.tls.resumed.get()), (2, 2));

    let site = Site::new(ListenerTls { session_tickets: false, ..written(files) });
    let client = Client::default().build();
    let (server, one) = site.meet(&client, "own.test").await;
    talk(&mut server.unwrap(), &mut one.unwrap()).await;
    let (_, again) = site.meet(&client, "own.test").await;
    assert_eq!(again.unwrap().get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
}

#[tokio::test]
async fn a_new_certificate_serves_while_connections_live() {
    let folder = Folder::new();
    let (old, new) = (made(&["own.test"]), made(&["own.test"]));
    let site = Site::new(written(vec![old.files(&folder, "1")]));
    assert_eq!(site.tls.look(), Vec::<String>::new(), "nothing has changed");
    let (server, client) = site.meet(&Client::default().build(), "own.test").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    new.files(&folder, "1");
    let told = site.tls.look();
    assert!(told.len() == 1 && told[0].ends_with("1.pem` was read again and serves from now on"), "{told:?}");
    talk(&mut server, &mut client).await;
    let (_, other) = site.meet(&Client::default().build(), "own.test").await;
    assert_eq!(shown(&other.unwrap()), new.der);
    talk(&mut server, &mut client).await;
}

#[tokio::test]
async fn files_that_do_not_fit_together_change_nothing_and_are_told_when_they_stay_so() {
    let folder = Folder::new();
    let (old, new) = (made(&["own.test"]), made(&["own.test"]));
    let site = Site::new(written(vec![old.files(&folder, "1")]));
    folder.write("1.pem", &new.pem);
    assert_eq!(site.tls.look(), Vec::<String>::new(), "the key may be about to come");
    let (_, client) = site.meet(&Client::default().build(), "own.test").await;
    assert_eq!(shown(&client.unwrap()), old.der);
    let told = site.tls.look();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("tollgate.yaml:7: `") && told[0].contains("is not the key of"), "{told:?}");
    assert_eq!(site.tls.look(), Vec::<String>::new(), "once is enough");
    assert_eq!(site.metrics.tls.reload_failures.get(), 1);
    folder.write("1.key", &new.key.serialize_pem());
    assert_eq!(site.tls.look().len(), 1);
    let (_, client) = site.meet(&Client::default().build(), "own.test").await;
    assert_eq!(shown(&client.unwrap()), new.der);
    fs::remove_file(folder.0.join("1.pem")).unwrap();
    assert_eq!((site.tls.look().len(), site.tls.look().len()), (0, 1));
    let (_, client) = site.meet(&Client::default().build(), "own.test").await;
    assert_eq!(shown(&client.unwrap()), new.der);
}

#[tokio::test]
async fn a_certificate_that_expires_is_told_once_soon_and_once_when_it_has() {
    let folder = Folder::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["own.test".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2030, 1, 1);
    params.not_after = date_time_ymd(2030, 4, 1);
    let certificate = params.self_signed(&key).unwrap();
    let made = Made { pem: certificate.pem(), der: certificate.der().clone(), key };
    let site = Site::new(written(vec![made.files(&folder, "1")]));
    let end = NOW + 90 * 24 * HOUR;
    let mut told = Vec::new();
    for at in [NOW, end - 169 * HOUR, end - 167 * HOUR, end - HOUR, end + HOUR, end + 2 * HOUR] {
        site.clock.set(at);
        told.extend(site.tls.look());
    }
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("expires in 167 hours") && told[1].contains("has expired"), "{told:?}");
    let text = site.metrics.render(&[]);
    let line = format!("1.pem\"}} {}", end / 1000);
    assert!(
        text.lines().any(|one| one.starts_with("tollgate_tls_certificate_expires") && one.ends_with(&line)),
        "{text}"
    );
}

#[test]
fn what_is_wrong_at_the_beginning_is_told_all_at_once() {
    let folder = Folder::new();
    let (one, other) = (made(&["a.test"]), made(&["b.test"]));
    let good = one.files(&folder, "1");
    let mixed = CertificateFiles { key_file: other.files(&folder, "2").key_file, ..good.clone() };
    let text = CertificateFiles { cert_file: folder.write("3.pem", "no certificate"), ..good.clone() };
    let gone = CertificateFiles { key_file: "/nowhere/key".to_owned(), ..good };
    let listeners = [listener(written(vec![mixed, text, gone]), &[Http1])];
    let clock = Clock::manual(NOW);
    let why = Tls::new(&listeners, clock, Arc::default()).unwrap_err();
    assert_eq!(why.lines().count(), 3, "{why}");
    for part in [
        "is not the key of the first certificate in",
        "holds no certificate in PEM form",
        "`/nowhere/key` can't be read",
    ] {
        assert!(why.contains(part), "{part}\n{why}");
    }
    assert!(why.lines().all(|line| line.starts_with("tollgate.yaml:7: `")), "{why}");
}

fn asking(folder: &Folder, authority: &str, crl: Option<&str>, required: bool) -> ListenerTls {
    let auth = ClientAuth {
        required,
        ca_files: vec![folder.write("ca.pem", authority)],
        crl_files: crl.iter().map(|crl| folder.write("crl.pem", crl)).collect(),
        place: "tollgate.yaml:9".to_owned(),
    };
    ListenerTls { client_auth: Some(auth), ..written(vec![made(&["own.test"]).files(folder, "1")]) }
}

#[tokio::test]
async fn only_clients_whose_authority_is_believed_get_in_where_certificates_are_required() {
    let folder = Folder::new();
    let (ours, foreign) = (Authority::new("Ours"), Authority::new("Foreign"));
    let site = Site::new(asking(&folder, &ours.pem, None, true));

    let good = ours.client("billing", 0x0a1b, |_| {});
    let (server, _) = site.meet(&Client::with(&good), "own.test").await;
    let facts = server.unwrap().client.unwrap();
    assert_eq!(facts.subject, "CN=billing,O=Example");
    assert_eq!(facts.issuer, "CN=Ours");
    assert_eq!(facts.serial, "0A1B");
    assert_eq!(facts.not_after, Some(2_208_988_800_000));
    let digest = aws_lc_rs_digest(&good.der);
    assert_eq!(facts.fingerprint.unwrap(), digest);
    assert!(facts.is_verified && !facts.is_revoked);

    let late = ours.client("late", 2, |params| params.not_after = date_time_ymd(2029, 12, 31));
    let early = ours.client("early", 3, |params| params.not_before = date_time_ymd(2030, 1, 2));
    let other = foreign.client("billing", 0x0a1b, |_| {});
    for bad in [&late, &early, &other] {
        assert!(site.meet(&Client::with(bad), "own.test").await.0.is_err());
    }
    assert_eq!(site.failures("bad_client_certificate"), 3);
    assert!(site.meet(&Client::default().build(), "own.test").await.0.is_err());
    assert_eq!(site.failures("no_client_certificate"), 1);
}

fn aws_lc_rs_digest(bytes: &[u8]) -> [u8; 32] {
    ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, bytes).as_ref().try_into().unwrap()
}

#[tokio::test]
async fn where_certificates_are_optional_none_is_good_and_a_bad_one_is_not() {
    let folder = Folder::new();
    let (ours, foreign) = (Authority::new("Ours"), Authority::new("Foreign"));
    let site = Site::new(asking(&folder, &ours.pem, None, false));
    let (server, _) = site.meet(&Client::default().build(), "own.test").await;
    assert!(server.unwrap().client.is_none());
    let (server, _) = site.meet(&Client::with(&ours.client("a", 1, |_| {})), "own.test").await;
    assert!(server.unwrap().client.is_some());
    let foreign = Client::with(&foreign.client("a", 1, |_| {}));
    assert!(site.meet(&foreign, "own.test").await.0.is_err());
}

#[tokio::test]
async fn a_certificate_that_was_revoked_is_refused_from_the_next_look_on_also_in_a_session() {
    let folder = Folder::new();
    let ours = Authority::new("Ours");
    let site = Site::new(asking(&folder, &ours.pem, Some(&ours.revoking(&[1])), true));
    let (one, two) = (Client::with(&ours.client("a", 1, |_| {})), Client::with(&ours.client("b", 2, |_| {})));
    assert!(site.meet(&one, "own.test").await.0.is_err());
    let (server, client) = site.meet(&two, "own.test").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    talk(&mut server, &mut client).await;
    let (resumed, again) = site.meet(&two, "own.test").await;
    assert_eq!(again.unwrap().get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(resumed.unwrap().client.unwrap().subject, "CN=b,O=Example", "a session remembers whose it is");

    folder.write("crl.pem", &ours.revoking(&[1, 2]));
    assert_eq!(site.tls.look(), ["tollgate.yaml:9: who vouches for clients was read again"]);
    assert!(site.meet(&two, "own.test").await.0.is_err());
    talk(&mut server, &mut client).await;

    // A list that can't be read lets nobody in who was kept out.
    folder.write("crl.pem", "nothing");
    assert_eq!((site.tls.look().len(), site.tls.look().len()), (0, 1));
    assert!(site.meet(&two, "own.test").await.0.is_err());
}

#[tokio::test]
async fn a_list_that_is_out_of_date_lets_nobody_in() {
    let folder = Folder::new();
    let ours = Authority::new("Ours");
    let site = Site::new(asking(&folder, &ours.pem, Some(&ours.revoking(&[])), true));
    let client = Client::with(&ours.client("a", 1, |_| {}));
    assert!(site.meet(&client, "own.test").await.0.is_ok());
    site.clock.set(NOW + 366 * 24 * HOUR);
    let another = Client::with(&ours.client("a", 1, |_| {}));
    assert!(site.meet(&another, "own.test").await.0.is_err());
}

#[tokio::test]
async fn a_session_lasts_no_longer_than_the_certificate_with_which_it_began() {
    let folder = Folder::new();
    let ours = Authority::new("Ours");
    let site = Site::new(asking(&folder, &ours.pem, None, true));
    let client = Client::with(&ours.client("a", 1, |params| params.not_after = date_time_ymd(2030, 1, 2)));
    let (server, one) = site.meet(&client, "own.test").await;
    talk(&mut server.unwrap(), &mut one.unwrap()).await;
    site.clock.set(NOW + 25 * HOUR);
    assert!(site.meet(&client, "own.test").await.0.is_err());
    assert_eq!(site.failures("bad_client_certificate"), 1);
}

#[tokio::test]
async fn an_authority_sees_what_shows_that_a_name_is_ours_and_nobody_else_does() {
    let folder = Folder::new();
    let (own, proof) = (made(&["own.test"]), made(&["own.test"]));
    let site = Site::new(written(vec![own.files(&folder, "1")]));
    let asking = || Client { alpn: &[ACME], ..Client::default() }.build();
    assert!(site.meet(&asking(), "own.test").await.1.is_err(), "nothing was ordered");
    site.tls.challenge("own.test", proof.certified());
    let (server, client) = site.meet(&asking(), "own.test").await;
    let client = client.unwrap();
    assert_eq!(shown(&client), proof.der);
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(ACME));
    assert_eq!(server.unwrap_err(), NotAccepted::Challenged, "such a connection is for nothing else");

    for alpn in [&[ACME, b"h2"][..], &[b"h2"], &[]] {
        let (_, client) = site.meet(&Client { alpn, ..Client::default() }.build(), "own.test").await;
        assert_eq!(shown(&client.unwrap()), own.der, "{alpn:?}");
    }
    assert!(site.meet(&asking(), "other.test").await.1.is_err());
    site.tls.withdraw("own.test");
    assert!(site.meet(&asking(), "own.test").await.1.is_err());
}

const ACME: &[u8] = b"acme-tls/1";

#[tokio::test]
async fn an_ordered_certificate_serves_from_the_next_handshake_on() {
    let site = Site::new(ListenerTls { acme: vec!["own.test".to_owned()], ..written(Vec::new()) });
    assert_eq!(site.tls.names_to_order(), ["own.test"]);
    assert!(site.meet(&Client::default().build(), "own.test").await.0.is_err());
    let ordered = made(&["own.test"]);
    site.tls.put(&["own.test".to_owned()], ordered.certified());
    let (_, client) = site.meet(&Client::default().build(), "own.test").await;
    assert_eq!(shown(&client.unwrap()), ordered.der);
}

#[tokio::test]
async fn what_is_no_tls_and_who_goes_away_are_counted_apart() {
    let folder = Folder::new();
    let site = Site::new(written(vec![made(&["own.test"]).files(&folder, "1")]));
    let acceptor = site.tls.acceptor(0).unwrap();
    let (mut far, near) = tokio::io::duplex(1 << 16);
    far.write_all(b"GET / HTTP/1.1\r\nHost: own.test\r\n\r\n").await.unwrap();
    assert!(acceptor.accept(near).await.is_err());
    let (far, near) = tokio::io::duplex(1 << 16);
    drop(far);
    assert!(acceptor.accept(near).await.is_err());
    assert_eq!((site.failures("malformed"), site.failures("closed")), (1, 1));
}
