//! The elements of one array in a JSON text: the text itself, or what a pointer (RFC 6901) leads to.
//!
//! The text is read event by event and only the element at hand is kept. All of it has to be JSON, also what lies beside the way
//! and behind the array.

use std::collections::VecDeque;

use json_event_parser::{JsonEvent, LowLevelJsonParser, LowLevelJsonParserResult};
use serde_json::{Map, Value};

use super::MAX_ITEM_BYTES;

/// A text or number beside the array is no longer than this.
const MAX_TOKEN_BYTES: usize = 16 * MAX_ITEM_BYTES;
/// Containers around a place, outside the array.
const MAX_LEVELS: usize = 1000;
/// Containers in an element, itself among them; as many as `serde_json` reads.
const MAX_DEPTH: usize = 127;

pub(in super::super) struct JsonItems {
    pointer: Vec<String>,
    parser: LowLevelJsonParser,
    /// Bytes that have not made an event yet.
    rest: Vec<u8>,
    phase: Phase,
    /// The containers around the place that has been reached.
    levels: Vec<Level>,
    element: Element,
    /// Nothing but white space so far.
    is_blank: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// On the way to the array.
    Before,
    Inside,
    Behind,
    /// The text is over.
    End,
}

/// A container on the way to the array, or beside it.
struct Level {
    /// How much of the pointer leads here; `None` beside the way.
    matched: Option<usize>,
    /// The key of a member; of an array, the place of an element.
    at: At,
}

enum At {
    Key(String),
    Index(u64),
}

/// An element that is being put together.
#[derive(Default)]
struct Element {
    open: Vec<Open>,
    bytes: usize,
}

enum Open {
    Array(Vec<Value>),
    Object(Map<String, Value>, String),
}

const NO_ARRAY: &str = "Attempting to map over non-iterable node.";

impl JsonItems {
    pub(super) fn new(pointer: Option<&str>) -> Result<Self, String> {
        let pointer = match pointer {
            None | Some("") => Vec::new(),
            Some(pointer) => {
                let steps = pointer.strip_prefix('/').ok_or_else(|| format!("Invalid ItemsPointer: {pointer}"))?;
                steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
            }
        };
        Ok(Self {
            pointer,
            parser: LowLevelJsonParser::new(),
            rest: Vec::new(),
            phase: Phase::Before,
            levels: Vec::new(),
            element: Element::default(),
            is_blank: true,
        })
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<Value>) -> Result<(), String> {
        self.is_blank &= bytes.iter().all(u8::is_ascii_whitespace);
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let consumed = self.parse(&rest, false, out)?;
        rest.drain(..consumed);
        if rest.len() > MAX_TOKEN_BYTES {
            return Err(format!("A text in the JSON is longer than {MAX_TOKEN_BYTES} bytes"));
        }
        self.rest = rest;
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        if self.is_blank {
            return Err(NO_ARRAY.to_owned());
        }
        let rest = std::mem::take(&mut self.rest);
        self.parse(&rest, true, out).map(drop)
    }

    /// Takes up what the bytes come to; how many made events.
    fn parse(&mut self, bytes: &[u8], is_end: bool, out: &mut VecDeque<Value>) -> Result<usize, String> {
        let mut at = 0;
        while self.phase != Phase::End {
            let LowLevelJsonParserResult { consumed_bytes, event } = self.parser.parse_next(&bytes[at..], is_end);
            at += consumed_bytes;
            self.element.bytes += consumed_bytes;
            let pending = bytes.len() - at;
            if self.phase == Phase::Inside && event.is_none() && self.element.bytes + pending > MAX_ITEM_BYTES {
                return Err(format!("An item is longer than {MAX_ITEM_BYTES} bytes"));
            }
            let Some(event) = event else { break };
            let event = event.map_err(|error| format!("Invalid JSON: {error}"))?;
            self.take(event, out)?;
        }
        Ok(at)
    }

