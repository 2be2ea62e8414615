//! Whole crawls over layouts kept in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use async_trait::async_trait;
use bytes::Bytes;

use super::merge::{Change, Known, KnownPartition, KnownTable};
use super::parquet_file::tests::file as parquet;
use super::{Classifier, CsvClassifier, CsvHeader, Object, Report, Request, Source, SourceError, Target, run};
use super::{Delete, Policies, merge};

/// Objects in memory, by bucket and key.
#[derive(Default)]
struct Memory {
    objects: BTreeMap<String, Bytes>,
    unreadable: Vec<String>,
}

#[async_trait]
impl Source for Memory {
    async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<Object>, SourceError> {
        if bucket != "b" {
            return Err(SourceError("NoSuchBucket".into()));
        }
        let folder = format!("{prefix}/");
        let below = |key: &str| prefix.is_empty() || key == prefix || key.starts_with(&folder);
        let found = self.objects.iter().filter(|(key, _)| below(key));
        Ok(found.map(|(key, bytes)| Object { key: key.clone(), size: bytes.len() as u64 }).collect())
    }

    async fn read(&self, _: &str, key: &str, start: u64, end: u64) -> Result<Bytes, SourceError> {
        if self.unreadable.iter().any(|u| u == key) {
            return Err(SourceError("AccessDenied".into()));
        }
        let bytes = &self.objects[key];
        Ok(bytes.slice(usize::try_from(start).unwrap()..usize::try_from(end).unwrap()))
    }
}

fn memory<B: Into<Bytes> + Clone>(files: &[(&str, B)]) -> Memory {
    let objects = files.iter().map(|(key, body)| ((*key).to_owned(), body.clone().into())).collect();
    Memory { objects, unreadable: Vec::new() }
}

fn crawl_with(memory: &Memory, request: &Request) -> Result<Report, SourceError> {
    futures::executor::block_on(run(request, memory))
}

fn request(path: &str) -> Request {
    Request { targets: vec![Target::parse(path).unwrap()], ..Request::default() }
}

/// One line a table: root, columns, keys, and the values of its partitions.
fn show(report: &Report) -> String {
    let mut out = String::new();
    for table in &report.tables {
        let list = |columns: &[super::Column]| {
            columns.iter().map(|c| format!("{}:{}", c.name, c.ty)).collect::<Vec<_>>().join(",")
        };
        let class = &table.parameters["classification"];
        write!(out, "{} {class} ({})", table.root, list(&table.storage.columns)).unwrap();
        if !table.partition_keys.is_empty() {
            let values: Vec<String> = table.partitions.iter().map(|p| p.values.join("/")).collect();
            write!(out, " by {} [{}]", list(&table.partition_keys), values.join(" ")).unwrap();
        }
        writeln!(out, " {}x{}", table.parameters["objectCount"], table.parameters["recordCount"]).unwrap();
    }
    out
}

