//! Messages in the store: sent, taken, hidden, deleted. Visibility is an index by time, so nothing sweeps: a message whose
//! time comes is simply found. FIFO groups keep their order by an index of their own.

use std::collections::{BTreeMap, BTreeSet};

use api_sqs::{MessageAttributeValue, error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::Error;

use super::digest::{self, Part, PartValue};
use super::queue::{Queue, QueueKey, invalid_parameter, missing_parameter};

/// For how long FIFO queues know duplicates.
const DUPLICATE_MS: i64 = 5 * 60 * 1000;

/// Attributes of one message. Source: SQS Developer Guide, "Amazon SQS message quotas".
const MAX_ATTRIBUTES: usize = 10;

pub(super) type Attributes = BTreeMap<String, MessageAttributeValue>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) body: String,
    /// The queue for which the body was sealed, if it is; it stays so in a dead-letter queue.
    #[serde(default)]
    pub(super) sealed_for: Option<String>,
    pub(super) attributes: Attributes,
    pub(super) trace: Option<String>,
    pub(super) sender: String,
    pub(super) sent_ms: i64,
    pub(super) visible_ms: i64,
    pub(super) received: u32,
    pub(super) first_received_ms: Option<i64>,
    /// Part of the newest receipt handle; none while it was never received.
    pub(super) receipt: Option<String>,
    pub(super) group: Option<String>,
    pub(super) duplicate: Option<String>,
    /// The queue that it came from, in a dead-letter queue.
    pub(super) source: Option<String>,
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub(super) struct New {
    pub(super) id: String,
    pub(super) body: String,
    /// The body as it is kept, where the queue has a key.
    pub(super) sealed: Option<String>,
    pub(super) delay_seconds: Option<i32>,
    pub(super) attributes: Attributes,
    pub(super) trace: Option<String>,
    pub(super) group: Option<String>,
    pub(super) duplicate: Option<String>,
    pub(super) sender: String,
}

/// What a sender is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) body_md5: String,
    pub(super) attributes_md5: Option<String>,
    pub(super) sequence: Option<String>,
}

/// How messages are taken.
#[derive(Clone, Debug)]
pub(super) struct Take {
    pub(super) most: usize,
    pub(super) visibility_ms: i64,
    /// Makes receipt handles unique to this receive.
    pub(super) nonce: String,
}

impl Message {
    pub(super) fn attributes_md5(&self) -> Option<String> {
        attributes_md5(&self.attributes)
    }

    pub(super) fn handle(&self, queue: &Queue) -> String {
        let receipt = self.receipt.as_deref().unwrap_or_default();
        BASE64.encode(format!("{}/{}/{receipt}", queue.id, self.number))
    }

    fn key(&self, queue: &Queue) -> Key {
        queue.messages().push_u64(self.number)
    }

    fn visible_key(&self, queue: &Queue) -> Key {
        queue.visible().push_i64(self.visible_ms).push_u64(self.number)
    }

    fn group_key(&self, queue: &Queue) -> Option<Key> {
        let group = self.group.as_ref().filter(|_| queue.is_fifo())?;
        Some(queue.groups().push(group).push_u64(self.number))
    }

    fn insert(&self, tx: &mut Tx<'_>, queue: &Queue) -> Result<(), Error> {
        tx.put_json(self.key(queue), self)?;
        tx.put(self.visible_key(queue), &[])?;
        if let Some(key) = self.group_key(queue) {
            tx.put(key, &[])?;
        }
        Ok(())
    }

    pub(super) fn remove(&self, tx: &mut Tx<'_>, queue: &Queue) -> Result<(), Error> {
        tx.delete(self.key(queue))?;
        tx.delete(self.visible_key(queue))?;
        if let Some(key) = self.group_key(queue) {
            tx.delete(key)?;
        }
        Ok(())
    }

