//! The book and the pages beside the code: every link within the repository leads to a file that is there and to a heading that it has,
//! every page of `docs/` stands in the contents, and a test that a link names is in its file.
//!
//! Markdown is read by pulldown-cmark, which mdBook reads it with; headings have the names that mdBook and GitHub give them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::checks::root;

const CONTENTS: &str = "SUMMARY.md";
/// Folders with pages that people read.
const FOLDERS: [&str; 8] = ["", "docs", "docs/decisions", "examples", "packaging", "bench", "console", "conformance"];

/// What is wrong.
pub(crate) fn faults() -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    for folder in FOLDERS {
        for path in markdown(&root().join(folder))? {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            pages.insert(path, Page::of(&text));
        }
    }
    let mut faults = Vec::new();
    for (path, page) in &pages {
        let shown = path.strip_prefix(root()).unwrap_or(path).display();
        for link in &page.links {
            if let Some(fault) = fault_of(path, link, &pages) {
                faults.push(format!("{shown}: {}: {fault}", link.target));
            }
        }
    }
    faults.extend(unlisted(&pages));
    Ok(faults)
}

fn markdown(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "md") {
            found.push(path);
        }
    }
    Ok(found)
}

#[derive(Debug, Default)]
struct Page {
    links: Vec<Link>,
    headings: BTreeSet<String>,
}

#[derive(Debug)]
struct Link {
    /// What is shown.
    name: String,
    target: String,
}

impl Page {
    fn of(text: &str) -> Self {
        let mut page = Self::default();
        let (mut link, mut heading) = (None::<Link>, None::<String>);
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url: target, .. } | Tag::Image { dest_url: target, .. }) => {
                    link = Some(Link { name: String::new(), target: target.into_string() });
                }
                Event::End(TagEnd::Link | TagEnd::Image) => page.links.extend(link.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.name(heading.take().as_deref().unwrap_or_default()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(link) = &mut link {
                        link.name.push_str(&text);
                    }
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// A second heading of the same words is the first one's name and `-1`.
    fn name(&mut self, heading: &str) {
        let plain = name_of(heading);
        let numbered = (1..).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !self.headings.contains(name));
        self.headings.extend(free);
    }
}

/// Source: mdBook, `mdbook::utils::normalize_id`.
fn name_of(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_ascii_lowercase()),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    });
    kept.collect()
}

fn fault_of(page: &Path, link: &Link, pages: &BTreeMap<PathBuf, Page>) -> Option<String> {
    let target = &link.target;
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').map_or((target.as_str(), None), |(file, name)| (file, Some(name)));
    let path = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    let Ok(path) = path.canonicalize() else { return Some("there is no such file".to_owned()) };
    if let Some(heading) = heading
        && let Some(page) = pages.get(&path)
        && !page.headings.contains(heading)
    {
        return Some("the page has no such heading".to_owned());
    }
    let is_code = path.extension().is_some_and(|kind| kind == "rs");
    let is_test = is_code && link.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let has_it = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("fn {}(", link.name)));
    (is_test && !has_it()).then(|| format!("the file has no test {}", link.name))
}

/// Pages that the contents do not lead to.
fn unlisted(pages: &BTreeMap<PathBuf, Page>) -> Vec<String> {
    let docs = root().join("docs");
    let listed: BTreeSet<PathBuf> = pages
        .get(&docs.join(CONTENTS))
        .into_iter()
        .flat_map(|contents| contents.links.iter().map(|link| docs.join(&link.target)))
        .collect();
    let lacks = |path: &&PathBuf| path.starts_with(&docs) && !path.ends_with(CONTENTS) && !listed.contains(*path);
    pages.keys().filter(lacks).map(|path| format!("docs/{CONTENTS} lacks {}", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_books_names() {
        let page = Page::of(
            "# What `a` is\n\n## `--break` it: 2\n\n## What a is\n\n[x](y.md#z) ![p](i.png)\n\n    [no](link)\n",
        );
        let names: Vec<_> = page.headings.iter().map(String::as_str).collect();
        assert_eq!(names, ["--break-it-2", "what-a-is", "what-a-is-1"]);
        let links: Vec<_> = page.links.iter().map(|link| (link.name.as_str(), link.target.as_str())).collect();
        assert_eq!(links, [("x", "y.md#z"), ("p", "i.png")]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told() {
        let docs = root().join("docs");
        let page = docs.join("operations.md");
        let pages = BTreeMap::from([(page.clone(), Page::of("# Metrics and logs\n"))]);
        let of = |name: &str, target: &str| {
            fault_of(&page, &Link { name: name.to_owned(), target: target.to_owned() }, &pages)
        };
        assert_eq!(of("", "https://example.com/nothing"), None);
        assert_eq!(of("", "#metrics-and-logs"), None);
        assert_eq!(of("", "operations.md#metrics-and-logs"), None);
        assert!(of("", "operations.md#metrics").is_some_and(|fault| fault.contains("heading")));
        assert!(of("", "no-such-page.md").is_some_and(|fault| fault.contains("file")));
        assert_eq!(of("a_link_that_leads_nowhere_is_told", "../xtask/src/book.rs"), None);
        assert!(of("no_such_test", "../xtask/src/book.rs").is_some_and(|fault| fault.contains("no test")));
    }

    #[test]
    fn the_book_is_whole() {
        assert_eq!(faults().unwrap(), Vec::<String>::new());
    }
}