fn crawl(path: &str, files: &[(&str, &'static str)]) -> String {
    show(&crawl_with(&memory(files), &request(path)).unwrap())
}

const A: &str = "a,b\n1,x\n2,y\n";
const B: &str = "c,d,e\n1,2,3\n";
const J: &str = "{\"k\":1,\"v\":\"x\"}\n";

#[test]
fn a_landing_zone_is_a_table_for_each_folder() {
    let got = crawl(
        "s3://b/",
        &[
            ("airports/1.json", J),
            ("airports/2.json", "{\"k\":2,\"v\":null}\n"),
            ("flights/2013/01/01.csv", A),
            ("flights/2013/01/02.csv", A),
            ("flights/2013/02/01.csv", A),
            ("flights/_SUCCESS", ""),
            ("planes/planes.csv", B),
        ],
    );
    assert_eq!(
        got,
        "airports json (k:int,v:string) 2x2\n\
         flights csv (a:bigint,b:string) by partition_0:string,partition_1:string [2013/01 2013/02] 3x6\n\
         planes csv (c:bigint,d:bigint,e:bigint) 1x1\n"
    );
}

#[test]
fn key_value_folders_name_their_partitions() {
    let got = crawl(
        "s3://b/sales",
        &[
            ("sales/Year=2013/m=01/x.csv", A),
            ("sales/Year=2013/m=02/x.csv", A),
            ("sales/Year=2014/m=01%2F/x.csv", A),
            ("sales2/x.csv", B),
        ],
    );
    assert_eq!(got, "sales csv (a:bigint,b:string) by year:string,m:string [2013/01 2013/02 2014/01/] 3x6\n");
}

#[test]
fn a_single_partition_is_still_a_partition_but_a_lone_folder_of_a_bucket_is_a_table() {
    assert_eq!(
        crawl("s3://b/f/", &[("f/year=2013/x.csv", A)]),
        "f csv (a:bigint,b:string) by year:string [2013] 1x2\n"
    );
    assert_eq!(crawl("s3://b", &[("f/x.csv", A)]), "f csv (a:bigint,b:string) 1x2\n");
    assert_eq!(crawl("s3://b", &[("f/day=1/x.csv", A)]), "f csv (a:bigint,b:string) by day:string [1] 1x2\n");
    assert_eq!(crawl("s3://b/f", &[("f/EWR/x.csv", A)]), "f csv (a:bigint,b:string) by partition_0:string [EWR] 1x2\n");
    assert_eq!(crawl("s3://b/f/x.csv", &[("f/x.csv", A)]), "x.csv csv (a:bigint,b:string) 1x2\n");
}

#[test]
fn siblings_that_differ_are_tables_of_their_own() {
    let years = [("d/2017/x.csv", "a,b\n1,2\n"), ("d/2018/x.csv", "c,d\n1,2\n")];
    assert_eq!(crawl("s3://b/d/", &years), "2017 csv (a:bigint,b:bigint) 1x1\n2018 csv (c:bigint,d:bigint) 1x1\n");
    let combined = Request { combine: true, ..request("s3://b/d/") };
    assert_eq!(
        show(&crawl_with(&memory(&years), &combined).unwrap()),
        "d csv (a:bigint,b:bigint,c:bigint,d:bigint) by partition_0:string [2017 2018] 2x2\n"
    );
}

#[test]
fn evolving_schemas_share_a_table() {
    let got = crawl(
        "s3://b/d/",
        &[
            ("d/day=1/x.json", "{\"a\":1,\"b\":2,\"c\":3}"),
            ("d/day=2/x.json", "{\"a\":1.5,\"b\":2,\"c\":3,\"d\":\"new\"}"),
        ],
    );
    assert_eq!(got, "d json (a:double,b:int,c:int,d:string) by day:string [1 2] 2x2\n");
}

#[test]
fn columns_added_between_folders_of_one_key_do_not_part_them() {
    let files = [("day=1/x.json", "{\"a\":1}"), ("day=2/x.json", "{\"a\":1,\"b\":2,\"c\":\"new\"}")];
    let below = |folder: &str| files.map(|(key, body)| (format!("d/{}", key.replace("day=", folder)), body));
    let crawl = |folder: &str| {
        let files = below(folder);
        let list: Vec<(&str, &str)> = files.iter().map(|(key, body)| (key.as_str(), *body)).collect();
        show(&crawl_with(&memory(&list), &request("s3://b/d")).unwrap())
    };
    assert_eq!(crawl("day="), "d json (a:int,b:int,c:string) by day:string [1 2] 2x2\n");
    assert_eq!(crawl("t"), "t1 json (a:int) 1x1\nt2 json (a:int,b:int,c:string) 1x1\n");
}

#[test]
fn files_that_differ_in_one_folder_are_tables_each() {
    assert_eq!(
        crawl("s3://b/d/", &[("d/one.csv", A), ("d/two.csv", B)]),
        "one.csv csv (a:bigint,b:string) 1x2\ntwo.csv csv (c:bigint,d:bigint,e:bigint) 1x1\n"
    );
}

#[test]
fn files_beside_folders_never_make_a_table_that_reads_the_folders_too() {
    assert_eq!(
        crawl("s3://b/", &[("note.csv", A), ("x/1.csv", B), ("y/1.json", J)]),
        "note.csv csv (a:bigint,b:string) 1x2\nx csv (c:bigint,d:bigint,e:bigint) 1x1\ny json (k:int,v:string) 1x1\n"
    );
    // Alike, they are one table without partitions, which reads all of it.
    assert_eq!(crawl("s3://b/d/", &[("d/1.csv", A), ("d/old/1.csv", A)]), "d csv (a:bigint,b:string) 2x4\n");
}

#[test]
fn parquet_is_known_by_content_whatever_its_name() {
    let all = parquet(50);
    let files = memory(&[
        ("f/year=2013/month=12/part-0.parquet.out", all.clone()),
        ("f/year=2013/month=11/part-0.parquet", all.clone()),
        ("f/year=2013/month=11/cut.parquet", all.slice(..all.len() / 2)),
        ("f/year=2013/month=10/empty.parquet", Bytes::new()),
    ]);
    let report = crawl_with(&files, &request("s3://b/f/")).unwrap();
    assert_eq!(
        show(&report),
        "f parquet (id:int,name:string,x:double,at:timestamp) by year:string,month:string [2013/11 2013/12] 2x100\n"
    );
    let cut: Vec<&String> = report.log.iter().filter(|l| l.contains("cut.parquet")).collect();
    assert!(cut.len() == 1 && cut[0].contains("not classified as parquet"), "{cut:?}");
    assert_eq!(
        report.unread,
        ["s3://b/f/year=2013/month=11/cut.parquet", "s3://b/f/year=2013/month=10/"],
        "both are there"
    );
}

#[test]
fn large_parquet_files_are_read_at_their_end_only() {
    let big = parquet(200_000);
    assert!(big.len() > 1 << 20);
    let report = crawl_with(&memory(&[("f/x.parquet", big.clone()), ("f/y", big)]), &request("s3://b/f")).unwrap();
    assert_eq!(show(&report), "f parquet (id:int,name:string,x:double,at:timestamp) 2x400000\n");
}

#[test]
fn unknown_and_unreadable_files_are_logged_and_left_out() {
    let mut files = memory(&[
        ("d/1.csv", Bytes::from_static(A.as_bytes())),
        ("d/2.csv", Bytes::from_static(A.as_bytes())),
        ("d/3.bin", Bytes::from_static(&[0, 1, 2, 3])),
        ("d/4.avro", Bytes::from_static(b"Obj\x01...")),
        ("d/5.txt", Bytes::from_static(b"hello\n")),
    ]);
    files.unreadable.push("d/2.csv".into());
    let report = crawl_with(&files, &request("s3://b/d/")).unwrap();
    assert_eq!(show(&report), "d csv (a:bigint,b:string) 1x2\n");
    let unread = ["2.csv", "3.bin", "4.avro", "5.txt"].map(|file| format!("s3://b/d/{file}"));
    assert_eq!((&report.unread[..], &report.crawled[..]), (&unread[..], &["s3://b/d/".to_owned()][..]));
    for (file, word) in [("3.bin", "UNKNOWN"), ("4.avro", "avro"), ("5.txt", "UNKNOWN"), ("2.csv", "AccessDenied")] {
        assert!(report.log.iter().any(|l| l.contains(file) && l.contains(word)), "{file}: {:?}", report.log);
    }
    assert_eq!(crawl("s3://b/d/", &[("d/5.txt", "hello\n")]), "");
}

#[test]
fn a_table_whose_files_are_broken_for_now_is_not_gone() {
    const KEEP: (&str, &str) = ("lake/keep/1.json", J);
    let policies = |now_ms| Policies {
        crawler: "c".into(),
        delete: Delete::Delete,
        now_ms,
        began_ms: now_ms,
        ..Policies::default()
    };
    let good = memory(&[KEEP, ("lake/orders/1.csv", A), ("lake/days/day=1/x.csv", B), ("lake/days/day=2/x.csv", B)]);
    let found = crawl_with(&good, &request("s3://b/lake/")).unwrap();
    let mut known = Known::default();
    for table in found.tables {
        let partitions = table.partitions.into_iter().map(|partition| KnownPartition {
            values: partition.values,
            storage: partition.storage,
            parameters: partition.parameters,
            created_ms: 1,
        });
        known.tables.push(KnownTable {
            name: table.root,
            storage: table.storage,
            partition_keys: table.partition_keys,
            parameters: [("UPDATED_BY_CRAWLER".to_owned(), "c".to_owned())].into(),
            partitions: partitions.collect(),
            target: false,
        });
    }
    assert_eq!(known.tables.len(), 3);
    let deleted = |files: &[(&str, &'static str)], path: &str| -> Vec<String> {
        let report = crawl_with(&memory(files), &request(path)).unwrap();
        let changes = merge(&report, &known, &policies(9));
        let words = changes.iter().filter_map(|change| match change {
            Change::DeleteTable { name } => Some(name.clone()),
            Change::DeletePartition { table, values } => Some(format!("{table} {}", values.join("/"))),
            _ => None,
        });
        words.collect()
    };
    let (day1, day2) = (("lake/days/day=1/x.csv", B), ("lake/days/day=2/x.csv", B));
    // What is truly gone.
    assert_eq!(deleted(&[KEEP, day1, day2], "s3://b/lake/"), ["orders"]);
    assert_eq!(
        deleted(&[KEEP, ("lake/orders/1.csv", A), day1, ("lake/days/day=3/x.csv", B)], "s3://b/lake/"),
        ["days 2"]
    );
    // A page of an error, a lone word, a file without a byte.
    for broken in ["<html>\n", "hello\n", ""] {
        assert!(deleted(&[KEEP, ("lake/orders/2.csv", broken), day1, day2], "s3://b/lake/").is_empty(), "{broken:?}");
        let one =
            [KEEP, ("lake/orders/1.csv", A), day1, ("lake/days/day=2/x.csv", broken), ("lake/days/day=3/x.csv", B)];
        assert!(deleted(&one, "s3://b/lake/").is_empty(), "{broken:?}");
    }
    // More than are read of a folder.
    let names: Vec<String> = (0..600).map(|i| format!("lake/orders/{i:04}.txt")).collect();
    let mut many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "hello\n")).collect();
    many.extend([KEEP, day1, day2]);
    assert!(deleted(&many, "s3://b/lake/").is_empty());
    // The target was taken away, its data was not.
    assert_eq!(deleted(&[KEEP, day1, day2], "s3://b/lake/days/"), Vec::<String>::new());
}

#[test]
fn a_bucket_that_cannot_be_listed_fails_the_crawl() {
    assert!(crawl_with(&memory::<Bytes>(&[]), &request("s3://nope/")).is_err());
}

#[test]
fn exclusions_and_known_folders_leave_files_out() {
    let files = [("d/day=1/x.csv", A), ("d/day=2/x.csv", A), ("d/day=2/x.tmp", B)];
    let mut without = request("s3://b/d/");
    without.targets[0].exclusions = vec!["**.tmp".into()];
    let report = crawl_with(&memory(&files), &without).unwrap();
    assert_eq!(show(&report), "d csv (a:bigint,b:string) by day:string [1 2] 2x4\n");
    assert_eq!(report.tables[0].parameters["exclusions"], "[\"s3://b/d/**.tmp\"]");
    let mut newer = without;
    newer.targets[0].known_folders = Some(vec!["d/day=1/".into()]);
    let report = crawl_with(&memory(&files), &newer).unwrap();
    assert_eq!(show(&report), "d csv (a:bigint,b:string) by day:string [2] 1x2\n");
}

#[test]
fn a_table_level_fixes_where_tables_begin() {
    let files = [("z/x/a/1.csv", A), ("z/x/b/1.csv", A), ("z/y/a/1.csv", A)];
    assert_eq!(
        crawl("s3://b/", &files),
        "z csv (a:bigint,b:string) by partition_0:string,partition_1:string [x/a x/b y/a] 3x6\n"
    );
    let levelled = Request { table_level: Some(3), ..request("s3://b/") };
    assert_eq!(
        show(&crawl_with(&memory(&files), &levelled).unwrap()),
        "x csv (a:bigint,b:string) by partition_0:string [a b] 2x4\n\
         y csv (a:bigint,b:string) by partition_0:string [a] 1x2\n"
    );
}

#[test]
fn too_many_tables_fail_where_a_threshold_is_set() {
    let limited = Request { table_threshold: Some(1), ..request("s3://b/") };
    let error = crawl_with(&memory(&[("x/1.csv", A), ("y/1.csv", B)]), &limited).unwrap_err();
    assert!(error.to_string().contains("greater than the table threshold value provided: 1"), "{error}");
}

#[test]
fn custom_classifiers_apply_to_the_files_they_know() {
    let airlines = Classifier::Csv(CsvClassifier {
        name: "airlines".into(),
        delimiter: Some(','),
        header: CsvHeader::Present,
        names: vec!["carrier".into(), "name".into()],
        ..CsvClassifier::default()
    });
    let items = Classifier::Json { name: "items".into(), path: "$.items[*]".into() };
    let custom = Request { classifiers: vec![airlines, items], ..request("s3://b/") };
    let files = memory(&[
        ("airlines/a.csv", "carrier,name\nUA,United\n"),
        ("other/a.csv", A),
        ("pages/1.json", "{\"items\":[{\"x\":1},{\"x\":2}]}"),
    ]);
    assert_eq!(
        show(&crawl_with(&files, &custom).unwrap()),
        "airlines csv (carrier:string,name:string) 1x1\n\
         other csv (a:bigint,b:string) 1x2\n\
         pages json (x:int) 1x2\n"
    );
}

#[test]
fn a_day_of_text_only_shares_the_header_of_its_siblings() {
    let got = crawl("s3://b/d/", &[("d/1.csv", "a,b\n1,x\n"), ("d/2.csv", "a,b\n,y\n"), ("d/3.csv", "a,b\n3,z\n")]);
    assert_eq!(got, "d csv (a:bigint,b:string) 3x3\n");
}

#[test]
fn many_small_siblings_are_sampled_and_all_counted() {
    let names: Vec<String> = (0..1500).map(|i| format!("airports/{i:04}.json")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), J)).collect();
    assert_eq!(crawl("s3://b/", &files), "airports json (k:int,v:string) 1500x1500\n");
}