    /// Hides the message until then.
    fn hide(&mut self, tx: &mut Tx<'_>, queue: &Queue, until_ms: i64) -> Result<(), Error> {
        tx.delete(self.visible_key(queue))?;
        self.visible_ms = until_ms;
        self.insert(tx, queue)
    }

    fn expired(&self, queue: &Queue, now_ms: i64) -> bool {
        self.sent_ms + queue.number("MessageRetentionPeriod") * 1000 < now_ms
    }
}

pub(super) fn attributes_md5(attributes: &Attributes) -> Option<String> {
    digest::of_attributes(attributes.iter().filter_map(|(name, value)| {
        let content = match (&value.string_value, &value.binary_value) {
            (Some(text), _) => PartValue::Text(text),
            (None, Some(bytes)) => PartValue::Bytes(bytes.as_bytes()),
            (None, None) => return None,
        };
        Some(Part { name, data_type: &value.data_type, value: content })
    }))
}

/// Fails for a message that the queue cannot take.
pub(super) fn check(queue: &Queue, new: &New) -> Result<(), Error> {
    if new.body.is_empty() {
        return Err(missing_parameter("MessageBody"));
    }
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}') || c >= '\u{10000}';
    if !new.body.chars().all(allowed) {
        return Err(error::invalid_message_contents("The message contains characters outside the allowed set."));
    }
    if new.attributes.len() > MAX_ATTRIBUTES {
        return Err(invalid_parameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            new.attributes.len()
        )));
    }
    for (name, value) in &new.attributes {
        check_attribute(name, value)?;
    }
    for (parameter, value) in [("MessageGroupId", &new.group), ("MessageDeduplicationId", &new.duplicate)] {
        let fits = |id: &String| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if let Some(id) = value.as_ref().filter(|id| !fits(id)) {
            return Err(invalid_parameter(format!(
                "Value {id} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric and \
                 punctuation characters. 1 to 128 in length."
            )));
        }
    }
    let size = new.body.len() + new.attributes.iter().map(|(name, value)| attribute_size(name, value)).sum::<usize>();
    let most = queue.number("MaximumMessageSize");
    if i64::try_from(size).unwrap_or(i64::MAX) > most {
        return Err(invalid_parameter(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        )));
    }
    if let Some(delay) = new.delay_seconds {
        if !(0..=900).contains(&delay) {
            return Err(invalid_parameter(format!(
                "Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
            )));
        }
        if queue.is_fifo() && delay != 0 {
            return Err(invalid_parameter(format!(
                "Value {delay} for parameter DelaySeconds is invalid. Reason: The request include parameter that is not \
                 valid for this queue type."
            )));
        }
    }
    if queue.is_fifo() {
        if new.group.is_none() {
            return Err(missing_parameter("MessageGroupId"));
        }
        if new.duplicate.is_none() && !queue.is_on("ContentBasedDeduplication") {
            return Err(invalid_parameter(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
                 explicitly",
            ));
        }
    } else if new.duplicate.is_some() {
        return Err(invalid_parameter(
            "The request include parameter MessageDeduplicationId that is not valid for this queue type",
        ));
    }
    Ok(())
}

fn check_attribute(name: &str, value: &MessageAttributeValue) -> Result<(), Error> {
    let kind = value.data_type.split('.').next().unwrap_or_default();
    let fits = match kind {
        "String" | "Number" => value.string_value.as_ref().is_some_and(|text| !text.is_empty()),
        "Binary" => value.binary_value.as_ref().is_some_and(|bytes| !bytes.as_bytes().is_empty()),
        _ => {
            return Err(invalid_parameter(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type \
                 prefixes: Binary, Number, String."
            )));
        }
    };
    if fits {
        return Ok(());
    }
    Err(invalid_parameter(format!(
        "The message (user) attribute '{name}' must contain a non-empty message attribute value of type '{}'.",
        value.data_type
    )))
}

pub(super) fn attribute_size(name: &str, value: &MessageAttributeValue) -> usize {
    name.len()
        + value.data_type.len()
        + value.string_value.as_ref().map_or(0, String::len)
        + value.binary_value.as_ref().map_or(0, |bytes| bytes.as_bytes().len())
}

