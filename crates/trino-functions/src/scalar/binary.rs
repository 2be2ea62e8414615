//! Bytes: encodings, digests, big-endian and IEEE 754 forms.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::Row;
use crate::call::{Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::value::Value;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

const TO_HEX: Rows = |_, a| {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 * a[0].as_bytes().len());
    for byte in a[0].as_bytes() {
        let _ = write!(text, "{byte:02X}");
    }
    Ok(text.into())
};

const FROM_HEX: Rows = |_, a| {
    let text = a[0].as_bytes();
    if text.len() % 2 != 0 {
        return Err(Error::argument(format!("invalid input length {}", text.len())));
    }
    let digit = |b: u8| {
        char::from(b).to_digit(16).ok_or_else(|| Error::argument(format!("invalid hex character: {}", char::from(b))))
    };
    let bytes = text.chunks_exact(2).map(|pair| Ok((digit(pair[0])? * 16 + digit(pair[1])?) as u8));
    Ok(Value::Bytes(bytes.collect::<Result<_>>()?))
};

fn decode(engine: &GeneralPurpose, a: &[Value]) -> Result<Value> {
    use base64::DecodeError as E;
    let text = a[0].as_bytes();
    if text.len() == 1 {
        return Err(Error::argument("Input byte[] should at least have 2 bytes for base64 bytes"));
    }
    engine.decode(text).map(Value::Bytes).map_err(|error| {
        Error::argument(match error {
            E::InvalidByte(_, byte) => format!("Illegal base64 character {byte:x}"),
            E::InvalidLength(_) => "Last unit does not have enough valid bits".to_owned(),
            _ => "Input byte array has wrong 4-byte ending unit".to_owned(),
        })
    })
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const TO_BASE32: Rows = |_, a| {
    let mut text = String::new();
    for chunk in a[0].as_bytes().chunks(5) {
        let mut bits = [0u8; 5];
        bits[..chunk.len()].copy_from_slice(chunk);
        let word = bits.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let used = (chunk.len() * 8).div_ceil(5);
        for i in 0..8 {
            text.push(if i < used { char::from(BASE32[(word >> (35 - 5 * i)) as usize & 31]) } else { '=' });
        }
    }
    Ok(text.into())
};

const FROM_BASE32: Rows = |_, a| {
    let (mut word, mut bits, mut bytes) = (0u32, 0, Vec::new());
    for c in a[0].as_str().trim_end_matches('=').bytes() {
        let Some(digit) = BASE32.iter().position(|known| *known == c.to_ascii_uppercase()) else {
            return Err(Error::argument(format!("Unrecognized character: {}", char::from(c))));
        };
        word = word << 5 | digit as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    Ok(Value::Bytes(bytes))
};

macro_rules! digest {
    ($hash:ty) => {
        Strict(|_, a| Ok(Value::Bytes(<$hash>::digest(a[0].as_bytes()).to_vec())))
    };
}

macro_rules! keyed {
    ($hash:ty) => {
        Strict(|_, a| {
            let mut mac = <Hmac<$hash>>::new_from_slice(a[1].as_bytes()).map_err(|_| Error::argument("Empty key"))?;
            mac.update(a[0].as_bytes());
            Ok(Value::Bytes(mac.finalize().into_bytes().to_vec()))
        })
    };
}

/// `MurmurHash3_x64_128` with seed 0, <https://github.com/aappleby/smhasher>.
pub(super) fn murmur3(bytes: &[u8]) -> [u8; 16] {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let k1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let k2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let (mut h1, mut h2) = (0u64, 0u64);
    let blocks = bytes.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        h1 ^= k1(word(&block[..8]));
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= k2(word(&block[8..]));
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    if tail.len() > 8 {
        h2 ^= k2(word(&tail[8..]));
    }
    if !tail.is_empty() {
        h1 ^= k1(word(&tail[..tail.len().min(8)]));
    }
    let mix = |mut h: u64| {
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        h ^ (h >> 33)
    };
    h1 ^= bytes.len() as u64;
    h2 ^= bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (mix(h1), mix(h2));
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    let mut out = [0; 16];
    out[..8].copy_from_slice(&h1.to_le_bytes());
    out[8..].copy_from_slice(&h2.to_le_bytes());
    out
}

fn exactly<const N: usize>(value: &Value, text: impl Fn(usize) -> String) -> Result<[u8; N]> {
    let bytes = value.as_bytes();
    <[u8; N]>::try_from(bytes).map_err(|_| Error::argument(text(bytes.len())))
}

fn big_endian(size: usize) -> impl Fn(usize) -> String {
    move |got| format!("expected {size}-byte input, but got instead: {got}")
}

fn ieee(size: usize) -> impl Fn(usize) -> String {
    move |_| format!("Input floating-point value must be exactly {size} bytes long")
}

const UUID: Rows = |_, _| {
    let mut bytes = [crate::random::next().to_be_bytes(), crate::random::next().to_be_bytes()].concat();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(Value::Bytes(bytes))
};

pub(super) const TABLE: &[Row] = &[
    ("to_hex", "varbinary -> varchar", Strict(TO_HEX)),
    ("from_hex", "varchar(x) -> varbinary", Strict(FROM_HEX)),
    ("from_hex", "varbinary -> varbinary", Strict(FROM_HEX)),
    ("to_base64", "varbinary -> varchar", Strict(|_, a| Ok(BASE64.encode(a[0].as_bytes()).into()))),
    ("from_base64", "varchar(x) -> varbinary", Strict(|_, a| decode(&BASE64, a))),
    ("from_base64", "varbinary -> varbinary", Strict(|_, a| decode(&BASE64, a))),
    ("to_base64url", "varbinary -> varchar", Strict(|_, a| Ok(BASE64_URL.encode(a[0].as_bytes()).into()))),
    ("from_base64url", "varchar(x) -> varbinary", Strict(|_, a| decode(&BASE64_URL, a))),
    ("from_base64url", "varbinary -> varbinary", Strict(|_, a| decode(&BASE64_URL, a))),
    ("to_base32", "varbinary -> varchar", Strict(TO_BASE32)),
    ("from_base32", "varchar(x) -> varbinary", Strict(FROM_BASE32)),
    ("from_base32", "varbinary -> varbinary", Strict(FROM_BASE32)),
    ("uuid", "-> uuid", Strict(UUID)),
    ("md5", "varbinary -> varbinary", digest!(Md5)),
    ("sha1", "varbinary -> varbinary", digest!(Sha1)),
    ("sha256", "varbinary -> varbinary", digest!(Sha256)),
    ("sha512", "varbinary -> varbinary", digest!(Sha512)),
    ("hmac_md5", "varbinary, varbinary -> varbinary", keyed!(Md5)),
    ("hmac_sha1", "varbinary, varbinary -> varbinary", keyed!(Sha1)),
    ("hmac_sha256", "varbinary, varbinary -> varbinary", keyed!(Sha256)),
    ("hmac_sha512", "varbinary, varbinary -> varbinary", keyed!(Sha512)),
    ("crc32", "varbinary -> bigint", Strict(|_, a| Ok(Value::Int(crc32fast::hash(a[0].as_bytes()).into())))),
    (
        "xxhash64",
        "varbinary -> varbinary",
        Strict(|_, a| Ok(twox_hash::XxHash64::oneshot(0, a[0].as_bytes()).to_be_bytes().to_vec().into())),
    ),
    ("murmur3", "varbinary -> varbinary", Strict(|_, a| Ok(murmur3(a[0].as_bytes()).to_vec().into()))),
    (
        "to_big_endian_32",
        "integer -> varbinary",
        Strict(|_, a| Ok((a[0].as_int() as i32).to_be_bytes().to_vec().into())),
    ),
    ("to_big_endian_64", "bigint -> varbinary", Strict(|_, a| Ok(a[0].as_int().to_be_bytes().to_vec().into()))),
    (
        "from_big_endian_32",
        "varbinary -> integer",
        Strict(|_, a| Ok(Value::Int(i32::from_be_bytes(exactly(&a[0], big_endian(4))?).into()))),
    ),
    (
        "from_big_endian_64",
        "varbinary -> bigint",
        Strict(|_, a| Ok(Value::Int(i64::from_be_bytes(exactly(&a[0], big_endian(8))?)))),
    ),
    ("to_ieee754_32", "real -> varbinary", Strict(|_, a| Ok((a[0].as_double() as f32).to_be_bytes().to_vec().into()))),
    ("to_ieee754_64", "double -> varbinary", Strict(|_, a| Ok(a[0].as_double().to_be_bytes().to_vec().into()))),
    (
        "from_ieee754_32",
        "varbinary -> real",
        Strict(|_, a| Ok(Value::Real(f32::from_be_bytes(exactly(&a[0], ieee(4))?)))),
    ),
    (
        "from_ieee754_64",
        "varbinary -> double",
        Strict(|_, a| Ok(Value::Double(f64::from_be_bytes(exactly(&a[0], ieee(8))?)))),
    ),
];
