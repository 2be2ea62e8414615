//! E-mail over SMTP: settings, and one message sent. A message has an id made from what it is about, so that a mail server
//! or reader can tell a repetition; repetitions happen only when the server dies between a mail's acceptance and the commit
//! that follows it.

use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::Deserialize;

/// The task that asks an e-mail subscriber for confirmation.
pub(super) const CONFIRM: &str = "sns:confirm";

/// Section `[smtp]` of the settings.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Smtp {
    host: Option<String>,
    port: Option<u16>,
    from: String,
    username: Option<String>,
    password: Option<String>,
    tls: Tls,
    /// E-mail subscriptions count at once: whoever may subscribe owns the server. Else a mail asks first.
    pub(super) auto_confirm: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Tls {
    None,
    Starttls,
    #[serde(rename = "tls")]
    Wrapped,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            from: "Lakerun <lakerun@localhost>".to_owned(),
            username: None,
            password: None,
            tls: Tls::None,
            auto_confirm: true,
        }
    }
}

/// Why a mail was not sent.
pub(super) enum Refused {
    /// It may go another time.
    ForNow(String),
    /// It never will.
    ForGood(String),
}

pub(super) struct Mail {
    pub(super) id: String,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
}

pub(super) struct Mailer {
    from: Mailbox,
    /// None where no mail server is configured.
    /// Without a pool: a connection a mail, none kept open while nothing happens.
    transport: Option<AsyncSmtpTransport<Tokio1Executor>>,
}

impl Mailer {
    pub(super) fn new(smtp: Smtp) -> Result<Self, String> {
        let from = smtp.from.parse().map_err(|error| format!("[smtp] from = {:?}: {error}", smtp.from))?;
        let Some(host) = smtp.host else { return Ok(Self { from, transport: None }) };
        let builder = match smtp.tls {
            Tls::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host)),
            Tls::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&host),
            Tls::Wrapped => AsyncSmtpTransport::<Tokio1Executor>::relay(&host),
        };
        let mut builder = builder.map_err(|error| format!("[smtp] host = {host:?}: {error}"))?;
        let default = match smtp.tls {
            Tls::None => 25,
            Tls::Starttls => 587,
            Tls::Wrapped => 465,
        };
        builder = builder.port(smtp.port.unwrap_or(default)).timeout(Some(Duration::from_secs(30)));
        if let (Some(username), Some(password)) = (smtp.username, smtp.password) {
            builder = builder.credentials(Credentials::new(username, password));
        }
        Ok(Self { from, transport: Some(builder.build()) })
    }

    pub(super) async fn send(&self, mail: Mail) -> Result<(), Refused> {
        let transport = self.transport.as_ref().ok_or_else(|| {
            Refused::ForNow("no mail server is configured: set host in the section [smtp]".to_owned())
        })?;
        let to: Mailbox =
            mail.to.parse().map_err(|error| Refused::ForGood(format!("not an address: {}: {error}", mail.to)))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
            .map_err(|error| Refused::ForGood(error.to_string()))?;
        match transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Refused::ForGood(error.to_string())),
            Err(error) => Err(Refused::ForNow(error.to_string())),
        }
    }
}