pub(super) fn send(tx: &mut Tx<'_>, queue: &Queue, new: New, now_ms: i64) -> Result<Sent, Error> {
    let duplicate = new.duplicate.or_else(|| {
        use sha2::Digest as _;
        queue.is_fifo().then(|| hex::encode(sha2::Sha256::digest(new.body.as_bytes())))
    });
    let known_as = duplicate.as_ref().map(|duplicate| match new.group.as_ref().filter(|_| queue.dedups_by_group()) {
        // The length keeps a group's name and an id apart.
        Some(group) => format!("{}:{group}{duplicate}", group.len()),
        None => duplicate.clone(),
    });
    let known_as = known_as.filter(|_| queue.is_fifo());
    if let Some(known_as) = &known_as
        && let Some(sent) = known(tx, queue, known_as, now_ms)?
    {
        return Ok(sent);
    }
    drop_expired(tx, queue, now_ms)?;
    let body_md5 = digest::of_body(&new.body);
    let sealed_for = new.sealed.is_some().then(|| queue.arn());
    let delay = new.delay_seconds.map_or_else(|| queue.number("DelaySeconds"), i64::from);
    let message = Message {
        id: new.id,
        number: tx.next_number(queue.counter())?,
        body: new.sealed.unwrap_or(new.body),
        sealed_for,
        attributes: new.attributes,
        trace: new.trace,
        sender: new.sender,
        sent_ms: now_ms,
        visible_ms: now_ms + delay * 1000,
        received: 0,
        first_received_ms: None,
        receipt: None,
        group: new.group,
        duplicate: duplicate.filter(|_| queue.is_fifo()),
        source: None,
    };
    message.insert(tx, queue)?;
    let sent = Sent {
        id: message.id.clone(),
        body_md5,
        attributes_md5: message.attributes_md5(),
        sequence: queue.is_fifo().then(|| sequence(message.number)),
    };
    if let Some(known_as) = &known_as {
        let (by_id, by_time) = queue.duplicates();
        tx.put_json(by_id.push(known_as), &(now_ms, &sent))?;
        tx.put(by_time.push_i64(now_ms).push(known_as), &[])?;
    }
    Ok(sent)
}

/// Twenty digits, as AWS has them.
pub(super) fn sequence(number: u64) -> String {
    format!("{number:020}")
}

/// The reply of a message that was sent before under the same deduplication id; forgets what is old.
fn known(tx: &mut Tx<'_>, queue: &Queue, duplicate: &str, now_ms: i64) -> Result<Option<Sent>, Error> {
    let (by_id, by_time) = queue.duplicates();
    for (key, _) in tx.scan_prefix(&by_time, 20)? {
        let parts = Key::parts(&key);
        let at = parts.get(4).and_then(|part| Key::part_i64(part));
        let (Some(at), Some(id)) = (at, parts.get(5)) else { break };
        if at > now_ms - DUPLICATE_MS {
            break;
        }
        tx.delete(by_id.clone().push(id))?;
        tx.delete(key)?;
    }
    let found: Option<(i64, Sent)> = tx.get_json(by_id.push(duplicate))?;
    Ok(found.filter(|(at, _)| *at > now_ms - DUPLICATE_MS).map(|(_, sent)| sent))
}

/// Removes some of the oldest messages if they are past their retention.
fn drop_expired(tx: &mut Tx<'_>, queue: &Queue, now_ms: i64) -> Result<(), Error> {
    for message in tx.list_json::<Message>(queue.messages(), 5)? {
        if !message.expired(queue, now_ms) {
            break;
        }
        message.remove(tx, queue)?;
    }
    Ok(())
}

/// Is a message visible now? Else when the next one will be.
pub(super) fn next_visible(tx: &mut Tx<'_>, queue: &Queue) -> Result<Option<i64>, Error> {
    let first = tx.scan_prefix(queue.visible(), 1)?;
    Ok(first.first().and_then(|(key, _)| Key::part_i64(Key::parts(key).get(3)?)))
}

