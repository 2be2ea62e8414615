//! What a finished crawl changes in the catalog, under the crawler's policies.
//!
//! Pure: the catalog's present tables in, changes out. New tables and partitions are always made; what exists is
//! updated, and what is gone deleted or marked, as the policies say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::naming::{disambiguated, table_name};
use super::tables::{Column, CrawledPartition, CrawledTable, Report, Storage};

/// How the crawler treats what is already in the catalog.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of a crawler that is on or off by itself")]
pub struct Policies {
    pub crawler: String,
    pub table_prefix: String,
    pub run_id: String,
    /// `UpdateBehavior` LOG: existing definitions stay as they are.
    pub update_log: bool,
    pub delete: Delete,
    /// `MergeNewColumns`: columns are only added.
    pub merge_new_columns: bool,
    /// `InheritFromTable`: partitions take the table's columns, formats and serde.
    pub inherit: bool,
    /// Only new folders were looked at: nothing can be said to be gone.
    pub new_folders_only: bool,
    /// Value of `DEPRECATED_BY_CRAWLER`: the time in milliseconds.
    pub now_ms: i64,
    /// When the crawl began, in milliseconds since 1970: what came later it may not have seen.
    pub began_ms: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delete {
    #[default]
    Deprecate,
    Delete,
    Log,
}

/// A table of the catalog, as far as a crawl cares.
#[derive(Debug, Clone, Default)]
pub struct KnownTable {
    pub name: String,
    pub storage: Storage,
    pub partition_keys: Vec<Column>,
    pub parameters: BTreeMap<String, String>,
    pub partitions: Vec<KnownPartition>,
    /// A catalog target: only this table may take what lies at its location.
    pub target: bool,
}

#[derive(Debug, Clone, Default)]
pub struct KnownPartition {
    pub values: Vec<String>,
    pub storage: Storage,
    pub parameters: BTreeMap<String, String>,
    /// When it came into the catalog, in milliseconds since 1970; 0 where that is not known.
    pub created_ms: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Known {
    pub tables: Vec<KnownTable>,
    /// The crawl was over catalog targets, which never make tables.
    pub catalog_targets: bool,
}

/// One change, to be carried out in the given order.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    CreateTable {
        name: String,
        table: CrawledTable,
    },
    /// `schema` is false when only counts differ: no version is archived then, and it is not called an update.
    UpdateTable {
        name: String,
        table: CrawledTable,
        schema: bool,
    },
    DeprecateTable {
        name: String,
        at_ms: i64,
    },
    DeleteTable {
        name: String,
    },
    PutPartition {
        table: String,
        partition: CrawledPartition,
        new: bool,
    },
    DeletePartition {
        table: String,
        values: Vec<String>,
    },
    Log(String),
}

/// The `UPDATED_BY_CRAWLER` parameter.
const UPDATED_BY: &str = "UPDATED_BY_CRAWLER";
const DEPRECATED_BY: &str = "DEPRECATED_BY_CRAWLER";
const RUN_ID: &str = "CRAWL_RUN_ID";
/// Parameters that change from run to run without the table being another.
const COUNTS: [&str; 5] = ["objectCount", "recordCount", "averageRecordSize", "sizeKey", RUN_ID];

pub fn merge(report: &Report, known: &Known, policies: &Policies) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut taken: BTreeSet<String> = known.tables.iter().map(|t| t.name.clone()).collect();
    let mut found = BTreeSet::new();
    for crawled in &report.tables {
        let mut crawled = crawled.clone();
        stamp(&mut crawled, policies);
        match existing(known, &crawled, policies) {
            Some(old) => {
                if !found.insert(old.name.clone()) {
                    continue;
                }
                update(&mut changes, old, crawled, (report, policies));
            }
            None if known.catalog_targets => {
                changes.push(Change::Log(format!(
                    "WARN : {} belongs to no table of the catalog targets",
                    crawled.storage.location
                )));
            }
            // Source: AWS Glue Developer Guide, "Incremental crawls for adding new partitions": no new tables after the first crawl.
            None if policies.new_folders_only && known.tables.iter().any(|table| is_own(table, policies)) => {
                changes.push(Change::Log(format!(
                    "WARN : {} belongs to no table of this crawler; a crawl of new folders only adds partitions to those that are there",
                    crawled.storage.location
                )));
            }
            None => {
                let plain = table_name(&policies.table_prefix, &crawled.root);
                let name =
                    if taken.contains(&plain) { disambiguated(&plain, &crawled.storage.location) } else { plain };
                taken.insert(name.clone());
                found.insert(name.clone());
                create(&mut changes, &name, crawled, policies);
            }
        }
    }
    for old in &known.tables {
        if found.contains(&old.name) || !is_own(old, policies) || policies.new_folders_only {
            continue;
        }
        if is_missed(&old.storage.location, report) {
            delete(&mut changes, old, policies);
        } else if has_files(&old.storage.location, report) {
            changes.push(Change::Log(format!(
                "WARN : The files of table {} are there and make other tables now; it stays as it is",
                old.name
            )));
        }
    }
    changes
}

