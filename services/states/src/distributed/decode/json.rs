//! The elements of one array in a JSON text: the text itself, or what a pointer (RFC 6901) leads to.
//!
//! Only the element at hand is kept. What lies beside the way is passed over without a look at its syntax.

use std::collections::VecDeque;

use serde_json::Value;

use super::MAX_ITEM_BYTES;

pub(in super::super) struct JsonItems {
    pointer: Vec<String>,
    phase: Phase,
    text: Text,
    /// The key or the element that is being read.
    token: Vec<u8>,
}

enum Phase {
    /// On the way to the array.
    Seeking {
        levels: Vec<Level>,
        key: Key,
        in_scalar: bool,
    },
    /// In the array, this deep within an element.
    Inside {
        depth: usize,
    },
    Done,
}

/// A container around the place that has been reached.
struct Level {
    /// How much of the pointer leads here; `None` beside the way.
    matched: Option<usize>,
    object: bool,
    index: usize,
    key: String,
}

#[derive(PartialEq)]
enum Key {
    No,
    Expected,
}

/// Whether a string is open.
#[derive(Clone, Copy, PartialEq)]
enum Text {
    Outside,
    Open,
    Escaped,
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
        let phase = Phase::Seeking { levels: Vec::new(), key: Key::No, in_scalar: false };
        Ok(Self { pointer, phase, text: Text::Outside, token: Vec::new() })
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<Value>) -> Result<(), String> {
        for byte in bytes {
            match self.phase {
                Phase::Seeking { .. } => self.seek(*byte)?,
                Phase::Inside { .. } => self.collect(*byte, out)?,
                Phase::Done => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), String> {
        match &self.phase {
            Phase::Done => Ok(()),
            Phase::Seeking { .. } => Err(NO_ARRAY.to_owned()),
            Phase::Inside { .. } => Err("The JSON array does not end".to_owned()),
        }
    }

    /// A byte of a text on the way to the array: of a member's name, which says where the array is looked for, or of a value.
    fn within_text(&mut self, byte: u8) -> Result<(), String> {
        let Phase::Seeking { levels, key, .. } = &mut self.phase else { return Ok(()) };
        let reading_key = *key == Key::Expected;
        if reading_key {
            self.token.push(byte);
            if self.token.len() > MAX_ITEM_BYTES {
                return Err("A member's name is too long".to_owned());
            }
        }
        self.text = self.text.after(byte);
        if self.text == Text::Outside && reading_key {
            let name = serde_json::from_slice(&self.token).map_err(|error| format!("Invalid JSON: {error}"))?;
            if let Some(level) = levels.last_mut() {
                level.key = name;
            }
            self.token.clear();
            *key = Key::No;
        }
        Ok(())
    }

    fn seek(&mut self, byte: u8) -> Result<(), String> {
        if self.text != Text::Outside {
            return self.within_text(byte);
        }
        let Phase::Seeking { levels, key, in_scalar } = &mut self.phase else { return Ok(()) };
        let begins = !*in_scalar && !matches!(byte, b',' | b':' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        let value_begins = begins && *key == Key::No;
        let mut matched = None;
        if value_begins {
            matched = match levels.last() {
                None => Some(0),
                Some(level) => level
                    .matched
                    .filter(|matched| {
                        let step = self.pointer.get(*matched);
                        step.is_some_and(|step| {
                            if level.object { *step == level.key } else { *step == level.index.to_string() }
                        })
                    })
                    .map(|matched| matched + 1),
            };
            if matched == Some(self.pointer.len()) {
                if byte != b'[' {
                    return Err(NO_ARRAY.to_owned());
                }
                self.phase = Phase::Inside { depth: 0 };
                return Ok(());
            }
        }
        match byte {
            b'"' => {
                if *key == Key::Expected {
                    self.token.push(byte);
                }
                self.text = Text::Open;
            }
            b'{' | b'[' => {
                let object = byte == b'{';
                if levels.len() > 1000 {
                    return Err("The JSON is nested too deeply".to_owned());
                }
                levels.push(Level { matched, object, index: 0, key: String::new() });
                *key = if object { Key::Expected } else { Key::No };
            }
            b'}' | b']' => {
                levels.pop();
                (*key, *in_scalar) = (Key::No, false);
            }
            b',' => {
                *in_scalar = false;
                if let Some(level) = levels.last_mut() {
                    level.index += 1;
                    *key = if level.object { Key::Expected } else { Key::No };
                }
            }
            b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => *in_scalar = true,
        }
        Ok(())
    }

    fn collect(&mut self, byte: u8, out: &mut VecDeque<Value>) -> Result<(), String> {
        let Phase::Inside { depth } = &mut self.phase else { return Ok(()) };
        if self.text == Text::Outside {
            match byte {
                b'"' => self.text = Text::Open,
                b'{' | b'[' => *depth += 1,
                b']' if *depth == 0 => {
                    self.phase = Phase::Done;
                    return if self.token.trim_ascii().is_empty() { Ok(()) } else { self.element(out) };
                }
                b'}' | b']' => *depth = depth.saturating_sub(1),
                b',' if *depth == 0 => return self.element(out),
                b' ' | b'\t' | b'\r' | b'\n' => return Ok(()),
                _ => {}
            }
        } else {
            self.text = self.text.after(byte);
        }
        self.token.push(byte);
        if self.token.len() > MAX_ITEM_BYTES {
            return Err(format!("An item is longer than {MAX_ITEM_BYTES} bytes"));
        }
        Ok(())
    }

    fn element(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        let element = serde_json::from_slice(&self.token).map_err(|error| format!("Invalid JSON: {error}"))?;
        out.push_back(element);
        self.token.clear();
        Ok(())
    }
}

impl Text {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Open, b'\\') => Self::Escaped,
            (Self::Open, b'"') => Self::Outside,
            _ => Self::Open,
        }
    }
}
