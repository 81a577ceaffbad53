//! What the documents show is true: every configuration in them is valid, every command exists.

use std::process::Command;

use tollgate_core::config::{self, Files, Host, NoFiles};

const README: &str = include_str!("../../README.md");

/// The code blocks of one language.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let fence = format!("```{language}\n");
    document.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_configuration_in_the_readme_is_valid_on_both_hosts() {
    let shown = blocks(README, "yaml");
    assert!(shown.len() >= 2, "{}", shown.len());
    for text in shown {
        for host in [Host::Native, Host::Workers] {
            let loaded = config::load("README.md", text.to_owned(), &NoFiles, &|_: &str| None, host);
            assert!(loaded.gateway.is_some(), "{}", loaded.report.render());
        }
    }
}

/// Fragments, completed by what they leave out.
#[test]
fn every_configuration_in_the_pages_is_valid() {
    let pages = [
        ("acme.md", include_str!("../../docs/acme.md"), 2),
        ("authentication.md", include_str!("../../docs/authentication.md"), 4),
        ("identity.md", include_str!("../../docs/identity.md"), 1),
        ("limits.md", include_str!("../../docs/limits.md"), 4),
        ("redis.md", include_str!("../../docs/redis.md"), 1),
        ("tls.md", include_str!("../../docs/tls.md"), 2),
    ];
    for (name, page, least) in pages {
        let shown = blocks(page, "yaml");
        assert!(shown.len() >= least, "{name}: {}", shown.len());
        for text in shown {
            let mut whole = text.to_owned();
            if !whole.contains("\nservices:") && !whole.starts_with("services:") {
                whole.push_str("services: {app: {endpoints: ['http://127.0.0.1:9001']}}\n");
            }
            if !whole.contains("routes:") {
                let service = if whole.contains("  notes:") { "notes" } else { "app" };
                whole.push_str(&format!("routes: [{{path: '/*', target_service: {service}}}]\n"));
            }
            let variables = |name: &str| match name {
                "IDENTITY_KEY" => Some(pair()),
                "REDIS_URL" => Some("redis://127.0.0.1:6379".to_owned()),
                _ => Some("0123456789abcdef0123456789abcdef".to_owned()),
            };
            // Certificates are known where TLS ends.
            let at_the_edge = whole.contains("type: Mtls") && !whole.contains("client_auth:");
            let host = if at_the_edge { Host::Workers } else { Host::Native };
            let loaded = config::load(name, whole.clone(), &Pem, &variables, host);
            assert!(loaded.gateway.is_some(), "{}\n{whole}", loaded.report.render());
        }
    }
}

/// Files that hold what their names say.
struct Pem;

impl Files for Pem {
    fn read(&self, name: &str) -> Result<String, String> {
        let kind = match name.rsplit_once('.') {
            Some((_, "key")) => "PRIVATE KEY",
            Some((front, "pem")) if front.ends_with("crl") => "X509 CRL",
            Some((_, "pem")) => "CERTIFICATE",
            _ => return Err("there is no such file".to_owned()),
        };
        Ok(format!("-----BEGIN {kind}-----\n"))
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(vec![pattern.to_owned()])
    }
}

/// A pair of keys, as the page tells to make one.
fn pair() -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_tollgate")).args(["key", "pair"]).output().unwrap();
    String::from_utf8(made.stdout).unwrap()
}

#[test]
fn every_configuration_of_logins_is_valid_on_both_hosts_and_laid_out() {
    let shown = blocks(include_str!("../../docs/login.md"), "yaml");
    assert!(shown.len() >= 2, "{}", shown.len());
    for text in shown {
        assert_eq!(config::format::format(text).unwrap(), text);
        let rest = "public_domain: a.example\nroutes: [{path: /a, target_service: a}]\nservices: {a: {endpoints: ['http://a']}}\n";
        let whole = if text.contains("routes:") { text.to_owned() } else { format!("{text}{rest}") };
        let secret = |_: &str| Some("0123456789abcdef0123456789abcdef".to_owned());
        for host in [Host::Native, Host::Workers] {
            let loaded = config::load("login.md", whole.clone(), &NoFiles, &secret, host);
            assert!(loaded.gateway.is_some(), "{}", loaded.report.render());
        }
    }
}

#[test]
fn every_command_in_the_readme_exists() {
    let commands: Vec<&str> = blocks(README, "sh")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| {
            line.strip_prefix("tollgate ").or_else(|| line.strip_prefix("cargo run --release -- "))
        })
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"demo") && commands.contains(&"validate"), "{commands:?}");
    for command in commands {
        let help = Command::new(env!("CARGO_BIN_EXE_tollgate")).args([command, "--help"]).output().unwrap();
        assert!(help.status.success(), "tollgate {command}");
    }
}
