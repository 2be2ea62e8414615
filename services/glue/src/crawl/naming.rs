//! Names of tables and of partition columns.

/// A table's name from the folder or file at its root: lower case, what is neither letter nor digit becomes `_`.
pub(super) fn table_name(prefix: &str, root: &str) -> String {
    let name: String = root.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut full = format!("{}{name}", prefix.to_lowercase());
    full.truncate(full.char_indices().nth(128).map_or(full.len(), |(at, _)| at));
    full
}

/// The name for a second table of the same name: a hash of where it lies, so the next crawl finds the same.
pub(super) fn disambiguated(name: &str, location: &str) -> String {
    let (a, b) = (fnv(location.bytes()), fnv(location.bytes().rev()));
    let keep = name.char_indices().nth(128 - 33).map_or(name.len(), |(at, _)| at);
    format!("{}_{a:016x}{b:016x}", &name[..keep])
}

fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `k=v` with both sides: the key in lower case and the decoded value.
pub(super) fn key_value(folder: &str) -> Option<(String, String)> {
    let (key, value) = folder.split_once('=')?;
    (!key.is_empty()).then(|| (key.to_lowercase(), decode(value)))
}

/// Hive escapes `%3A` and the like in folder names.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{decode, disambiguated, key_value, table_name};

    #[test]
    fn names_follow_the_root() {
        assert_eq!(table_name("raw_", "My-Folder.2013"), "raw_my_folder_2013");
        assert_eq!(table_name("", &"x".repeat(200)).len(), 128);
        let twice = disambiguated(&"x".repeat(128), "s3://b/x/");
        assert_eq!(twice.len(), 128);
        assert_ne!(twice, disambiguated(&"x".repeat(128), "s3://b/y/"));
    }

    #[test]
    fn partition_folders() {
        assert_eq!(key_value("Year=2013"), Some(("year".into(), "2013".into())));
        assert_eq!(key_value("t=10%3A00=x"), Some(("t".into(), "10:00=x".into())));
        assert_eq!(key_value("=x"), None);
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%é"), "%zz%é");
    }
}