#[test]
fn gzip_is_a_compression_of_its_own() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, A.as_bytes()).unwrap();
    let zipped = Bytes::from(encoder.finish().unwrap());
    let report = crawl_with(&memory(&[("d/x.csv.gz", zipped)]), &request("s3://b/d")).unwrap();
    assert_eq!(show(&report), "d csv (a:bigint,b:string) 1x2\n");
    assert_eq!(report.tables[0].parameters["compressionType"], "gzip");
    assert!(report.tables[0].storage.compressed);
}

/// Every file of a crawl is in exactly one place: a table without partitions, or one partition.
#[test]
fn every_classified_file_is_counted_once_in_any_layout() {
    let mut seed = 7u64;
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for round in 0..300 {
        let mut files = BTreeMap::new();
        for _ in 0..=next(12) {
            let mut key = String::new();
            for level in 0..next(4) {
                match next(3) {
                    0 => write!(key, "k{level}={}/", next(3)).unwrap(),
                    1 => write!(key, "{}/", next(3)).unwrap(),
                    _ => write!(key, "f{}/", next(2)).unwrap(),
                }
            }
            write!(key, "{}.x", next(3)).unwrap();
            files.insert(key, [A, B, J, "{\"k\":1,\"v\":\"x\",\"w\":2}"][usize::try_from(next(4)).unwrap()]);
        }
        let list: Vec<(&str, &str)> = files.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        for request in [
            request("s3://b/"),
            Request { combine: true, ..request("s3://b/") },
            Request { table_level: Some(2), ..request("s3://b/") },
        ] {
            let report = crawl_with(&memory(&list), &request).unwrap();
            let objects: usize =
                report.tables.iter().map(|t| t.parameters["objectCount"].parse::<usize>().unwrap()).sum();
            assert_eq!(objects, files.len(), "round {round}: {files:?}\n{}", show(&report));
            for table in &report.tables {
                let parts: usize =
                    table.partitions.iter().map(|p| p.parameters["objectCount"].parse::<usize>().unwrap()).sum();
                let whole: usize = table.parameters["objectCount"].parse().unwrap();
                assert!(table.partition_keys.is_empty() || parts == whole, "{}", show(&report));
                assert!(table.partitions.iter().all(|p| p.values.len() == table.partition_keys.len()));
                let locations: std::collections::BTreeSet<_> =
                    table.partitions.iter().map(|p| &p.storage.location).collect();
                assert_eq!(locations.len(), table.partitions.len());
            }
        }
    }
}

