//! From classified files to tables and partitions: like siblings share a table rooted at their parent folder.
//!
//! A folder is folded after its children. What its children and its own files have in common goes up as one group,
//! which the parent may merge further; what does not fit stays behind as a table of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::naming::key_value;
use super::schema::FileSchema;

/// More kinds of schemas than this at one level are separate tables (Knowledge Center).
const MOST_CLUSTERS: usize = 5;
/// Of folders without keys in their names, this share must be alike to count as partitions of one table.
const MAJORITY_PERCENT: usize = 70;

#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) schema: Arc<FileSchema>,
}

pub(super) struct Rules<'a> {
    /// Schemas need not be similar, only compatible.
    pub(super) combine: bool,
    /// One table at the include path, whatever lies below.
    pub(super) whole: bool,
    /// How many folders above a table's files belong to its own path.
    pub(super) table_depth: Option<usize>,
    /// Folders that tables lie at already: those are not parts of others.
    pub(super) roots: &'a BTreeSet<String>,
}

impl Rules<'_> {
    fn has_roots_below(&self, path: &str) -> bool {
        let next = self.roots.range::<str, _>((Bound::Excluded(path), Bound::Unbounded)).next();
        next.is_some_and(|root| root.starts_with(path))
    }
}

/// A future table.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Folder with trailing slash (empty for the bucket), or the key of a single file.
    pub(super) root: String,
    pub(super) schema: FileSchema,
    /// One entry for each level of partitions: its key, if all folders name the same one.
    pub(super) levels: Vec<Option<String>>,
    pub(super) leaves: Vec<Leaf>,
}

/// A folder with files: a partition, or the table itself when there are no levels.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) folder: String,
    /// Folder names from the table's root down.
    pub(super) path: Vec<String>,
    pub(super) schema: FileSchema,
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
}

/// Groups the files below the folder `include` (with trailing slash, or empty).
pub(super) fn group(include: &str, files: Vec<File>, rules: &Rules<'_>) -> Vec<Group> {
    // An include path that names a file is a table of that one file.
    let (below, named): (Vec<File>, Vec<File>) = files.into_iter().partition(|f| f.key.starts_with(include));
    let mut tree = Folder { path: include.to_owned(), ..Folder::default() };
    for file in below {
        tree.insert(file);
    }
    let mut folded = fold(tree, rules);
    folded.tables.extend(folded.group);
    folded.tables.extend(named.into_iter().map(of_file));
    folded.tables.sort_by(|a, b| a.root.cmp(&b.root));
    folded.tables
}

#[derive(Default)]
struct Folder {
    path: String,
    files: Vec<File>,
    children: BTreeMap<String, Folder>,
}

impl Folder {
    fn insert(&mut self, file: File) {
        let rest = file.key[self.path.len()..].to_owned();
        match rest.split_once('/') {
            Some((name, _)) => {
                let path = format!("{}{name}/", self.path);
                self.children.entry(name.to_owned()).or_insert_with(|| Self { path, ..Self::default() }).insert(file);
            }
            None => self.files.push(file),
        }
    }

    fn depth(&self) -> usize {
        self.path.matches('/').count()
    }
}

/// What a folder passes up, and what is settled below it.
#[derive(Default)]
struct Folded {
    group: Option<Group>,
    tables: Vec<Group>,
}

fn fold(folder: Folder, rules: &Rules<'_>) -> Folded {
    let depth = folder.depth();
    let path = folder.path;
    let forced = rules.whole || rules.table_depth.is_some_and(|level| depth >= level);
    let is_root = rules.roots.contains(&path);
    let is_deep = rules.table_depth.is_none_or(|level| depth >= level);
    let may_merge = rules.whole || is_deep && (is_root || !rules.has_roots_below(&path));
    let mut out = Folded::default();
    let mut kids = Vec::new();
    for (name, child) in folder.children {
        let below = fold(child, rules);
        out.tables.extend(below.tables);
        kids.extend(below.group.map(|group| (name, group)));
    }
    let own = own_files(folder.files, rules, forced, &mut out.tables);
    if !may_merge {
        out.tables.extend(own.into_iter().map(of_file));
        out.tables.extend(kids.into_iter().map(|(_, group)| group));
        return out;
    }
    let no_folders = kids.is_empty() && out.tables.is_empty();
    let merged = merge_kids(&path, kids, rules, forced, &mut out.tables);
    out.group = match merged {
        None if own.is_empty() => None,
        None if no_folders || forced => of_files(&path, own),
        // A table here would read the tables below as well.
        None => {
            out.tables.extend(own.into_iter().map(of_file));
            None
        }
        Some(kids) => beside(&path, own, kids, rules, forced, &mut out.tables),
    };
    // A table must not be merged above the level that the configuration names, nor one that is there already into another.
    if (rules.table_depth == Some(depth) || is_root) && !rules.whole {
        out.tables.extend(out.group.take());
    }
    out
}

/// The files right in a folder that are alike, if they are most; each of the others is a table.
fn own_files(files: Vec<File>, rules: &Rules<'_>, forced: bool, tables: &mut Vec<Group>) -> Vec<File> {
    let same = |a: &File, b: &File| Arc::ptr_eq(&a.schema, &b.schema) || alike(&a.schema, &b.schema, rules, forced);
    let clusters = cluster(files, same);
    let total: usize = clusters.iter().map(Vec::len).sum();
    let mut chosen = Vec::new();
    for files in clusters {
        if files.len() * 100 >= total * MAJORITY_PERCENT {
            chosen = files;
        } else {
            tables.extend(files.into_iter().map(of_file));
        }
    }
    chosen
}

