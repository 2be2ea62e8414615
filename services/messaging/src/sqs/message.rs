//! Messages in the store: sent, taken, hidden, deleted. Visibility is an index by time: a message whose time comes is
//! simply found. FIFO groups keep their order by an index of their own.

use std::collections::{BTreeMap, BTreeSet};

use api_sqs::{MessageAttributeValue, error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use store::key::prefix_end;
use store::{Key, Tx};
use wire::Error;

use super::digest::{self, Part, PartValue};
use super::queue::{Queue, QueueKey, Redrive, invalid_parameter, missing_parameter};

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

/// Source: SQS Developer Guide, "Message attribute components".
fn check_name(name: &str) -> Result<(), Error> {
    let is_reserved = ["aws.", "amazon."]
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
    if is_reserved {
        return Err(invalid_parameter(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for \
             internal use.",
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (1..=256).contains(&name.len())
        && name.chars().all(fits)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
    {
        return Ok(());
    }
    Err(invalid_parameter(format!(
        "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore (_), hyphen \
         (-), and period (.) characters."
    )))
}

/// Whether a text is a number of up to 38 digits, as attributes have them. Source: SQS Developer Guide, "Message attribute data types".
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    plain && digits <= 38 && text.parse::<f64>().is_ok_and(|number| number.abs() <= 1e126)
}

fn check_attribute(name: &str, value: &MessageAttributeValue) -> Result<(), Error> {
    check_name(name)?;
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
    if kind == "Number" && value.string_value.as_ref().is_some_and(|text| !text.is_empty() && !is_number(text)) {
        return Err(invalid_parameter(format!(
            "Can't cast the value of message (user) attribute '{name}' to a number."
        )));
    }
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
        forget(tx, by_id.clone().push(id), at)?;
        tx.delete(key)?;
    }
    let found: Option<(i64, Sent)> = tx.get_json(by_id.push(duplicate))?;
    Ok(found.filter(|(at, _)| *at > now_ms - DUPLICATE_MS).map(|(_, sent)| sent))
}

/// Forgets a deduplication id that was used then, unless it was used again since.
fn forget(tx: &mut Tx<'_>, by_id: Key, at: i64) -> Result<(), Error> {
    let used: Option<(i64, Sent)> = tx.get_json(&by_id)?;
    if used.is_some_and(|(used, _)| used == at) {
        tx.delete(by_id)?;
    }
    Ok(())
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

/// Whether one of the oldest messages is past its retention.
pub(super) fn has_expired(tx: &mut Tx<'_>, queue: &Queue, now_ms: i64) -> Result<bool, Error> {
    Ok(tx.list_json::<Message>(queue.messages(), 5)?.iter().any(|message| message.expired(queue, now_ms)))
}

/// Removes what is past its time among the oldest of a queue: messages, and deduplication ids that count no more. True: there may be
/// more. Messages of a dead-letter queue are about in the order of their age: a page without an expired one ends the search.
pub(super) fn sweep(tx: &mut Tx<'_>, queue: &Queue, now_ms: i64) -> Result<bool, Error> {
    let (mut messages, mut ids) = (0, 0);
    for message in tx.list_json::<Message>(queue.messages(), SWEPT)? {
        if message.expired(queue, now_ms) {
            message.remove(tx, queue)?;
            messages += 1;
        }
    }
    let (by_id, by_time) = queue.duplicates();
    for (key, _) in tx.scan_prefix(&by_time, SWEPT)? {
        let parts = Key::parts(&key);
        let at = parts.get(4).and_then(|part| Key::part_i64(part));
        let (Some(at), Some(id)) = (at, parts.get(5)) else { break };
        if at > now_ms - DUPLICATE_MS {
            break;
        }
        forget(tx, by_id.clone().push(id), at)?;
        tx.delete(key)?;
        ids += 1;
    }
    Ok(messages > 0 || ids == SWEPT)
}

/// Is a message visible now? Else when the next one will be.
pub(super) fn next_visible(tx: &mut Tx<'_>, queue: &Queue) -> Result<Option<i64>, Error> {
    let first = tx.scan_prefix(queue.visible(), 1)?;
    Ok(first.first().and_then(|(key, _)| Key::part_i64(Key::parts(key).get(3)?)))
}

/// What was taken, from which queue.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) messages: Vec<Message>,
    /// Ids of the dead-letter queues that got something.
    pub(super) woken: BTreeSet<String>,
    /// Other than when it was waited for, where the queue was purged or made again since. None in what earlier versions remembered.
    #[serde(default)]
    pub(super) queue: Option<Queue>,
    /// Nothing was found, but what was in the way was removed: there may be something behind.
    #[serde(default)]
    pub(super) again: bool,
}

/// One look for messages that may be taken.
struct Search<'a> {
    queue: &'a Queue,
    how: &'a Take,
    now_ms: i64,
    redrive: Option<Redrive>,
    taken: Vec<Message>,
    passed: BTreeSet<u64>,
    woken: BTreeSet<String>,
    /// Messages that were past their retention or received too often.
    removed: usize,
}

/// Takes visible messages and hides them; what was received too often goes to the dead-letter queue.
pub(super) fn take(tx: &mut Tx<'_>, queue: &Queue, how: &Take, now_ms: i64) -> Result<Taken, Error> {
    let mut search = Search {
        queue,
        how,
        now_ms,
        redrive: queue.redrive(),
        taken: Vec::new(),
        passed: BTreeSet::new(),
        woken: BTreeSet::new(),
        removed: 0,
    };
    if queue.is_fifo() {
        let (mut numbers, _) = visible(tx, queue, None, PAGE, now_ms)?;
        numbers.sort_unstable();
        let is_page = numbers.len() == PAGE;
        search.among(tx, numbers)?;
        // Those in front were all held up by their groups.
        if search.taken.is_empty() && is_page {
            let heads = heads(tx, queue, how.most, now_ms)?;
            search.among(tx, heads)?;
        }
    } else {
        let mut after = None;
        while !search.is_over() {
            let (numbers, last) = visible(tx, queue, after.as_deref(), how.most + 20, now_ms)?;
            if numbers.is_empty() {
                break;
            }
            search.among(tx, numbers)?;
            after = last;
        }
    }
    let again = search.taken.is_empty() && search.removed > 0;
    Ok(Taken { messages: search.taken, woken: search.woken, queue: Some(queue.clone()), again })
}

impl Search<'_> {
    /// Enough was found, or enough done for one transaction.
    fn is_over(&self) -> bool {
        self.taken.len() >= self.how.most || self.removed >= REMOVED
    }

    fn among(&mut self, tx: &mut Tx<'_>, numbers: Vec<u64>) -> Result<(), Error> {
        let (queue, now_ms) = (self.queue, self.now_ms);
        for number in numbers {
            if self.is_over() {
                break;
            }
            let Some(mut message) = tx.get_json::<Message>(queue.messages().push_u64(number))? else { continue };
            if message.visible_ms > now_ms {
                continue;
            }
            if message.expired(queue, now_ms) {
                message.remove(tx, queue)?;
                self.removed += 1;
                continue;
            }
            if !first_of_group(tx, queue, &message, &self.passed)? {
                continue;
            }
            if let Some(redrive) = &self.redrive
                && message.received >= redrive.most
                && let Some(target) = redrive.target.find(tx)?
            {
                message.remove(tx, queue)?;
                dead_letter(tx, queue, &target, message, now_ms)?;
                self.woken.insert(target.id);
                self.removed += 1;
                continue;
            }
            message.received += 1;
            message.first_received_ms.get_or_insert(now_ms);
            message.receipt = Some(self.how.nonce.clone());
            message.hide(tx, queue, now_ms + self.how.visibility_ms)?;
            self.passed.insert(message.number);
            self.taken.push(message);
        }
        Ok(())
    }
}

