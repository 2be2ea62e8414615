//! The order that a Java `HashMap` gives its keys in, which is the order of an item's members: AWS makes a map of a CSV row.
//!
//! Source: recorded executions, whose items have the members `0`, `{}`, `True` where the header has `0`, `True`, `{}`; OpenJDK,
//! `java.util.HashMap`: 16 buckets at first, twice as many whenever more than three in four are taken, one bucket after the other.

/// Where each key stands among the keys as given: `order[0]` is the index of the first one.
pub(super) fn order(keys: &[String]) -> Vec<usize> {
    let mut buckets: usize = 16;
    while keys.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|index| bucket(&keys[*index], buckets));
    order
}

/// `(h ^ h >>> 16) & (n - 1)` of `String.hashCode`.
fn bucket(key: &str, buckets: usize) -> usize {
    let hash = key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) as usize & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::order;

    fn ordered<const N: usize>(keys: [&str; N]) -> Vec<String> {
        let keys = keys.map(str::to_owned);
        order(&keys).into_iter().map(|index| keys[index].clone()).collect()
    }

    #[test]
    fn keys_come_in_the_order_of_their_buckets() {
        assert_eq!(ordered(["0", "True", "{}"]), ["0", "{}", "True"]);
        assert_eq!(ordered(["Col1", "Col2", "Col3"]), ["Col1", "Col2", "Col3"]);
        assert_eq!(ordered(["H1", ""]), ["", "H1"]);
        // 13 keys need 32 buckets: in 16 the letters from p on would come first.
        let letters = ["p", "o", "n", "m", "l", "k", "j", "i", "h", "g", "f", "e", "d"];
        assert_eq!(ordered(letters).concat(), "defghijklmnop");
        assert_eq!(ordered(["p", "o"]), ["p", "o"]);
    }
}
