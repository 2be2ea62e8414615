//! History as it is stored: a turn's events in one record. A text that several of them show (what one state puts out and the next
//! takes in) is there once.
//!
//! Version 1 was the events alone, each with its texts.

use asl::{HistoryEvent, Payload};
use serde::{Deserialize, Serialize};

/// Events of one record.
pub(crate) const MOST: usize = 250;
/// Texts up to this length are cheaper to repeat than to refer to.
const MIN_SHARED: usize = 40;
/// How far back a text is looked for: it is that of the event before, or of a few states that work side by side.
const LOOK_BACK: usize = 8;
/// References to the record's own texts have this bit; numbers of blobs never get there.
const OWN: u64 = 1 << 63;

#[derive(Serialize, Deserialize)]
struct Record<E> {
    version: u8,
    texts: Vec<Payload>,
    events: E,
}

/// The events of one turn as they are stored.
///
/// # Errors
/// `Corrupt` when an event has no stored form.
pub fn encode(mut events: Vec<HistoryEvent>) -> Result<Vec<u8>, store::Error> {
    let mut texts: Vec<Payload> = Vec::new();
    for event in &mut events {
        let Some(payload) = event.payload_mut().filter(|p| p.blob_id().is_none() && p.text().len() > MIN_SHARED) else {
            continue;
        };
        let known = texts.iter().rev().take(LOOK_BACK).position(|text| text.is(payload));
        let at = known.map_or(texts.len(), |back| texts.len() - 1 - back);
        if at == texts.len() {
            texts.push(payload.clone());
        }
        *payload = Payload::blob(OWN | at as u64, String::new());
    }
    let bytes = 200 * events.len() + texts.iter().map(|text| text.text().len() * 9 / 8).sum::<usize>();
    let mut out = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut out, &Record { version: 2, texts, events })
        .map_err(|error| store::Error::Corrupt { key: "history".to_owned(), cause: error.to_string() })?;
    Ok(out)
}

/// The events of a record; texts that are blobs are still to be fetched.
pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Vec<HistoryEvent>, store::Error> {
    if bytes.first() == Some(&b'[') {
        return store::kv::decode(key, bytes);
    }
    let Record { texts, mut events, .. } = store::kv::decode::<Record<Vec<HistoryEvent>>>(key, bytes)?;
    for event in &mut events {
        let Some(payload) = event.payload_mut() else { continue };
        if let Some(at) = payload.blob_id().filter(|id| id & OWN != 0)
            && let Some(text) = usize::try_from(at ^ OWN).ok().and_then(|at| texts.get(at))
        {
            *payload = text.clone();
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use asl::{Details, Timestamp};

    use super::*;

    fn event(id: u64, text: &Payload) -> HistoryEvent {
        let details = Details::ExecutionSucceeded { output: text.clone() };
        HistoryEvent { id, previous_event_id: id - 1, at: Timestamp(7), details }
    }

    #[test]
    fn shared_texts_are_stored_once_and_old_records_open() {
        let (long, other) = (Payload::inline(format!("\"{}\"", "x".repeat(100))), Payload::inline("\"y\"".to_owned()));
        let blob = Payload::blob(3, "big".to_owned());
        let events: Vec<_> =
            [&long, &other, &long, &blob, &long].into_iter().zip(1..).map(|(t, id)| event(id, t)).collect();
        let stored = encode(events.clone()).unwrap();
        assert_eq!(stored.windows(100).filter(|w| w.iter().all(|b| *b == b'x')).count(), 1);
        let mut read = decode(b"k", &stored).unwrap();
        read[3].payload_mut().unwrap().fetch(|_| Ok::<_, ()>("big".to_owned())).unwrap();
        assert_eq!(read, events);
        let mut old = decode(b"k", &serde_json::to_vec(&events).unwrap()).unwrap();
        old[3].payload_mut().unwrap().fetch(|_| Ok::<_, ()>("big".to_owned())).unwrap();
        assert_eq!(old, events);
    }
}
