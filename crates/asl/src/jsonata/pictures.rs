//! Numbers and times by picture.

use crate::time::Timestamp;

pub(super) struct PictureError {
    pub(super) code: &'static str,
    pub(super) sentence: String,
}

type Result<T> = std::result::Result<T, PictureError>;

fn unsupported<T>() -> Result<T> {
    Err(PictureError { code: "D3133", sentence: "This picture is not supported".to_owned() })
}

pub(super) fn number(_: f64, _: &str, _: &[(String, String)]) -> Result<String> {
    unsupported()
}

pub(super) fn integer(_: f64, _: &str) -> Result<String> {
    unsupported()
}

pub(super) fn parse_integer(_: &str, _: &str) -> Result<Option<f64>> {
    unsupported()
}

pub(super) fn iso(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()))
}

pub(super) fn parse_time(_: &str, _: &str, _: Timestamp) -> Result<Option<Timestamp>> {
    unsupported()
}

pub(super) fn time(at: Timestamp, picture: Option<&str>, _: Option<&str>) -> Result<String> {
    match picture {
        None => Ok(at.to_iso()),
        Some(_) => unsupported(),
    }
}
