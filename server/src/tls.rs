//! `[tls]`, and `lakerun tls`: the certificate that the server shows, given, or made by an authority of its own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use front::Tls;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde::Deserialize;

use crate::settings::Settings;

/// The files of the server's own authority, in the data folder.
const FOLDER: &str = "tls";
const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";
/// What the certificate was made of, and its end, to see whether it is still good.
const MADE_OF: &str = "server.names";
/// Names that `lakerun tls` was given, a line each.
const GIVEN: &str = "given.names";
/// How long certificates are good for: browsers take no more of a server's.
const DAYS: i64 = 397;
const AUTHORITY_DAYS: i64 = 3650;
/// One is made anew when so much of its time is left.
const RENEW: i64 = 30;
const DAY: Duration = Duration::from_hours(24);

/// Section `[tls]` of the settings.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// Of other nodes' certificates.
    authority: Option<PathBuf>,
    /// Certificates come of an authority of the server's own.
    own: bool,
    /// Names and addresses that the server is reached by, beside those that it knows.
    names: Vec<String>,
}

/// What connections are made with; none where TLS is not set.
///
/// # Errors
/// When a file cannot be read, or a setting is wrong.
pub(crate) fn load(settings: &Settings, reached: &[String]) -> Result<Option<Tls>> {
    let Some(section) = section(settings)? else { return Ok(None) };
    let files = if section.own {
        let folder = settings.data.join(FOLDER);
        make(&folder, &names(&section, reached, &folder)?)?;
        front::Files {
            certificate: folder.join(CERTIFICATE),
            key: folder.join(KEY),
            authority: Some(folder.join(AUTHORITY)),
        }
    } else {
        let (Some(certificate), Some(key)) = (section.certificate, section.key) else {
            bail!("[tls] needs `certificate` and `key`, files in PEM, or `own = true`");
        };
        if settings.store.is_some() && section.authority.is_none() {
            bail!("[tls] authority: a file with the authority of the other nodes' certificates");
        }
        front::Files { certificate, key, authority: section.authority }
    };
    let tls = Tls::load(files).map_err(|error| anyhow::anyhow!("[tls] {error}"))?;
    Ok(Some(tls))
}

/// Keeps the certificate as its files and its time ask for, until dropped.
pub(crate) async fn keep(tls: Option<Tls>, settings: Settings, reached: Vec<String>) {
    let Some(tls) = tls else { return std::future::pending().await };
    let renewed = async {
        loop {
            tokio::time::sleep(DAY).await;
            // Its files change, where it is made anew.
            if let Err(error) = load(&settings, &reached) {
                tracing::warn!(error = format!("{error:#}"), "the certificate could not be looked after");
            }
        }
    };
    let told = async {
        let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            tls.reload();
        }
    };
    tokio::join!(renewed, told, tls.clone().watch());
}

fn section(settings: &Settings) -> Result<Option<Section>> {
    let sections = settings.sections();
    if !sections.0.contains_key("tls") {
        return Ok(None);
    }
    let section: Section = sections.section("tls").map_err(anyhow::Error::msg)?;
    if section.own && (section.certificate.is_some() || section.key.is_some() || section.authority.is_some()) {
        bail!("[tls] own: there are no other files then");
    }
    Ok(Some(section))
}

/// The server's own authority, certificate and key, for other nodes to have the same; none where there is no such.
pub(crate) fn own_authority(settings: &Settings) -> Result<Option<Vec<u8>>> {
    if !section(settings)?.is_some_and(|section| section.own) {
        return Ok(None);
    }
    let folder = settings.data.join(FOLDER);
    authority(&folder)?;
    Ok(Some([std::fs::read(folder.join(AUTHORITY))?, std::fs::read(folder.join(AUTHORITY_KEY))?].concat()))
}

/// The one that nodes share takes the place of this node's.
pub(crate) fn take_authority(settings: &Settings, shared: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(shared).context("the authority that nodes share")?;
    let at = text.find("-----BEGIN PRIVATE KEY").context("the authority that nodes share has no key")?;
    let folder = settings.data.join(FOLDER);
    if std::fs::read(folder.join(AUTHORITY)).is_ok_and(|own| own == text.as_bytes()[..at]) {
        return Ok(());
    }
    crate::up::write_private(&folder.join(AUTHORITY_KEY), &text.as_bytes()[at..])?;
    std::fs::write(folder.join(AUTHORITY), &text[..at])?;
    Ok(())
}