/// Takes visible messages and hides them; what was received too often goes to the dead-letter queue, whose id is answered.
pub(super) fn take(
    tx: &mut Tx<'_>,
    queue: &Queue,
    how: &Take,
    now_ms: i64,
) -> Result<(Vec<Message>, BTreeSet<String>), Error> {
    let redrive = queue.redrive();
    let (mut taken, mut woken) = (Vec::new(), BTreeSet::new());
    // A FIFO queue may have to look past messages whose group is held up.
    let look = if queue.is_fifo() { 1000 } else { how.most + 20 };
    let to = queue.visible().push_i64(now_ms + 1);
    let candidates = tx.scan(queue.visible().as_bytes(), Some(to.as_bytes()), look, false)?;
    let mut numbers: Vec<u64> =
        candidates.iter().filter_map(|(key, _)| Key::part_u64(Key::parts(key).get(4)?)).collect();
    if queue.is_fifo() {
        numbers.sort_unstable();
    }
    let mut passed = BTreeSet::new();
    for number in numbers {
        if taken.len() == how.most {
            break;
        }
        let Some(mut message) = tx.get_json::<Message>(queue.messages().push_u64(number))? else { continue };
        if message.expired(queue, now_ms) {
            message.remove(tx, queue)?;
            continue;
        }
        if !first_of_group(tx, queue, &message, &passed)? {
            continue;
        }
        if let Some(redrive) = &redrive
            && message.received >= redrive.most
            && let Some(target) = redrive.target.find(tx)?
        {
            message.remove(tx, queue)?;
            dead_letter(tx, queue, &target, message, now_ms)?;
            woken.insert(target.id);
            continue;
        }
        message.received += 1;
        message.first_received_ms.get_or_insert(now_ms);
        message.receipt = Some(how.nonce.clone());
        message.hide(tx, queue, now_ms + how.visibility_ms)?;
        passed.insert(message.number);
        taken.push(message);
    }
    Ok((taken, woken))
}

/// Whether all that stands before the message in its group was taken along with it.
fn first_of_group(tx: &mut Tx<'_>, queue: &Queue, message: &Message, passed: &BTreeSet<u64>) -> Result<bool, Error> {
    let Some(group) = message.group.as_ref().filter(|_| queue.is_fifo()) else { return Ok(true) };
    for (key, _) in tx.scan_prefix(queue.groups().push(group), passed.len() + 1)? {
        let number = Key::parts(&key).get(4).and_then(|part| Key::part_u64(part)).unwrap_or(0);
        if number == message.number {
            return Ok(true);
        }
        if !passed.contains(&number) {
            return Ok(false);
        }
    }
    Ok(false)
}

/// Puts a message into the dead-letter queue: the same, from the beginning. Of a FIFO queue its time begins anew, of others it goes on.
/// Source: SQS Developer Guide, "Understanding message retention periods for dead-letter queues".
fn dead_letter(tx: &mut Tx<'_>, from: &Queue, target: &Queue, message: Message, now_ms: i64) -> Result<(), Error> {
    let buried = Message {
        number: tx.next_number(target.counter())?,
        sent_ms: if target.is_fifo() { now_ms } else { message.sent_ms },
        visible_ms: now_ms,
        received: 0,
        first_received_ms: None,
        receipt: None,
        source: Some(from.arn()),
        ..message
    };
    buried.insert(tx, target)
}