#[test]
fn avro_orc_and_lines_by_a_grok_pattern() {
    let lines = Bytes::from_static(b"10.0.0.1 GET 200\n10.0.0.2 PUT 404\n");
    let memory = memory(&[
        ("avro/month=01/a.avro", super::avro_file::tests::file(50)),
        ("avro/month=10/b.avro", super::avro_file::tests::file(50)),
        ("logs/a.log", lines),
        ("orc/a.orc", super::orc_file::tests::file(2000)),
    ]);
    let grok = super::GrokClassifier {
        name: "g".to_owned(),
        classification: "access".to_owned(),
        pattern: "%{IP:client} %{WORD:Verb} %{INT:status:int}".to_owned(),
        custom_patterns: String::new(),
    };
    let request = Request { classifiers: vec![Classifier::Grok(grok)], ..request("s3://b/") };
    let report = crawl_with(&memory, &request).unwrap();
    let table = |root: &str| report.tables.iter().find(|table| table.root == root).unwrap();
    let columns = |root: &str| {
        table(root).storage.columns.iter().map(|c| format!("{}:{}", c.name, c.ty)).collect::<Vec<_>>().join(",")
    };
    assert_eq!(columns("avro"), "id:int,name:string");
    // What a folder's name says of a partition keeps its text.
    let values: Vec<_> = table("avro").partitions.iter().map(|partition| partition.values.join("/")).collect();
    assert_eq!(values, ["01", "10"]);
    assert!(table("avro").storage.serde_parameters["avro.schema.literal"].contains("\"id\""));
    assert_eq!(columns("orc"), "id:int,x:double");
    assert_eq!(
        (table("orc").parameters["recordCount"].as_str(), columns("logs").as_str()),
        ("2000", "client:string,verb:string,status:int")
    );
    assert_eq!(table("logs").parameters["classification"], "access");
    assert_eq!(table("logs").storage.serde, "com.amazonaws.glue.serde.GrokSerDe");
}