fn names(section: &Section, reached: &[String], folder: &Path) -> Result<Vec<String>> {
    let known = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let mut names: Vec<String> = known.into_iter().chain([host]).chain(reached.iter().cloned()).collect();
    names.extend(section.names.iter().cloned());
    names.extend(given(folder)?);
    names.retain(|name| !name.is_empty() && !name.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()));
    names.sort();
    names.dedup();
    Ok(names)
}

/// What `lakerun tls` was told before.
fn given(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join(GIVEN);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Makes an authority, where there is none.
fn authority(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (authority, authority_key) = (folder.join(AUTHORITY), folder.join(AUTHORITY_KEY));
    if !authority.exists() || !authority_key.exists() {
        let key = KeyPair::generate()?;
        let certificate = authority_params()?.self_signed(&key)?;
        crate::up::write_private(&authority_key, key.serialize_pem().as_bytes())?;
        // Clients of all users read it.
        std::fs::write(&authority, certificate.pem())?;
    }
    Ok(())
}

/// Makes what is not there or has had its time: an authority, and a certificate for these names.
fn make(folder: &Path, names: &[String]) -> Result<()> {
    authority(folder)?;
    let (authority, authority_key) = (folder.join(AUTHORITY), folder.join(AUTHORITY_KEY));
    let made_of = folder.join(MADE_OF);
    let wanted = format!("{}\n{}", names.join("\n"), std::fs::read_to_string(&authority)?);
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    let made = std::fs::read_to_string(&made_of).unwrap_or_default();
    if certificate.exists() && key.exists() && is_good(&made, &wanted, SystemTime::now()) {
        return Ok(());
    }
    let text = std::fs::read_to_string(&authority_key)?;
    let issuer_key = KeyPair::from_pem(&text).with_context(|| format!("{} is damaged", authority_key.display()))?;
    let issuer = Issuer::new(authority_params()?, issuer_key);
    let own = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec()).context("[tls] names")?;
    params.distinguished_name.push(DnType::CommonName, "Lakerun");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let end = valid(&mut params, DAYS);
    let signed = params.signed_by(&own, &issuer)?;
    // Whatever ends this between two files: the next start makes them anew.
    let _ = std::fs::remove_file(&made_of);
    crate::up::write_private(&key, own.serialize_pem().as_bytes())?;
    crate::up::write_private(&certificate, signed.pem().as_bytes())?;
    crate::up::write_private(&made_of, format!("{}\n{wanted}", seconds(end)).as_bytes())?;
    Ok(())
}

/// Was the certificate made of what is wanted, and has it time left? Its end stands in the file: a file's own time is another after a
/// copy or a restore.
fn is_good(made: &str, wanted: &str, now: SystemTime) -> bool {
    let Some((end, made)) = made.split_once('\n') else { return false };
    let renewed = DAY * u32::try_from(RENEW).unwrap_or(0);
    made == wanted && end.parse::<u64>().is_ok_and(|end| seconds(now + renewed) < end)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn authority_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Lakerun's own authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, AUTHORITY_DAYS);
    Ok(params)
}

/// From an hour ago, as clocks differ, to the time that it returns.
fn valid(params: &mut CertificateParams, days: i64) -> SystemTime {
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_hours(1)).into();
    let end = now + DAY * u32::try_from(days).unwrap_or(0);
    params.not_after = end.into();
    end
}

/// `lakerun tls`: makes the files ahead of the first start, or for names that are added, and says where the authority is.
pub(crate) fn run(data: &Path, more: &[String]) -> Result<()> {
    let folder = data.join(FOLDER);
    let section = Section { own: true, names: more.to_vec(), ..Section::default() };
    make(&folder, &names(&section, &[], &folder)?)?;
    // Only now: they can be made a certificate of. The server knows of them by this alone.
    let mut kept = given(&folder)?;
    kept.extend(more.iter().cloned());
    kept.sort();
    kept.dedup();
    if !kept.is_empty() {
        crate::up::write_private(&folder.join(GIVEN), format!("{}\n", kept.join("\n")).as_bytes())?;
    }
    crate::output::say(&format!(
        "The authority is {authority}\n  boto3, aws  export AWS_CA_BUNDLE={authority}\n  curl        --cacert {authority}\nSet [tls] own = true for the server.",
        authority = std::path::absolute(folder.join(AUTHORITY))?.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_anew_before_its_end_and_for_other_names() {
        let now = SystemTime::now();
        let made = |days: u32| format!("{}\na\nb", seconds(now + DAY * days));
        assert!(is_good(&made(31), "a\nb", now));
        assert!(!is_good(&made(29), "a\nb", now));
        assert!(!is_good(&made(31), "a\nb\nc", now));
        assert!(!is_good("a\nb", "a\nb", now), "without its end");
    }
}