/// Marks the table and its partitions as this crawler's.
fn stamp(table: &mut CrawledTable, policies: &Policies) {
    let stamp = |parameters: &mut BTreeMap<String, String>| {
        parameters.insert(UPDATED_BY.to_owned(), policies.crawler.clone());
        parameters.insert(RUN_ID.to_owned(), policies.run_id.clone());
    };
    stamp(&mut table.parameters);
    for partition in &mut table.partitions {
        stamp(&mut partition.parameters);
    }
}

/// The catalog's table for what was found: at the same place, and made by a crawler or of the very name.
fn existing<'a>(known: &'a Known, crawled: &CrawledTable, policies: &Policies) -> Option<&'a KnownTable> {
    let place = crawled.storage.location.trim_end_matches('/');
    let here = |t: &&KnownTable| t.storage.location.trim_end_matches('/') == place;
    if known.catalog_targets {
        return known.tables.iter().filter(|t| t.target).find(here);
    }
    let name = table_name(&policies.table_prefix, &crawled.root);
    let mut at_place = known.tables.iter().filter(here);
    let ours = at_place.clone().find(|t| t.parameters.get(UPDATED_BY) == Some(&policies.crawler));
    ours.or_else(|| at_place.find(|t| t.name == name || t.parameters.contains_key(UPDATED_BY)))
}

fn create(changes: &mut Vec<Change>, name: &str, mut table: CrawledTable, policies: &Policies) {
    let partitions = std::mem::take(&mut table.partitions);
    let storage = table.storage.clone();
    changes.push(Change::CreateTable { name: name.to_owned(), table });
    for partition in partitions {
        let partition = inherit(partition, &storage, policies);
        changes.push(Change::PutPartition { table: name.to_owned(), partition, new: true });
    }
}

fn update(
    changes: &mut Vec<Change>,
    old: &KnownTable,
    mut table: CrawledTable,
    (report, policies): (&Report, &Policies),
) {
    let partitions = std::mem::take(&mut table.partitions);
    // Keys of the same names keep the types that the table's owner gave them.
    let names = |keys: &[Column]| keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>();
    if names(&old.partition_keys) == names(&table.partition_keys) {
        table.partition_keys.clone_from(&old.partition_keys);
    }
    let frozen = policies.update_log || policies.new_folders_only;
    if policies.merge_new_columns {
        table.storage.columns = with_new_columns(&old.storage.columns, table.storage.columns);
    }
    let schema = differs(old, &table);
    // Values are of keys by their places: keys of other names can have them.
    let same_keys = old.partition_keys.len() == table.partition_keys.len();
    if !same_keys && !policies.new_folders_only && holds_to_its_keys(changes, old, &table, (report, policies)) {
        return;
    }
    let storage = if frozen { old.storage.clone() } else { table.storage.clone() };
    if frozen {
        if schema {
            changes.push(Change::Log(format!(
                "INFO : Table {} has changed in its data; the update behavior is LOG, so its definition stays",
                old.name
            )));
        }
        if !same_keys {
            return;
        }
    } else {
        changes.push(Change::UpdateTable { name: old.name.clone(), table, schema });
    }
    let present: BTreeMap<&[String], &KnownPartition> =
        if same_keys { old.partitions.iter().map(|p| (p.values.as_slice(), p)).collect() } else { BTreeMap::new() };
    let mut seen = BTreeSet::new();
    for partition in partitions {
        let partition = inherit(partition, &storage, policies);
        seen.insert(partition.values.clone());
        match present.get(partition.values.as_slice()) {
            None => changes.push(Change::PutPartition { table: old.name.clone(), partition, new: true }),
            Some(_) if frozen => {}
            Some(known) => {
                let mut partition = partition;
                if policies.merge_new_columns && !policies.inherit {
                    partition.storage.columns = with_new_columns(&known.storage.columns, partition.storage.columns);
                }
                // Of many partitions few change from crawl to crawl: the others are not written again.
                if known.storage != partition.storage || !is_same(&known.parameters, &partition.parameters) {
                    changes.push(Change::PutPartition { table: old.name.clone(), partition, new: false });
                }
            }
        }
    }
    if policies.new_folders_only {
        return;
    }
    for partition in &old.partitions {
        if same_keys && (seen.contains(&partition.values) || !is_gone(partition, report, policies)) {
            continue;
        }
        // Partitions of other keys cannot stay in a table that no longer has them.
        if policies.delete == Delete::Delete || !same_keys {
            changes.push(Change::DeletePartition { table: old.name.clone(), values: partition.values.clone() });
        } else {
            changes.push(Change::Log(format!(
                "INFO : Partition [{}] of table {} is no longer in the data store",
                partition.values.join(", "),
                old.name
            )));
        }
    }
}

