//! A zip archive with one stored file, for functions whose source stands in the template.

/// The archive's bytes. Zip's format needs no compression, and one short file gains nothing by it.
pub(super) fn store(name: &str, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    let name_len = u16::try_from(name.len()).unwrap_or(0).to_le_bytes();
    let crc = crc32(content).to_le_bytes();
    // Version, flags, method (stored), time and date (1980-01-01), checksum, sizes, length of the name, no extra field.
    let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    common.extend(crc);
    common.extend(size);
    common.extend(size);
    common.extend(name_len);
    common.extend([0, 0]);

    let mut out = b"PK\x03\x04".to_vec();
    out.extend(&common);
    out.extend(name.as_bytes());
    out.extend(content);
    let directory = out.len();
    out.extend(b"PK\x01\x02\x14\x03");
    out.extend(&common);
    // No comment, disk 0, no internal attributes; a regular file that all may read; at offset 0.
    out.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xA4, 0x81, 0, 0, 0, 0]);
    out.extend(name.as_bytes());
    let length = u32::try_from(out.len() - directory).unwrap_or(0).to_le_bytes();
    out.extend(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    out.extend(length);
    out.extend(u32::try_from(directory).unwrap_or(0).to_le_bytes());
    out.extend([0, 0]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn layout() {
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
        let zip = super::store("index.py", b"x = 1\n");
        assert_eq!(zip.len(), 30 + 8 + 6 + 46 + 8 + 22);
        assert_eq!(&zip[30..38], b"index.py");
    }
}
