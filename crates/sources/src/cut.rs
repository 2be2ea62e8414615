//! Batches that are larger than what is called takes at once.

/// How many of `sizes`, from the first on, fit into so many bytes: one at least, where there is any.
pub fn fit(sizes: impl IntoIterator<Item = usize>, most: usize) -> usize {
    let (mut bytes, mut count) = (0_usize, 0);
    for size in sizes {
        bytes = bytes.saturating_add(size);
        if bytes > most && count > 0 {
            return count;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn one_at_least() {
        assert_eq!(fit([4, 4, 4], 8), 2);
        assert_eq!(fit([4, 4, 4], 12), 3);
        assert_eq!(fit([40, 4], 8), 1);
        assert_eq!(fit([4, 40], 8), 1);
        assert_eq!(fit([], 8), 0);
    }
}