/// A table of the catalog for each that a crawl of `c` has found.
fn in_catalog(report: Report) -> Known {
    let partition = |partition: super::CrawledPartition| KnownPartition {
        values: partition.values,
        storage: partition.storage,
        parameters: partition.parameters,
        created_ms: 1,
    };
    let table = |table: super::CrawledTable| KnownTable {
        name: table.root,
        storage: table.storage,
        partition_keys: table.partition_keys,
        parameters: [("UPDATED_BY_CRAWLER".to_owned(), "c".to_owned())].into(),
        partitions: table.partitions.into_iter().map(partition).collect(),
        target: false,
    };
    Known { tables: report.tables.into_iter().map(table).collect(), ..Known::default() }
}

/// What a crawl changes, but for logs and counts.
fn changes(report: &Report, known: &Known, policies: &Policies) -> Vec<String> {
    let words = merge(report, known, policies).into_iter().filter_map(|change| match change {
        Change::CreateTable { name, .. } => Some(format!("create {name}")),
        Change::UpdateTable { name, schema: true, table } => {
            let keys: Vec<_> = table.partition_keys.iter().map(|key| key.name.as_str()).collect();
            Some(format!("update {name} by {}", keys.join(",")))
        }
        Change::DeleteTable { name } => Some(format!("delete {name}")),
        Change::DeprecateTable { name, .. } => Some(format!("deprecate {name}")),
        Change::PutPartition { table, partition, new: true } => {
            Some(format!("add {table} {}", partition.values.join("/")))
        }
        Change::DeletePartition { table, values } => Some(format!("drop {table} {}", values.join("/"))),
        _ => None,
    });
    words.collect()
}