/// Sibling folders: partitions of a group rooted at their parent, or tables of their own.
fn merge_kids(
    path: &str,
    kids: Vec<(String, Group)>,
    rules: &Rules<'_>,
    forced: bool,
    tables: &mut Vec<Group>,
) -> Option<Group> {
    let total = kids.len();
    let lone = total == 1 && path.is_empty() && !forced && !rules.roots.contains(path);
    let clusters = cluster(kids, |a, b| same_table(a, b, rules, forced));
    let clusters_found = clusters.len();
    let most = clusters.iter().map(Vec::len).max()?;
    let mut chosen = None;
    for cluster in clusters {
        let keyed = cluster.iter().all(|(name, _)| key_value(name).is_some());
        let share = if keyed { 50 } else { MAJORITY_PERCENT };
        let major = cluster.len() == most && most * 100 >= total * share && clusters_found <= MOST_CLUSTERS;
        // The only folder of a bucket is a table, not a partition of the bucket.
        let stays = lone && !keyed;
        if chosen.is_none() && major && !stays {
            chosen = raise(path, cluster);
        } else {
            tables.extend(cluster.into_iter().map(|(_, group)| group));
        }
    }
    chosen
}

/// Files next to folders: a table cannot have partitions and files at its root.
fn beside(
    path: &str,
    own: Vec<File>,
    kids: Group,
    rules: &Rules<'_>,
    forced: bool,
    tables: &mut Vec<Group>,
) -> Option<Group> {
    let keyed = kids.levels.iter().all(Option::is_some);
    let like = own.first().is_some_and(|file| alike(&file.schema, &kids.schema, rules, forced));
    if own.is_empty() {
        Some(kids)
    } else if like && (!keyed || forced) {
        of_files(path, own).map(|own| flatten(own, kids))
    } else {
        tables.extend(own.into_iter().map(of_file));
        Some(kids)
    }
}

/// One table without partitions that holds the files of a folder and of all folders below.
fn flatten(mut own: Group, kids: Group) -> Group {
    own.schema.absorb(&kids.schema);
    if let Some(first) = own.leaves.first_mut() {
        for leaf in kids.leaves {
            first.schema.absorb(&leaf.schema);
            first.objects += leaf.objects;
            first.bytes += leaf.bytes;
            first.records += leaf.records;
        }
    }
    own
}

/// Puts the children's groups under their parent, each with one level of partitions more.
fn raise(path: &str, kids: Vec<(String, Group)>) -> Option<Group> {
    let mut out: Option<Group> = None;
    for (name, mut group) in kids {
        for leaf in &mut group.leaves {
            leaf.path.insert(0, name.clone());
        }
        match &mut out {
            None => {
                group.levels.insert(0, key_value(&name).map(|(key, _)| key));
                path.clone_into(&mut group.root);
                out = Some(group);
            }
            Some(first) => {
                first.schema.absorb(&group.schema);
                first.leaves.append(&mut group.leaves);
            }
        }
    }
    out
}

fn same_table(a: &(String, Group), b: &(String, Group), rules: &Rules<'_>, forced: bool) -> bool {
    let (schema, other) = (&a.1.schema, &b.1.schema);
    let belong = match (key_value(&a.0), key_value(&b.0)) {
        // Folders of one key say themselves that they belong together.
        (Some((k, _)), Some((l, _))) => k == l && (alike(schema, other, rules, forced) || schema.grown(other)),
        (None, None) => alike(schema, other, rules, forced),
        _ => false,
    };
    belong && a.1.levels == b.1.levels
}

fn alike(a: &FileSchema, b: &FileSchema, rules: &Rules<'_>, forced: bool) -> bool {
    if rules.combine || forced { a.compatible(b) } else { a.similar(b) }
}

/// Sorts into clusters by likeness to each cluster's first.
fn cluster<T>(items: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<Vec<T>> {
    let mut clusters: Vec<Vec<T>> = Vec::new();
    for item in items {
        match clusters.iter_mut().find(|cluster| cluster.first().is_some_and(|first| same(first, &item))) {
            Some(cluster) => cluster.push(item),
            None => clusters.push(vec![item]),
        }
    }
    clusters
}

fn of_files(path: &str, files: Vec<File>) -> Option<Group> {
    let mut files = files.into_iter();
    let first = files.next()?;
    let mut last = Arc::clone(&first.schema);
    let mut group = of_file(first);
    path.clone_into(&mut group.root);
    let leaf = group.leaves.first_mut()?;
    path.clone_into(&mut leaf.folder);
    for file in files {
        leaf.objects += 1;
        leaf.bytes += file.size;
        leaf.records += records(&file);
        if !Arc::ptr_eq(&last, &file.schema) {
            leaf.schema.absorb(&file.schema);
            last = file.schema;
        }
    }
    group.schema = leaf.schema.clone();
    Some(group)
}

fn of_file(file: File) -> Group {
    let schema = (*file.schema).clone();
    let leaf = Leaf {
        folder: file.key.clone(),
        path: Vec::new(),
        schema: schema.clone(),
        objects: 1,
        bytes: file.size,
        records: records(&file),
    };
    Group { root: file.key, schema, levels: Vec::new(), leaves: vec![leaf] }
}

/// Exact where the sample is the file or a footer told; in proportion to the size elsewhere.
fn records(file: &File) -> u64 {
    let sampled = u128::from(file.schema.bytes.max(1));
    let estimate = (u128::from(file.schema.records) * u128::from(file.size) + sampled / 2) / sampled;
    u64::try_from(estimate).unwrap_or(u64::MAX).max(1)
}