/// Moves a visible message of a dead-letter queue to where it goes, as a new message; answers the id of the queue that has it now.
/// `None`: nothing is visible.
pub(super) fn move_one(
    tx: &mut Tx<'_>,
    from: &Queue,
    to: Option<&QueueKey>,
    id: String,
    now_ms: i64,
) -> Result<Option<String>, Error> {
    let until = from.visible().push_i64(now_ms + 1);
    let visible = tx.scan(from.visible().as_bytes(), Some(until.as_bytes()), MAX_PASSED, false)?;
    for (key, _) in visible {
        let number = Key::parts(&key).get(4).and_then(|part| Key::part_u64(part)).unwrap_or(0);
        let Some(message) = tx.get_json::<Message>(from.messages().push_u64(number))? else { continue };
        if message.expired(from, now_ms) {
            message.remove(tx, from)?;
            continue;
        }
        // A group's order is kept: its first message goes first.
        if !first_of_group(tx, from, &message, &BTreeSet::new())? {
            continue;
        }
        let source = message.source.as_deref().and_then(QueueKey::of_arn);
        let target =
            to.cloned().or(source).ok_or_else(|| Error::new(NO_SOURCE, 400, "no queue is known that it came from"))?;
        let target = target.queue(tx)?;
        message.remove(tx, from)?;
        let moved = Message {
            id,
            number: tx.next_number(target.counter())?,
            sent_ms: now_ms,
            visible_ms: now_ms + target.number("DelaySeconds") * 1000,
            received: 0,
            first_received_ms: None,
            receipt: None,
            source: None,
            ..message
        };
        moved.insert(tx, &target)?;
        return Ok(Some(target.id));
    }
    Ok(None)
}

/// How many messages are looked at for one that may be moved.
const MAX_PASSED: usize = 1000;
/// AWS's reason of a task that met a message that was sent to the dead-letter queue itself.
const NO_SOURCE: &str = "CouldNotDetermineMessageSource";

/// The message that a receipt handle names; none when it is gone or was received again since.
pub(super) fn held(tx: &mut Tx<'_>, queue: &Queue, handle: &str) -> Result<Option<Message>, Error> {
    let invalid = || {
        error::receipt_handle_is_invalid(format!(
            "The input receipt handle \"{handle}\" is not a valid receipt handle."
        ))
    };
    let text = BASE64.decode(handle).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
    let parts: Vec<&str> = text.split('/').collect();
    let [id, number, receipt] = parts.as_slice() else { return Err(invalid()) };
    let number: u64 = number.parse().map_err(|_| invalid())?;
    if *id != queue.id {
        return Err(invalid());
    }
    let message: Option<Message> = tx.get_json(queue.messages().push_u64(number))?;
    Ok(message.filter(|message| message.receipt.as_deref() == Some(*receipt)))
}

/// Changes until when a held message is hidden.
pub(super) fn change_visibility(
    tx: &mut Tx<'_>,
    queue: &Queue,
    handle: &str,
    seconds: i32,
    now_ms: i64,
) -> Result<(), Error> {
    if !(0..=43_200).contains(&seconds) {
        return Err(invalid_parameter(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer \
             between 0 and 43200."
        )));
    }
    let message = held(tx, queue, handle)?.filter(|message| message.visible_ms > now_ms);
    let Some(mut message) = message else {
        return Err(invalid_parameter(format!(
            "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for \
             visibility timeout change."
        ))
        .with_query_code("InvalidParameterValue"));
    };
    message.hide(tx, queue, now_ms + i64::from(seconds) * 1000)
}

/// How many messages are visible, held, and delayed.
pub(super) fn counts(tx: &mut Tx<'_>, queue: &Queue, now_ms: i64) -> Result<(usize, usize, usize), Error> {
    let (mut visible, mut held, mut delayed) = (0, 0, 0);
    for (key, _) in tx.scan_prefix(queue.visible(), 1_000_000)? {
        let parts = Key::parts(&key);
        let at = parts.get(3).and_then(|part| Key::part_i64(part)).unwrap_or(0);
        if at <= now_ms {
            visible += 1;
            continue;
        }
        let number = parts.get(4).and_then(|part| Key::part_u64(part)).unwrap_or(0);
        match tx.get_json::<Message>(queue.messages().push_u64(number))? {
            Some(message) if message.received > 0 => held += 1,
            _ => delayed += 1,
        }
    }
    Ok((visible, held, delayed))
}