    fn take(&mut self, event: JsonEvent<'_>, out: &mut VecDeque<Value>) -> Result<(), String> {
        match (self.phase, event) {
            (_, JsonEvent::Eof) => {
                let found = self.phase == Phase::Behind;
                self.phase = Phase::End;
                if found { Ok(()) } else { Err(NO_ARRAY.to_owned()) }
            }
            (Phase::Before, event) => self.seek(event),
            (Phase::Inside, JsonEvent::EndArray) if self.element.open.is_empty() => {
                self.phase = Phase::Behind;
                Ok(())
            }
            (Phase::Inside, event) => {
                if let Some(element) = self.element.take(event)? {
                    out.push_back(element);
                }
                Ok(())
            }
            (Phase::Behind | Phase::End, _) => Ok(()),
        }
    }

    /// A step on the way to the array.
    fn seek(&mut self, event: JsonEvent<'_>) -> Result<(), String> {
        let at = match event {
            JsonEvent::ObjectKey(name) => {
                if let Some(level) = self.levels.last_mut() {
                    level.at = At::Key(name.into_owned());
                }
                return Ok(());
            }
            JsonEvent::EndArray | JsonEvent::EndObject => {
                self.levels.pop();
                self.count();
                return Ok(());
            }
            JsonEvent::StartArray => Some(At::Index(0)),
            JsonEvent::StartObject => Some(At::Key(String::new())),
            _ => None,
        };
        let matched = match self.levels.last() {
            None => Some(0),
            Some(Level { matched, at }) => {
                matched.filter(|matched| self.pointer.get(*matched).is_some_and(|step| at.is(step))).map(|n| n + 1)
            }
        };
        if matched == Some(self.pointer.len()) {
            if !matches!(at, Some(At::Index(_))) {
                return Err(NO_ARRAY.to_owned());
            }
            (self.phase, self.element) = (Phase::Inside, Element::default());
            return Ok(());
        }
        match at {
            Some(_) if self.levels.len() >= MAX_LEVELS => return Err("The JSON is nested too deeply".to_owned()),
            Some(at) => self.levels.push(Level { matched, at }),
            None => self.count(),
        }
        Ok(())
    }

    /// A value is over: the next one of an array has the next place.
    fn count(&mut self) {
        if let Some(Level { at: At::Index(index), .. }) = self.levels.last_mut() {
            *index += 1;
        }
    }
}

impl At {
    fn is(&self, step: &str) -> bool {
        match self {
            Self::Key(key) => key == step,
            Self::Index(index) => index.to_string() == step,
        }
    }
}

impl Element {
    /// The element, when it is whole.
    fn take(&mut self, event: JsonEvent<'_>) -> Result<Option<Value>, String> {
        let value = match event {
            JsonEvent::StartArray => return self.begin(Open::Array(Vec::new())),
            JsonEvent::StartObject => return self.begin(Open::Object(Map::new(), String::new())),
            JsonEvent::ObjectKey(name) => {
                if let Some(Open::Object(_, key)) = self.open.last_mut() {
                    *key = name.into_owned();
                }
                return Ok(None);
            }
            JsonEvent::EndArray | JsonEvent::EndObject => match self.open.pop() {
                Some(Open::Array(values)) => Value::Array(values),
                Some(Open::Object(members, _)) => Value::Object(members),
                None => return Ok(None),
            },
            JsonEvent::String(text) => Value::String(text.into_owned()),
            // Which numbers there are is for the library that holds them to say.
            JsonEvent::Number(number) => {
                serde_json::from_str(&number).map_err(|error| format!("Invalid JSON: {error}"))?
            }
            JsonEvent::Boolean(value) => Value::Bool(value),
            JsonEvent::Null => Value::Null,
            JsonEvent::Eof => return Ok(None),
        };
        if self.bytes > MAX_ITEM_BYTES {
            return Err(format!("An item is longer than {MAX_ITEM_BYTES} bytes"));
        }
        match self.open.last_mut() {
            Some(Open::Array(values)) => values.push(value),
            Some(Open::Object(members, key)) => {
                members.insert(std::mem::take(key), value);
            }
            None => {
                self.bytes = 0;
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, container: Open) -> Result<Option<Value>, String> {
        if self.open.len() >= MAX_DEPTH {
            return Err("An item is nested too deeply".to_owned());
        }
        self.open.push(container);
        Ok(None)
    }
}
