//! `model.tar.gz`: the files in it, in memory. A damaged or foreign archive is an error that says so.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;

const BLOCK: usize = 512;
/// An archive that unpacks to more is refused.
const MOST_BYTES: u64 = 1 << 30;

/// Regular files by path, without a leading `./`.
pub(crate) fn files(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let tar = unpack(archive).map_err(|error| format!("the model archive: {error}"))?;
    let mut files = BTreeMap::new();
    let (mut at, mut long_name) = (0, None);
    while at + BLOCK <= tar.len() && tar[at..at + BLOCK].iter().any(|b| *b != 0) {
        let header = &tar[at..at + BLOCK];
        let cut = || "the model archive is cut short or is no tar file".to_owned();
        let size = number(&header[124..136]).ok_or_else(cut)?;
        let body = tar.get(at + BLOCK..at + BLOCK + size).ok_or_else(cut)?;
        match header[156] {
            b'0' | 0 => {
                let name = long_name.take().unwrap_or_else(|| name(header));
                files.insert(name.trim_start_matches("./").to_owned(), body.to_vec());
            }
            b'L' => long_name = Some(text(body)),
            b'x' => long_name = pax_path(body).or(long_name),
            _ => long_name = None,
        }
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
    Ok(files)
}

/// A whole gzip file.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = MultiGzDecoder::new(packed).take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("it is not a whole gzip file: {error}"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("it unpacks to more than 1 GiB".to_owned());
    }
    Ok(bytes)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn name(header: &[u8]) -> String {
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    // GNU's old format keeps times where POSIX has the prefix.
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// Octal, or base 256 for what octal cannot hold.
fn number(field: &[u8]) -> Option<usize> {
    if field[0] & 0x80 != 0 {
        return field[1..].iter().try_fold(0_usize, |n, b| n.checked_mul(256)?.checked_add(usize::from(*b)));
    }
    usize::from_str_radix(text(field).trim(), 8).ok()
}

/// `path=` of an extended header: lines `LENGTH KEY=VALUE`.
fn pax_path(body: &[u8]) -> Option<String> {
    String::from_utf8_lossy(body).lines().find_map(|line| Some(line.split_once(" path=")?.1.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, body) in entries {
            let mut header = [0_u8; BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
            header[156] = b'0';
            header[257..263].copy_from_slice(b"ustar\0");
            tar.extend_from_slice(&header);
            tar.extend_from_slice(body);
            tar.resize(tar.len().div_ceil(BLOCK) * BLOCK, 0);
        }
        tar.resize(tar.len() + 2 * BLOCK, 0);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn reads_what_tar_wrote() {
        let packed = archive(&[("./model.onnx", &[7; 700]), ("code/inference.py", b"pass")]);
        let files = files(&packed).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["code/inference.py", "model.onnx"]);
        assert_eq!(files["model.onnx"], [7; 700]);
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(files(b"no gzip").unwrap_err().contains("gzip"));
        let whole = archive(&[("model.onnx", &[7; 7000])]);
        assert!(files(&whole[..whole.len() / 2]).is_err());
    }
}