/// Whether a table has partitions that the keys which its folders make now could not have, and deleting is not said: the log says so.
fn holds_to_its_keys(
    changes: &mut Vec<Change>,
    old: &KnownTable,
    table: &CrawledTable,
    (report, policies): (&Report, &Policies),
) -> bool {
    let kept = old.partitions.iter().filter(|partition| !is_gone(partition, report, policies)).count();
    if kept == 0 || policies.delete == Delete::Delete {
        return false;
    }
    changes.push(Change::Log(format!(
        "WARN : The folders of table {} make {} partition keys now where it has {}, and {kept} partitions by those; it stays as it is",
        old.name,
        table.partition_keys.len(),
        old.partition_keys.len()
    )));
    true
}

/// Whether a partition that was not found is gone: what could not be read, or came into the catalog since the crawl began, may be there.
fn is_gone(partition: &KnownPartition, report: &Report, policies: &Policies) -> bool {
    partition.created_ms < policies.began_ms && is_missed(&partition.storage.location, report)
}

/// Whether a place lies within what was crawled, and no file of it is there: neither one that makes another table now, nor one that was
/// left out or not read, nor one that nobody recognises. Source: AWS Glue Developer Guide, "Setting crawler configuration options": it is about a *deleted* object.
fn is_missed(location: &str, report: &Report) -> bool {
    let place = format!("{}/", location.trim_end_matches('/'));
    let parent = place.trim_end_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent);
    // A table may be one file: then a folder of unknown files may hold it.
    let is_file = !location.ends_with('/');
    let holds = |path: &str| {
        path.starts_with(&place) || path == location || (is_file && path.strip_suffix('/') == Some(parent))
    };
    report.crawled.iter().any(|folder| place.starts_with(folder.as_str()))
        && !report.unread.iter().any(|path| holds(path))
        && !has_files(location, report)
}

/// Whether files below a place, or the file that it is, have been recognised.
fn has_files(location: &str, report: &Report) -> bool {
    let place = format!("{}/", location.trim_end_matches('/'));
    let next = report.found.range::<str, _>((Bound::Included(place.as_str()), Bound::Unbounded)).next();
    report.found.contains(location) || next.is_some_and(|folder| folder.starts_with(&place))
}

fn inherit(mut partition: CrawledPartition, table: &Storage, policies: &Policies) -> CrawledPartition {
    if policies.inherit {
        let location = std::mem::take(&mut partition.storage.location);
        partition.storage = Storage { location, ..table.clone() };
    }
    partition
}

/// The old columns as they are, and behind them those that only the new ones have.
fn with_new_columns(old: &[Column], new: Vec<Column>) -> Vec<Column> {
    let mut out = old.to_vec();
    out.extend(new.into_iter().filter(|column| !old.iter().any(|o| o.name == column.name)));
    out
}