fn policies(delete: Delete) -> Policies {
    Policies { crawler: "c".into(), delete, now_ms: 9, began_ms: 9, ..Policies::default() }
}

/// Folders of the crawler's tables, as the crawler tells them.
fn roots(known: &Known) -> std::collections::BTreeSet<String> {
    known.tables.iter().map(|table| table.storage.location.replace("s3://b/", "")).collect()
}

#[test]
fn new_folders_are_partitions_of_the_tables_that_are_there() {
    let first = [("lake/orders/day=1/x.csv", A), ("lake/users/day=1/x.json", J)];
    let known = in_catalog(crawl_with(&memory(&first), &request("s3://b/lake/")).unwrap());
    let mut newer = request("s3://b/lake/");
    newer.targets[0].known_folders = Some(vec!["lake/orders/day=1/".into(), "lake/users/day=1/".into()]);
    newer.targets[0].roots = roots(&known);
    let policies = Policies { new_folders_only: true, update_log: true, ..policies(Delete::Log) };
    let mut files = first.to_vec();
    files.push(("lake/orders/day=9/x.csv", A));
    let report = crawl_with(&memory(&files), &newer).unwrap();
    assert_eq!(changes(&report, &known, &policies), ["add orders 9"]);
    // No new tables after the first crawl, whatever has come.
    files.push(("lake/events/day=1/x.csv", B));
    let report = crawl_with(&memory(&files), &newer).unwrap();
    assert_eq!(changes(&report, &known, &policies), ["add orders 9"]);
    assert_eq!(
        changes(&report, &Known::default(), &policies),
        ["create events", "add events 1", "create orders", "add orders 9"]
    );
}

