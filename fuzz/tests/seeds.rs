//! The seeds of every target, and a fixed number of texts made of them: cut, doubled, spliced, with a byte changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

/// Texts made of the seeds of one target.
const CASES: u64 = 20_000;
/// The same of targets that are answered by a whole door, or read an object many times.
const SLOW: [&str; 3] = ["chunks", "form", "s3_select"];
const SLOW_CASES: u64 = 1_000;
/// As long as a text may get.
const MAX_BYTES: usize = 4096;

/// What is put in, one byte at a time.
const PIECES: &[u8] = b"\"'\\()[]{}<>=&%$.,:;*?!- 019azAZ\0\n\xc3\xa9";

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % bound.max(1)
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// One change of a text.
fn change(text: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(text.len() + 1);
    let to = at + numbers.below(text.len() + 1 - at);
    match numbers.below(6) {
        0 => text.truncate(at),
        1 => drop(text.drain(at..to)),
        2 => {
            let piece = text[at..to].to_vec();
            text.splice(at..at, piece);
        }
        3 => {
            let from = numbers.below(other.len() + 1);
            let until = from + numbers.below(other.len() + 1 - from);
            text.splice(at..at, other[from..until].iter().copied());
        }
        4 => text.insert(at, PIECES[numbers.below(PIECES.len())]),
        _ => {
            if let Some(byte) = text.get_mut(at) {
                *byte ^= 1 << numbers.below(8);
            }
        }
    }
    text.truncate(MAX_BYTES);
}

#[test]
fn nothing_panics_and_everything_ends() {
    for (name, target) in fuzz::TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has seeds");
        for seed in &seeds {
            target(seed);
        }
        let mut numbers = Numbers(1);
        let cases = if SLOW.contains(&name) { SLOW_CASES } else { CASES };
        for _ in 0..cases {
            let mut text = seeds[numbers.below(seeds.len())].clone();
            for _ in 0..=numbers.below(4) {
                let other = &seeds[numbers.below(seeds.len())];
                change(&mut text, other, &mut numbers);
            }
            let shown = String::from_utf8_lossy(&text).into_owned();
            let ran = std::panic::catch_unwind(|| target(&text));
            assert!(ran.is_ok(), "{name}: {shown:?}");
        }
    }
}

#[test]
fn every_target_is_a_program_of_cargo_fuzz_and_has_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in fuzz::TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} is in Cargo.toml");
        let text = std::fs::read_to_string(folder.join("targets").join(format!("{name}.rs"))).unwrap();
        assert!(text.contains(&format!("fuzz::{name}(data)")), "{name}.rs runs {name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), fuzz::TARGETS.len());
}