/// Whether a partition's files are as another crawl found them.
fn is_same(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> bool {
    let of_files = |parameters: &BTreeMap<String, String>| {
        let mut kept = parameters.clone();
        kept.remove(RUN_ID);
        kept
    };
    of_files(old) == of_files(new)
}

fn differs(old: &KnownTable, new: &CrawledTable) -> bool {
    let lasting = |parameters: &BTreeMap<String, String>| {
        let mut kept = parameters.clone();
        kept.retain(|name, _| !COUNTS.contains(&name.as_str()));
        kept
    };
    let (before, after) = (lasting(&old.parameters), lasting(&new.parameters));
    old.storage != new.storage
        || old.partition_keys != new.partition_keys
        || after.iter().any(|(name, value)| before.get(name) != Some(value))
        || before.contains_key(DEPRECATED_BY)
}

fn is_own(table: &KnownTable, policies: &Policies) -> bool {
    table.parameters.get(UPDATED_BY) == Some(&policies.crawler)
}

fn delete(changes: &mut Vec<Change>, old: &KnownTable, policies: &Policies) {
    match policies.delete {
        Delete::Delete => changes.push(Change::DeleteTable { name: old.name.clone() }),
        Delete::Deprecate if old.parameters.contains_key(DEPRECATED_BY) => {}
        Delete::Deprecate => {
            changes.push(Change::DeprecateTable { name: old.name.clone(), at_ms: policies.now_ms });
        }
        Delete::Log => changes.push(Change::Log(format!("INFO : Table {} is no longer in the data store", old.name))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Change, Delete, Known, KnownPartition, KnownTable, Policies, merge};
    use crate::crawl::tables::{Column, CrawledPartition, CrawledTable, Report, Storage};

    fn columns(names: &[&str]) -> Vec<Column> {
        names.iter().map(|n| Column { name: (*n).to_owned(), ty: "int".to_owned() }).collect()
    }

    fn table(root: &str, names: &[&str], days: &[&str]) -> CrawledTable {
        let location = format!("s3://b/{root}/");
        let partition = |day: &&str| CrawledPartition {
            values: vec![(*day).to_owned()],
            storage: Storage { location: format!("{location}day={day}/"), ..Storage::default() },
            parameters: BTreeMap::new(),
        };
        CrawledTable {
            root: root.to_owned(),
            include: "s3://b/".to_owned(),
            partition_keys: if days.is_empty() { Vec::new() } else { columns(&["day"]) },
            storage: Storage { location: location.clone(), columns: columns(names), ..Storage::default() },
            parameters: BTreeMap::new(),
            partitions: days.iter().map(partition).collect(),
        }
    }

    fn policies() -> Policies {
        Policies {
            crawler: "c".into(),
            table_prefix: "p_".into(),
            run_id: "r".into(),
            now_ms: 5,
            began_ms: 4,
            ..Policies::default()
        }
    }

    /// The catalog after the changes.
    fn apply(known: &mut Known, changes: &[Change]) -> Vec<String> {
        let mut words = Vec::new();
        for change in changes {
            match change {
                Change::CreateTable { name, table } => {
                    words.push(format!("create {name}"));
                    known.tables.push(KnownTable {
                        name: name.clone(),
                        storage: table.storage.clone(),
                        partition_keys: table.partition_keys.clone(),
                        parameters: table.parameters.clone(),
                        ..KnownTable::default()
                    });
                }
                Change::UpdateTable { name, table, schema } => {
                    let cols: Vec<&str> = table.storage.columns.iter().map(|c| c.name.as_str()).collect();
                    words.push(format!("update {name} {} {schema}", cols.join(",")));
                    let old = known.tables.iter_mut().find(|t| t.name == *name).unwrap();
                    old.storage = table.storage.clone();
                    old.partition_keys = table.partition_keys.clone();
                    old.parameters.extend(table.parameters.clone());
                }
                Change::PutPartition { table, partition, new } => {
                    words.push(format!("partition {table} {} {new}", partition.values.join("/")));
                    let old = known.tables.iter_mut().find(|t| t.name == *table).unwrap();
                    if *new {
                        old.partitions.push(KnownPartition {
                            values: partition.values.clone(),
                            storage: partition.storage.clone(),
                            parameters: partition.parameters.clone(),
                            created_ms: 1,
                        });
                    }
                }
                Change::DeprecateTable { name, at_ms } => words.push(format!("deprecate {name} {at_ms}")),
                Change::DeleteTable { name } => words.push(format!("delete {name}")),
                Change::DeletePartition { table, values } => {
                    words.push(format!("drop {table} {}", values.join("/")));
                }
                Change::Log(_) => words.push("log".into()),
            }
        }
        words
    }

    fn step(known: &mut Known, crawl: &Report) -> Vec<String> {
        let changes = merge(crawl, known, &policies());
        apply(known, &changes)
    }

    fn report(tables: Vec<CrawledTable>) -> Report {
        Report { tables, crawled: vec!["s3://b/".into()], ..Report::default() }
    }

    #[test]
    fn a_second_crawl_changes_counts_only() {
        let mut known = Known::default();
        let crawl = report(vec![table("Flights", &["a"], &["1", "2"])]);
        let words = step(&mut known, &crawl);
        assert_eq!(words, ["create p_flights", "partition p_flights 1 true", "partition p_flights 2 true"]);
        let words = step(&mut known, &crawl);
        assert_eq!(words, ["update p_flights a false"]);
        let mut grown = crawl.clone();
        grown.tables[0].partitions[1].parameters.insert("objectCount".into(), "2".into());
        assert_eq!(step(&mut known, &grown), ["update p_flights a false", "partition p_flights 2 false"]);
    }

    #[test]
    fn policies_rule_updates_and_deletions() {
        let mut start = Known::default();
        apply(&mut start, &merge(&report(vec![table("t", &["a", "b"], &["1"])]), &Known::default(), &policies()));
        let changed = report(vec![table("t", &["a", "c"], &["2"])]);
        let run = |policies: &Policies, crawl: &Report| apply(&mut start.clone(), &merge(crawl, &start, policies));

        let default = policies();
        assert_eq!(run(&default, &changed), ["update p_t a,c true", "partition p_t 2 true", "log"]);
        let adding = Policies { merge_new_columns: true, ..policies() };
        assert_eq!(run(&adding, &changed)[0], "update p_t a,b,c true");
        let deleting = Policies { delete: Delete::Delete, ..policies() };
        assert_eq!(run(&deleting, &changed)[2], "drop p_t 1");
        let logging = Policies { update_log: true, delete: Delete::Log, ..policies() };
        assert_eq!(run(&logging, &changed), ["log", "partition p_t 2 true", "log"]);
        let new_only = Policies { new_folders_only: true, ..policies() };
        assert_eq!(run(&new_only, &changed), ["log", "partition p_t 2 true"]);

        let nothing = report(Vec::new());
        assert_eq!(run(&default, &nothing), ["deprecate p_t 5"]);
        assert_eq!(run(&deleting, &nothing), ["delete p_t"]);
        assert_eq!(run(&logging, &nothing), ["log"]);
        assert!(run(&new_only, &nothing).is_empty());
        let unread = Report { unread: vec!["s3://b/t/day=1/x".into()], ..nothing.clone() };
        assert!(run(&deleting, &unread).is_empty());
        let part = Report { unread: vec!["s3://b/t/day=1/x".into()], ..changed.clone() };
        assert_eq!(run(&deleting, &part), ["update p_t a,c true", "partition p_t 2 true"]);
        let elsewhere = Report { crawled: vec!["s3://b/u/".into(), "s3://other/".into()], ..nothing.clone() };
        assert!(run(&deleting, &elsewhere).is_empty(), "a target that was taken away says nothing of its tables");
        let earlier = Policies { began_ms: 1, ..deleting };
        assert_eq!(run(&earlier, &changed), ["update p_t a,c true", "partition p_t 2 true"]);
        let other = Policies { crawler: "other".into(), delete: Delete::Delete, ..policies() };
        assert!(run(&other, &nothing).is_empty());
    }

    #[test]
    fn a_name_in_use_gets_a_lasting_suffix() {
        let mut known =
            Known { tables: vec![KnownTable { name: "p_t".into(), ..KnownTable::default() }], ..Known::default() };
        let crawl = report(vec![table("t", &["a"], &[])]);
        let words = step(&mut known, &crawl);
        assert!(words[0].starts_with("create p_t_"), "{words:?}");
        let again = step(&mut known, &crawl);
        assert!(again[0].starts_with("update p_t_"), "{again:?}");
    }

    #[test]
    fn partitions_inherit_when_told() {
        let mut policies = policies();
        policies.inherit = true;
        let crawl = report(vec![table("t", &["a"], &["1"])]);
        let changes = merge(&crawl, &Known::default(), &policies);
        let Change::PutPartition { partition, .. } = &changes[1] else { panic!("{changes:?}") };
        assert_eq!(partition.storage.columns, columns(&["a"]));
        assert_eq!(partition.storage.location, "s3://b/t/day=1/");
    }

    #[test]
    fn catalog_targets_never_make_tables() {
        let known = Known {
            tables: vec![KnownTable {
                name: "mine".into(),
                target: true,
                storage: Storage { location: "s3://b/t".into(), ..Storage::default() },
                ..KnownTable::default()
            }],
            catalog_targets: true,
        };
        let crawl = report(vec![table("t", &["a"], &[]), table("u", &["a"], &[])]);
        let changes = merge(&crawl, &known, &policies());
        assert!(matches!(&changes[0], Change::UpdateTable { name, .. } if name == "mine"));
        assert!(matches!(&changes[1], Change::Log(_)));
    }
}
