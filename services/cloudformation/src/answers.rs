//! Links that functions of custom resources, and whoever a stack waits for, put their answers to. A link is its own secret, as a presigned
//! URL is on AWS; the answers are kept for days after the step that waits for them has read them, so that a restart loses none.
//! Source: CloudFormation Template Reference, "Custom resource response objects", "AWS::CloudFormation::WaitConditionHandle".

use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Store};

use crate::Result;

/// Where the links lead.
pub const ANSWERS: &str = "/_lakerun/cloudformation/answer/";
/// The largest answer. Source: CloudFormation Template Reference, "Custom resource response objects".
pub(crate) const MAX_ANSWER: usize = 4096;
/// How long a link is known whose answer has been read: longer than any step that may be made again.
const KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// Answers that one link takes.
const MAX_ANSWERS: usize = 1000;

/// What came by a link.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Version of the record's form.
    version: u32,
    pub(crate) made_ms: i64,
    /// Of one request: it is swept away when nobody can wait for it any more.
    #[serde(default)]
    once: bool,
    pub(crate) answers: Vec<String>,
}

/// The links of all stacks.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    store: Store,
    endpoint: String,
}

fn key(token: &str) -> Key {
    Answers::all().push(token)
}

impl Answers {
    pub(crate) fn new(store: Store, endpoint: &str) -> Self {
        Self { store, endpoint: endpoint.trim_end_matches('/').to_owned() }
    }

    /// A new link; a step that is made again gets the one that it had. `once`: for the answer to one request.
    pub(crate) async fn open(&self, cx: &Cx, once: bool) -> Result<String> {
        let (token, now) = (format!("{}{}", cx.uuid(), cx.uuid()).replace('-', ""), cx.now().as_millisecond());
        cx.write(&self.store, move |tx| {
            tx.put_json(key(&token), &Link { version: 1, made_ms: now, once, answers: Vec::new() })?;
            Ok(token.clone())
        })
        .await
    }

    pub(crate) fn url(&self, token: &str) -> String {
        format!("{}{ANSWERS}{token}", self.endpoint)
    }

    pub(crate) async fn link(&self, token: &str) -> Result<Link> {
        let found: Option<Link> = self.store.read(|tx| tx.get_json(key(token))).await?;
        Ok(found.unwrap_or_default())
    }

    /// Takes an answer; false where there is no such link. One that is too long is told as such to who waits, without its text.
    pub(crate) async fn take(&self, token: &str, body: &[u8]) -> Result<bool> {
        let body = &body[..body.len().min(MAX_ANSWER + 1)];
        let (token, text) = (token.to_owned(), String::from_utf8_lossy(body).into_owned());
        self.store
            .write(move |tx| {
                let Some(mut link) = tx.get_json::<Link>(key(&token))? else { return Ok(false) };
                if link.answers.len() < MAX_ANSWERS {
                    link.answers.push(text.clone());
                    tx.put_json(key(&token), &link)?;
                }
                Ok(true)
            })
            .await
    }

    /// Where all links are.
    pub(crate) fn all() -> Key {
        Key::new("cloudformation-answers")
    }

    /// Forgets those of some links whose answers were read long ago.
    pub(crate) fn forget(tx: &mut store::Tx<'_>, page: &[(Vec<u8>, Vec<u8>)], now_ms: i64) -> Result<()> {
        for (key, value) in page {
            let link: Link = store::kv::decode(key, value)?;
            if link.once && now_ms - link.made_ms > KEPT_MS {
                tx.delete(key)?;
            }
        }
        Ok(())
    }

    /// Nobody answers by it any more.
    pub(crate) async fn close(&self, token: &str) -> Result<()> {
        let token = token.to_owned();
        self.store.write(move |tx| Ok(tx.delete(key(&token))?)).await
    }
}