/// Visible messages, those that are so for longest first; and after which key the next ones stand.
fn visible(
    tx: &mut Tx<'_>,
    queue: &Queue,
    after: Option<&[u8]>,
    most: usize,
    now_ms: i64,
) -> Result<(Vec<u64>, Option<Vec<u8>>), Error> {
    let mut from = after.map_or_else(|| queue.visible().into_bytes(), <[u8]>::to_vec);
    if after.is_some() {
        from.push(0);
    }
    let to = queue.visible().push_i64(now_ms + 1);
    let found = tx.scan(&from, Some(to.as_bytes()), most, false)?;
    let numbers = found.iter().filter_map(|(key, _)| Key::part_u64(Key::parts(key).get(4)?)).collect();
    Ok((numbers, found.into_iter().next_back().map(|(key, _)| key)))
}

/// The first messages of each group of a FIFO queue, the group whose first one is the oldest before the others.
fn heads(tx: &mut Tx<'_>, queue: &Queue, of_each: usize, now_ms: i64) -> Result<Vec<u64>, Error> {
    let all = queue.groups();
    let end = prefix_end(all.as_bytes());
    let (mut from, mut groups) = (all.into_bytes(), Vec::new());
    while groups.len() < GROUPS {
        let Some((key, _)) = tx.scan(&from, end.as_deref(), 1, false)?.pop() else { break };
        let parts = Key::parts(&key);
        let (Some(group), Some(number)) = (parts.get(3), parts.get(4).and_then(|part| Key::part_u64(part))) else {
            break;
        };
        let group = queue.groups().push(group);
        let Some(next) = prefix_end(group.as_bytes()) else { break };
        from = next;
        groups.push((number, group));
    }
    groups.sort_unstable_by_key(|(number, _)| *number);
    let mut numbers = Vec::new();
    for (head, group) in groups {
        // What is held up by its first message is not looked at.
        let message: Option<Message> = tx.get_json(queue.messages().push_u64(head))?;
        if message.is_none_or(|message| message.visible_ms > now_ms) {
            continue;
        }
        let found = tx.scan_prefix(&group, of_each)?;
        numbers.extend(found.iter().filter_map(|(key, _)| Key::part_u64(Key::parts(key).get(4)?)));
        if numbers.len() >= PAGE {
            break;
        }
    }
    Ok(numbers)
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
    // Nobody else sends to a dead-letter queue.
    drop_expired(tx, target, now_ms)?;
    super::sweep::plan(tx)?;
    buried.insert(tx, target)
}