#[test]
fn a_table_whose_files_are_there_stays_what_it_is() {
    let days = [("lake/days/day=1/x.csv", B), ("lake/days/day=2/x.csv", B)];
    let mut files = days.to_vec();
    files.push(("lake/orders/1.csv", A));
    let known = in_catalog(crawl_with(&memory(&files), &request("s3://b/lake/")).unwrap());
    assert_eq!(known.tables.len(), 2);
    let mut again = request("s3://b/lake/");
    again.targets[0].roots = roots(&known);
    // The sibling has been emptied, or its one file is broken: that says nothing of the other.
    let report = crawl_with(&memory(&days), &again).unwrap();
    let only = |words: Vec<String>| words.into_iter().filter(|word| !word.starts_with("update")).collect::<Vec<_>>();
    assert_eq!(only(changes(&report, &known, &policies(Delete::Delete))), ["delete orders"]);
    let mut broken = days.to_vec();
    broken.push(("lake/orders/2.csv", "<html>\n"));
    let report = crawl_with(&memory(&broken), &again).unwrap();
    assert!(only(changes(&report, &known, &policies(Delete::Delete))).is_empty());
    // Where another table takes the files, the one that had them stays.
    let report = crawl_with(&memory(&days), &request("s3://b/lake/")).unwrap();
    let words = only(changes(&report, &known, &policies(Delete::Delete)));
    assert!(words.contains(&"delete orders".to_owned()) && !words.contains(&"delete days".to_owned()), "{words:?}");
}

#[test]
fn what_an_exclusion_leaves_out_is_not_gone() {
    let files = [("lake/archive/day=1/x.csv", B), ("lake/archive/day=2/x.csv", B), ("lake/orders/1.csv", A)];
    let known = in_catalog(crawl_with(&memory(&files), &request("s3://b/lake/")).unwrap());
    for pattern in ["archive/**", "archive/day=1/*"] {
        let mut without = request("s3://b/lake/");
        without.targets[0].roots = roots(&known);
        without.targets[0].exclusions = vec![pattern.into()];
        let report = crawl_with(&memory(&files), &without).unwrap();
        let words = changes(&report, &known, &policies(Delete::Delete));
        assert!(words.iter().all(|word| word.starts_with("update")), "{pattern}: {words:?}");
    }
}

#[test]
fn partitions_of_other_keys_go_only_where_deleting_is_said() {
    let flat = [("d/day=1/x.csv", A), ("d/day=2/x.csv", A)];
    let deep = [("d/day=1/part=1/x.csv", A), ("d/day=2/part=1/x.csv", A)];
    let mut known = in_catalog(crawl_with(&memory(&flat), &request("s3://b/d/")).unwrap());
    let report = crawl_with(&memory(&deep), &request("s3://b/d/")).unwrap();
    for delete in [Delete::Log, Delete::Deprecate] {
        assert!(changes(&report, &known, &policies(delete)).is_empty(), "{delete:?}");
    }
    let words = changes(&report, &known, &policies(Delete::Delete));
    assert_eq!(words, ["update d by day,part", "add d 1/1", "add d 2/1", "drop d 1", "drop d 2"]);
    // Keys of other names have the same values.
    known.tables[0].partition_keys[0].name = "tag".into();
    let report = crawl_with(&memory(&flat), &request("s3://b/d/")).unwrap();
    assert_eq!(changes(&report, &known, &policies(Delete::Log)), ["update d by day"]);
}
