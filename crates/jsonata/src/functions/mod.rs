//! The functions: JSONata's and those that AWS adds. One table row each.

mod added;
mod arrays;
mod numbers;
mod objects;
mod strings;
mod times;

use std::sync::{LazyLock, OnceLock};

use super::eval::Machine;
use super::failure::Result;
use super::signature::Signature;
use super::value::Val;

pub(super) use arrays::append;
pub(super) use numbers::rounded;
pub(super) use objects::clone_value;
pub(super) use strings::first_match;

type Run = for<'a> fn(&mut Machine<'a>, &Arguments<'a>, &Val<'a>) -> Result<Val<'a>>;

pub(super) struct Builtin {
    name: &'static str,
    signature: &'static str,
    /// How many arguments it is given as a callback, and how many it has.
    pub(super) arity: usize,
    pub(super) parameters: usize,
    pub(super) run: Run,
    parsed: OnceLock<Signature>,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Builtin {
    pub(super) fn signature(&self) -> &Signature {
        self.parsed.get_or_init(|| Signature::parse(self.signature).unwrap_or_default())
    }
}

/// What a function is called with; what is missing is undefined.
pub(super) struct Arguments<'a>(Vec<Val<'a>>);

impl<'a> Arguments<'a> {
    pub(super) fn new(values: Vec<Val<'a>>) -> Self {
        Self(values)
    }

    fn all(&self) -> &[Val<'a>] {
        &self.0
    }

    fn get(&self, index: usize) -> &Val<'a> {
        self.0.get(index).unwrap_or(&Val::Undefined)
    }

    fn text(&self, index: usize) -> Option<&str> {
        self.get(index).as_str()
    }

    fn number(&self, index: usize) -> Option<f64> {
        self.get(index).as_number()
    }
}

pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.binary_search_by(|builtin| builtin.name.cmp(name)).ok().map(|index| &TABLE[index])
}

pub(super) fn transform_signature() -> &'static Signature {
    static SIGNATURE: LazyLock<Signature> = LazyLock::new(|| Signature::parse("<(oa):o>").unwrap_or_default());
    &SIGNATURE
}

static TABLE: LazyLock<Vec<Builtin>> = LazyLock::new(|| {
    let row = |(name, signature, arity, run): (&'static str, &'static str, usize, Run)| Builtin {
        name,
        signature,
        arity,
        parameters: if matches!(name, "string") { 2 } else { arity },
        run,
        parsed: OnceLock::new(),
    };
    let mut table: Vec<Builtin> = ROWS.iter().copied().map(row).collect();
    table.sort_by_key(|builtin| builtin.name);
    table
});

const ROWS: &[(&str, &str, usize, Run)] = &[
    ("sum", "<a<n>:n>", 1, numbers::sum),
    ("count", "<a:n>", 1, numbers::count),
    ("max", "<a<n>:n>", 1, numbers::max),
    ("min", "<a<n>:n>", 1, numbers::min),
    ("average", "<a<n>:n>", 1, numbers::average),
    ("string", "<x-b?:s>", 1, strings::string),
    ("substring", "<s-nn?:s>", 3, strings::substring),
    ("substringBefore", "<s-s:s>", 2, strings::substring_before),
    ("substringAfter", "<s-s:s>", 2, strings::substring_after),
    ("lowercase", "<s-:s>", 1, strings::lowercase),
    ("uppercase", "<s-:s>", 1, strings::uppercase),
    ("length", "<s-:n>", 1, strings::length),
    ("trim", "<s-:s>", 1, strings::trim),
    ("pad", "<s-ns?:s>", 3, strings::pad),
    ("match", "<s-f<s:o>n?:a<o>>", 3, strings::matches),
    ("contains", "<s-(sf):b>", 2, strings::contains),
    ("replace", "<s-(sf)(sf)n?:s>", 4, strings::replace),
    ("split", "<s-(sf)n?:a<s>>", 3, strings::split),
    ("join", "<a<s>s?:s>", 2, strings::join),
    ("formatNumber", "<n-so?:s>", 3, times::format_number),
    ("formatBase", "<n-n?:s>", 2, numbers::format_base),
    ("formatInteger", "<n-s:s>", 2, times::format_integer),
    ("parseInteger", "<s-s:n>", 2, times::parse_integer),
    ("number", "<(nsb)-:n>", 1, numbers::number),
    ("floor", "<n-:n>", 1, numbers::floor),
    ("ceil", "<n-:n>", 1, numbers::ceil),
    ("round", "<n-n?:n>", 2, numbers::round),
    ("abs", "<n-:n>", 1, numbers::abs),
    ("sqrt", "<n-:n>", 1, numbers::sqrt),
    ("power", "<n-n:n>", 2, numbers::power),
    ("random", "<n?:n>", 1, added::random),
    ("boolean", "<x-:b>", 1, objects::boolean),
    ("not", "<x-:b>", 1, objects::not),
    ("map", "<af>", 2, arrays::map),
    ("zip", "<a+>", 0, arrays::zip),
    ("filter", "<af>", 2, arrays::filter),
    ("single", "<af?>", 2, arrays::single),
    ("reduce", "<afj?:j>", 3, arrays::reduce),
    ("sift", "<o-f?:o>", 2, objects::sift),
    ("keys", "<x-:a<s>>", 1, objects::keys),
    ("lookup", "<x-s:x>", 2, objects::lookup),
    ("append", "<xx:a>", 2, arrays::append_values),
    ("exists", "<x:b>", 1, objects::exists),
    ("spread", "<x-:a<o>>", 1, objects::spread),
    ("merge", "<a<o>:o>", 1, objects::merge),
    ("reverse", "<a:a>", 1, arrays::reverse),
    ("each", "<o-f:a>", 2, objects::each),
    ("error", "<s?:x>", 1, objects::error),
    ("assert", "<bs?:x>", 2, objects::assert),
    ("type", "<x:s>", 1, objects::kind),
    ("sort", "<af?:a>", 2, arrays::sort),
    ("shuffle", "<a:a>", 1, arrays::shuffle),
    ("distinct", "<x:x>", 1, arrays::distinct),
    ("base64encode", "<s-:s>", 1, strings::base64_encode),
    ("base64decode", "<s-:s>", 1, strings::base64_decode),
    ("encodeUrlComponent", "<s-:s>", 1, strings::encode_url_component),
    ("encodeUrl", "<s-:s>", 1, strings::encode_url),
    ("decodeUrlComponent", "<s-:s>", 1, strings::decode_url_component),
    ("decodeUrl", "<s-:s>", 1, strings::decode_url),
    ("toMillis", "<s-s?:n>", 2, times::to_millis),
    ("fromMillis", "<n-s?s?:s>", 3, times::from_millis),
    ("now", "<s?s?:s>", 2, times::now),
    ("millis", "<:n>", 0, times::millis),
    ("clone", "<(oa)-:o>", 1, objects::clone),
    // What AWS adds; `$eval` it takes away.
    ("partition", "<an:a>", 2, added::partition),
    ("range", "<nnn:a>", 3, added::range),
    ("hash", "<ss:s>", 2, added::hash),
    ("uuid", "<:s>", 0, added::uuid),
    ("parse", "<s-:x>", 1, added::parse),
];