/// What came of the wish to move a message.
pub(super) enum Moved {
    /// The id of the queue that has it now.
    To(String),
    /// Only messages that were past their retention were found, and are gone; there may be others.
    Again,
    /// Nothing is visible that may be moved.
    Nothing,
}

/// Moves a visible message of a dead-letter queue to where it goes, as a new message.
pub(super) fn move_one(
    tx: &mut Tx<'_>,
    from: &Queue,
    to: Option<&QueueKey>,
    id: String,
    now_ms: i64,
) -> Result<Moved, Error> {
    let (mut numbers, _) = visible(tx, from, None, PAGE, now_ms)?;
    if from.is_fifo() && numbers.len() == PAGE {
        numbers.extend(heads(tx, from, 1, now_ms)?);
    }
    let mut removed = false;
    for number in numbers {
        let Some(message) = tx.get_json::<Message>(from.messages().push_u64(number))? else { continue };
        if message.visible_ms > now_ms {
            continue;
        }
        if message.expired(from, now_ms) {
            message.remove(tx, from)?;
            removed = true;
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
        drop_expired(tx, &target, now_ms)?;
        moved.insert(tx, &target)?;
        return Ok(Moved::To(target.id));
    }
    Ok(if removed { Moved::Again } else { Moved::Nothing })
}

/// Messages of a FIFO queue that are looked at in the order of their times, whatever their groups.
const PAGE: usize = 1000;
/// Groups that are looked at where all of a page were held up. AWS looks through 120,000 messages. Source: SQS Developer Guide,
/// "Amazon SQS message quotas".
const GROUPS: usize = 120_000;
/// Messages that one receive removes in one transaction because they are past their retention or received too often.
const REMOVED: usize = 1000;
/// Messages that a sweep looks at in one transaction.
const SWEPT: usize = 500;
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
    // What was received before a purge is gone, as if it had been deleted.
    if queue.purged_ids.iter().any(|purged| purged == id) {
        return Ok(None);
    }
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

/// When the oldest message was sent that the queue holds.
pub(super) fn oldest_sent_ms(tx: &mut Tx<'_>, queue: &Queue) -> Result<Option<i64>, Error> {
    Ok(tx.list_json::<Message>(queue.messages(), 1)?.first().map(|message| message.sent_ms))
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
