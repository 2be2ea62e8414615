//! Operations of the catalog and of crawlers over a store in memory. What a crawl finds is tested with the crawl library;
//! the worker that reads S3 is tested with the whole server.

use std::collections::BTreeMap;
use std::sync::Arc;

use api_glue::*;
use service::{Cx, Platform, Principal, Router};
use wire::Error;

struct World {
    cx: Cx,
    _data: tempfile::TempDir,
}

fn world() -> World {
    let data = tempfile::tempdir().expect("a folder for the test");
    let queue = || store::Queue::new(store::Store::memory());
    let platform = Platform {
        router: Router::new(),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: data.path().to_owned(),
        objects: None,
        endpoint: "http://127.0.0.1:1".into(),
        account: "000000000000".into(),
        region: "us-east-1".into(),
        settings: service::Settings::default(),
    };
    let compute = compute::Compute::new(compute::Settings::new(data.path().join("scratch"))).expect("a scratch folder");
    glue::register(&platform, &compute).expect("no settings are wrong");
    let router: Arc<Router> = platform.router;
    World { cx: Cx::new(router, Principal::root("000000000000"), "000000000000", "us-east-1"), _data: data }
}

impl World {
    async fn call<O: wire::Operation>(&self, input: O::Input) -> Result<O::Output, Error> {
        self.cx.call::<O>(input).await
    }

    async fn database(&self, name: &str) -> Result<CreateDatabaseResponse, Error> {
        let database_input = DatabaseInput { name: name.into(), ..DatabaseInput::default() };
        self.call::<CreateDatabase>(CreateDatabaseRequest { database_input, ..CreateDatabaseRequest::default() }).await
    }

    async fn table(&self, name: &str, keys: &[&str]) -> Result<CreateTableResponse, Error> {
        let table_input = Some(input(name, keys));
        let database_name = "db".into();
        self.call::<CreateTable>(CreateTableRequest { database_name, table_input, ..CreateTableRequest::default() })
            .await
    }

    async fn get(&self, name: &str) -> Result<Table, Error> {
        let request = GetTableRequest { database_name: "DB".into(), name: name.into(), ..GetTableRequest::default() };
        Ok(self.call::<GetTable>(request).await?.table.expect("GetTable answers a table"))
    }

    async fn crawler(&self, name: &str) -> Result<CreateCrawlerResponse, Error> {
        let target = S3Target { path: Some("s3://b/x".into()), ..S3Target::default() };
        self.call::<CreateCrawler>(CreateCrawlerRequest {
            name: name.into(),
            role: "pipeline/r".into(),
            database_name: Some("db".into()),
            targets: CrawlerTargets { s3_targets: Some(vec![target]), ..CrawlerTargets::default() },
            tags: Some(BTreeMap::from([("team".into(), "lake".into())])),
            ..CreateCrawlerRequest::default()
        })
        .await
    }
}

fn input(name: &str, keys: &[&str]) -> TableInput {
    let column = |name: &&str| Column { name: (*name).into(), r#type: Some("string".into()), ..Column::default() };
    TableInput { name: name.into(), partition_keys: Some(keys.iter().map(column).collect()), ..TableInput::default() }
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.expect_err("the call should fail").code().to_owned()
}

#[tokio::test]
async fn names_are_folded_and_kept_apart() {
    let w = world();
    assert_eq!(code(w.table("t", &[]).await), "EntityNotFoundException");
    w.database("Db").await.unwrap();
    assert_eq!(code(w.database("dB").await), "AlreadyExistsException");
    w.table("Flights", &["day"]).await.unwrap();
    assert_eq!(code(w.table("flights", &[]).await), "AlreadyExistsException");
    assert_eq!(w.get("FLIGHTS").await.unwrap().name, "flights");
    assert_eq!(code(w.get("other").await), "EntityNotFoundException");
    let elsewhere = w.cx.with_region("eu-west-1");
    let request = GetDatabaseRequest { name: "db".into(), ..GetDatabaseRequest::default() };
    assert_eq!(code(elsewhere.call::<GetDatabase>(request.clone()).await), "EntityNotFoundException");
    let foreign = GetDatabaseRequest { catalog_id: Some("111111111111".into()), ..request };
    assert_eq!(code(w.call::<GetDatabase>(foreign).await), "EntityNotFoundException");
}

#[tokio::test]
async fn updates_leave_versions_and_can_be_guarded() {
    let w = world();
    w.database("db").await.unwrap();
    w.table("t", &[]).await.unwrap();
    let update = |description: &str, version: Option<&str>, skip: bool| UpdateTableRequest {
        database_name: "db".into(),
        table_input: Some(TableInput { description: Some(description.into()), ..input("t", &[]) }),
        version_id: version.map(Into::into),
        skip_archive: Some(skip),
        ..UpdateTableRequest::default()
    };
    w.call::<UpdateTable>(update("one", Some("0"), false)).await.unwrap();
    assert_eq!(code(w.call::<UpdateTable>(update("x", Some("0"), false)).await), "ConcurrentModificationException");
    w.call::<UpdateTable>(update("two", None, true)).await.unwrap();
    let table = w.get("t").await.unwrap();
    assert_eq!((table.version_id.as_deref(), table.description.as_deref()), (Some("2"), Some("two")));
    let versions = w
        .call::<GetTableVersions>(GetTableVersionsRequest {
            database_name: "db".into(),
            table_name: "t".into(),
            ..GetTableVersionsRequest::default()
        })
        .await
        .unwrap();
    let ids: Vec<_> = versions.table_versions.unwrap().into_iter().filter_map(|v| v.version_id).collect();
    assert_eq!(ids, ["2", "0"]);
}

#[tokio::test]
async fn partitions_are_filtered_and_paged() {
    let w = world();
    w.database("db").await.unwrap();
    w.table("t", &["year", "month"]).await.unwrap();
    let partition = |year: i32, month: i32| PartitionInput {
        values: Some(vec![year.to_string(), format!("{month:02}")]),
        ..PartitionInput::default()
    };
    let create = |list: Vec<PartitionInput>| BatchCreatePartitionRequest {
        database_name: "db".into(),
        table_name: "t".into(),
        partition_input_list: list,
        ..BatchCreatePartitionRequest::default()
    };
    let all: Vec<PartitionInput> = (2013..2015).flat_map(|y| (1..=12).map(move |m| partition(y, m))).collect();
    let made = w.call::<BatchCreatePartition>(create(all)).await.unwrap();
    assert_eq!(made.errors, Some(Vec::new()));
    let short = PartitionInput { values: Some(vec!["2013".into()]), ..PartitionInput::default() };
    let again = w.call::<BatchCreatePartition>(create(vec![partition(2013, 1), short])).await.unwrap();
    let codes: Vec<_> = again.errors.unwrap().into_iter().filter_map(|e| e.error_detail?.error_code).collect();
    assert_eq!(codes, ["AlreadyExistsException", "InvalidInputException"]);

    let mut request = GetPartitionsRequest {
        database_name: "db".into(),
        table_name: "t".into(),
        expression: Some("year = '2014' AND month >= '03'".into()),
        max_results: Some(4),
        ..GetPartitionsRequest::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = w.call::<GetPartitions>(request.clone()).await.unwrap();
        pages.push(page.partitions.unwrap().len());
        request.next_token = page.next_token;
        if request.next_token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [4, 4, 2]);
    for (expression, found) in
        [("year = '2014' AND month = '03'", 1), ("month = '03' AND year = '2013'", 1), ("year = '2013'", 12)]
    {
        let request =
            GetPartitionsRequest { expression: Some(expression.into()), max_results: None, ..request.clone() };
        assert_eq!(w.call::<GetPartitions>(request).await.unwrap().partitions.unwrap().len(), found, "{expression}");
    }
    request.next_token = Some("nonsense".into());
    assert_eq!(code(w.call::<GetPartitions>(request.clone()).await), "InvalidInputException");
    request.next_token = None;
    request.expression = Some("day = 1".into());
    assert_eq!(code(w.call::<GetPartitions>(request).await), "InvalidInputException");

    let delete = DeleteTableRequest { database_name: "db".into(), name: "t".into(), ..DeleteTableRequest::default() };
    w.call::<DeleteTable>(delete).await.unwrap();
    w.table("t", &["year", "month"]).await.unwrap();
    let request =
        GetPartitionsRequest { database_name: "db".into(), table_name: "t".into(), ..GetPartitionsRequest::default() };
    assert_eq!(w.call::<GetPartitions>(request).await.unwrap().partitions, Some(Vec::new()));
}

#[tokio::test]
async fn a_started_crawler_is_running_before_the_answer_and_can_be_stopped() {
    let w = world();
    w.crawler("c").await.unwrap();
    assert_eq!(code(w.crawler("c").await), "AlreadyExistsException");
    let get = || w.call::<GetCrawler>(GetCrawlerRequest { name: "c".into() });
    let crawler = get().await.unwrap().crawler.unwrap();
    assert_eq!((crawler.state.as_deref(), crawler.role.as_deref()), (Some("READY"), Some("pipeline/r")));
    let stop = || w.call::<StopCrawler>(StopCrawlerRequest { name: "c".into() });
    assert_eq!(code(stop().await), "CrawlerNotRunningException");
    let start = || w.call::<StartCrawler>(StartCrawlerRequest { name: "c".into() });
    start().await.unwrap();
    assert_eq!(get().await.unwrap().crawler.unwrap().state.as_deref(), Some("RUNNING"));
    assert_eq!(code(start().await), "CrawlerRunningException");
    let delete = || w.call::<DeleteCrawler>(DeleteCrawlerRequest { name: "c".into() });
    assert_eq!(code(delete().await), "CrawlerRunningException");
    stop().await.unwrap();
    assert_eq!(code(stop().await), "CrawlerStoppingException");
    let missing = w.call::<StartCrawler>(StartCrawlerRequest { name: "none".into() }).await;
    assert_eq!(code(missing), "EntityNotFoundException");
}

#[tokio::test]
async fn a_task_that_starts_a_crawler_twice_starts_it_once() {
    let w = world();
    w.crawler("c").await.unwrap();
    for _ in 0..2 {
        let cx = w.cx.with_task("execution:state");
        cx.call::<StartCrawler>(StartCrawlerRequest { name: "c".into() }).await.unwrap();
    }
    let crawls = w
        .call::<ListCrawls>(ListCrawlsRequest { crawler_name: "c".into(), ..ListCrawlsRequest::default() })
        .await
        .unwrap();
    assert_eq!(crawls.crawls.unwrap().len(), 1);
}

#[tokio::test]
async fn classifiers_and_tags() {
    let w = world();
    let csv = |name: &str, delimiter: &str| CreateClassifierRequest {
        csv_classifier: Some(CreateCsvClassifierRequest {
            name: name.into(),
            delimiter: Some(delimiter.into()),
            ..CreateCsvClassifierRequest::default()
        }),
        ..CreateClassifierRequest::default()
    };
    w.call::<CreateClassifier>(csv("k", ",")).await.unwrap();
    assert_eq!(code(w.call::<CreateClassifier>(csv("k", ",")).await), "AlreadyExistsException");
    assert_eq!(code(w.call::<CreateClassifier>(csv("l", "ab")).await), "InvalidInputException");
    let update = UpdateCsvClassifierRequest {
        name: "k".into(),
        contains_header: Some("PRESENT".into()),
        ..UpdateCsvClassifierRequest::default()
    };
    let update = UpdateClassifierRequest { csv_classifier: Some(update), ..UpdateClassifierRequest::default() };
    w.call::<UpdateClassifier>(update).await.unwrap();
    let got = w.call::<GetClassifier>(GetClassifierRequest { name: "k".into() }).await.unwrap();
    let got = got.classifier.unwrap().csv_classifier.unwrap();
    assert_eq!(
        (got.version, got.delimiter.as_deref(), got.contains_header.as_deref()),
        (Some(2), Some(","), Some("PRESENT"))
    );

    w.crawler("c").await.unwrap();
    let resource_arn = "arn:aws:glue:us-east-1:000000000000:crawler/c".to_owned();
    let tags = w.call::<GetTags>(GetTagsRequest { resource_arn }).await.unwrap().tags.unwrap();
    assert_eq!(tags["team"], "lake");
}

#[tokio::test]
async fn tags_go_with_their_table() {
    let w = world();
    let arn = || "arn:aws:glue:us-east-1:000000000000:table/db/t".to_owned();
    let tag = || {
        let tags_to_add = BTreeMap::from([("team".to_owned(), "lake".to_owned())]);
        w.call::<TagResource>(TagResourceRequest { resource_arn: arn(), tags_to_add })
    };
    let tags = || async {
        let told = w.call::<GetTags>(GetTagsRequest { resource_arn: arn() }).await.unwrap();
        told.tags.unwrap_or_default().len()
    };
    w.database("db").await.unwrap();
    w.table("t", &[]).await.unwrap();
    tag().await.unwrap();
    assert_eq!(tags().await, 1);
    let gone = DeleteTableRequest { database_name: "db".into(), name: "t".into(), ..DeleteTableRequest::default() };
    w.call::<DeleteTable>(gone).await.unwrap();
    w.table("t", &[]).await.unwrap();
    assert_eq!(tags().await, 0, "another table of the name has none of them");
    tag().await.unwrap();
    w.call::<DeleteDatabase>(DeleteDatabaseRequest { name: "db".into(), ..DeleteDatabaseRequest::default() })
        .await
        .unwrap();
    w.database("db").await.unwrap();
    w.table("t", &[]).await.unwrap();
    assert_eq!(tags().await, 0);
}

#[tokio::test]
async fn schemas_are_named_by_their_whole_arn() {
    let world = world();
    let input = CreateSchemaInput {
        schema_name: "s".into(),
        data_format: "AVRO".into(),
        schema_definition: Some(r#""string""#.into()),
        ..CreateSchemaInput::default()
    };
    let made = world.call::<CreateSchema>(input).await.unwrap();
    let arn = made.schema_arn.unwrap();
    let get = async |arn: String| {
        let schema_id = SchemaId { schema_arn: Some(arn), ..SchemaId::default() };
        world.call::<GetSchema>(GetSchemaInput { schema_id }).await
    };
    get(arn.clone()).await.unwrap();
    // What is another account's, nobody gave.
    get(arn.replace("000000000000", "111111111111")).await.unwrap_err();
    let error = get(arn.replace("us-east-1", "eu-west-1")).await.unwrap_err();
    assert_eq!(error.code(), "EntityNotFoundException");
    // Of another partition is no ARN that policies are asked about.
    let error = get(arn.replace("arn:aws:", "arn:x:")).await.unwrap_err();
    assert_eq!(error.code(), "ValidationException");
    let registry_id =
        RegistryId { registry_arn: Some(made.registry_arn.unwrap().replace("us-", "eu-")), registry_name: None };
    let error = world.call::<GetRegistry>(GetRegistryInput { registry_id }).await.unwrap_err();
    assert_eq!(error.code(), "EntityNotFoundException");
    let request =
        GetSchemaVersionInput { schema_version_id: made.schema_version_id, ..GetSchemaVersionInput::default() };
    world.call::<GetSchemaVersion>(request).await.unwrap();
}

/// Everybody may do everything.
struct Anybody;

#[async_trait::async_trait]
impl service::identity::Identity for Anybody {
    async fn credentials(&self, _: &str) -> Result<Option<service::identity::Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn role_session(&self, role_arn: &str, session: &str, attempt: Option<&str>) -> Result<Principal, Error> {
        Ok(Principal::role(role_arn, session, attempt.map(str::to_owned)))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<service::identity::Credentials, Error> {
        Err(Error::not_implemented("issue"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// A participant that notes what it is to keep.
#[derive(Default)]
struct Keeper(std::sync::Mutex<Vec<String>>);

#[async_trait::async_trait]
impl service::attempts::Participant for Keeper {
    async fn keep_below(&self, _: &str, places: &[String]) -> Result<(), Error> {
        self.0.lock().expect("nobody panics").extend(places.iter().cloned());
        Ok(())
    }
    async fn finish(&self, _: &str, _: service::attempts::Outcome) -> Result<u64, Error> {
        Ok(0)
    }
    async fn holds(&self, _: &str) -> Result<bool, Error> {
        Ok(false)
    }
    async fn next(&self, _: Option<&str>) -> Result<Option<String>, Error> {
        Ok(None)
    }
}

/// A job commits a state of an Iceberg table, somebody else one on top of it, and the job is undone: the table stays as it is, and so
/// must its files. Without the other's commit the table goes back, and the files go.
#[tokio::test]
async fn a_state_that_others_have_built_on_keeps_its_files() {
    for (built_on, again) in [(false, false), (true, false), (true, true)] {
        let world = world();
        let router = Arc::clone(world.cx.router());
        router.set_identity(Arc::new(Anybody));
        let keeper = Arc::new(Keeper::default());
        router.add_participant(keeper.clone());
        world.database("db").await.unwrap();
        let state = |number: u32| {
            let at = format!("s3://lake/t/metadata/{number}.metadata.json");
            let parameters = [("table_type", "ICEBERG"), ("metadata_location", at.as_str())];
            TableInput {
                storage_descriptor: Some(StorageDescriptor {
                    location: Some("s3a://lake/t".into()),
                    ..StorageDescriptor::default()
                }),
                parameters: Some(parameters.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
                ..input("t", &[])
            }
        };
        let put = |cx: Cx, number: u32| {
            let (database_name, table_input) = ("db".to_owned(), Some(state(number)));
            async move {
                cx.call::<UpdateTable>(UpdateTableRequest {
                    database_name,
                    table_input,
                    ..UpdateTableRequest::default()
                })
                .await
            }
        };
        let (database_name, table_input) = ("db".to_owned(), Some(state(0)));
        world
            .call::<CreateTable>(CreateTableRequest { database_name, table_input, ..CreateTableRequest::default() })
            .await
            .unwrap();
        router.attempts().open("job#1");
        let job = world.cx.as_principal(Principal::role("arn:aws:iam::000000000000:role/r", "s", Some("job#1".into())));
        put(job.clone(), 1).await.unwrap();
        if built_on {
            put(world.cx.clone(), 2).await.unwrap();
        }
        if again {
            put(job, 3).await.unwrap();
        }
        for _ in 0..2 {
            router.finish_attempts("job", service::attempts::Outcome::Rollback).await.unwrap();
        }
        let now = world.get("t").await.unwrap().parameters.unwrap()["metadata_location"].clone();
        let kept = keeper.0.lock().unwrap().clone();
        if built_on {
            assert!(now.ends_with("/2.metadata.json"), "{now}");
            assert!(kept.iter().any(|place| place == "s3://lake/t/"), "{kept:?}");
            assert!(kept.iter().all(|place| place.starts_with("s3://lake/t/")), "{kept:?}");
        } else {
            assert!(now.ends_with("/0.metadata.json"), "{now}");
            assert!(kept.is_empty(), "{kept:?}");
        }
        assert!(!router.holds_attempts("job").await.unwrap());
    }
}

/// A job makes a partition and a table, others go by them, and the job fails: their rows are in tables that are there.
#[tokio::test]
async fn what_others_go_by_is_not_taken_back() {
    let partition = |day: &str| PartitionInput { values: Some(vec![day.to_owned()]), ..PartitionInput::default() };
    let add = |table: &str, day: &str| BatchCreatePartitionRequest {
        database_name: "db".into(),
        table_name: table.into(),
        partition_input_list: vec![partition(day)],
        ..BatchCreatePartitionRequest::default()
    };
    for other in ["nobody", "writer", "somebody", "reader"] {
        let world = world();
        let router = Arc::clone(world.cx.router());
        router.set_identity(Arc::new(Anybody));
        world.database("db").await.unwrap();
        let job = |name: &str| {
            router.attempts().open(&format!("{name}#1"));
            let attempt = Some(format!("{name}#1"));
            world.cx.as_principal(Principal::role("arn:aws:iam::000000000000:role/r", "s", attempt))
        };
        let (one, two) = (job("one"), job("two"));
        let table = |name: &str| CreateTableRequest {
            database_name: "db".into(),
            table_input: Some(input(name, &["day"])),
            ..CreateTableRequest::default()
        };
        world.call::<CreateTable>(table("sales")).await.unwrap();
        one.call::<BatchCreatePartition>(add("sales", "1")).await.unwrap();
        one.call::<CreateTable>(table("made")).await.unwrap();
        match other {
            "writer" => {
                let answer = two.call::<BatchCreatePartition>(add("sales", "1")).await.unwrap();
                assert_eq!(answer.errors.unwrap().len(), 1);
                // What an INSERT without new partitions says.
                let none = BatchCreatePartitionRequest { partition_input_list: Vec::new(), ..add("made", "") };
                two.call::<BatchCreatePartition>(none).await.unwrap();
            }
            "somebody" => {
                world.call::<BatchCreatePartition>(add("sales", "1")).await.unwrap();
                world.call::<BatchCreatePartition>(add("made", "2")).await.unwrap();
            }
            _ => {
                let of = GetPartitionsRequest {
                    database_name: "db".into(),
                    table_name: "sales".into(),
                    ..GetPartitionsRequest::default()
                };
                // A job's own looks are no reason to keep anything.
                let cx = if other == "reader" { &two } else { &one };
                assert_eq!(cx.call::<GetPartitions>(of).await.unwrap().partitions.unwrap().len(), 1);
            }
        }
        for name in ["one", "two"] {
            router.finish_attempts(name, service::attempts::Outcome::Rollback).await.unwrap();
            assert!(!router.holds_attempts(name).await.unwrap());
        }
        let of = GetPartitionRequest {
            database_name: "db".into(),
            table_name: "sales".into(),
            partition_values: vec!["1".into()],
            ..GetPartitionRequest::default()
        };
        assert_eq!(world.call::<GetPartition>(of).await.is_ok(), other != "nobody", "{other}");
        assert_eq!(world.get("made").await.is_ok(), ["writer", "somebody"].contains(&other), "{other}");
    }
}

/// A table is renamed with all that it has, and renamed or deleted only in the state that the caller knows.
#[tokio::test]
async fn a_table_is_renamed_and_deleted_as_it_is_known() {
    let world = world();
    world.database("db").await.unwrap();
    world.table("t", &["day"]).await.unwrap();
    let add = BatchCreatePartitionRequest {
        database_name: "db".into(),
        table_name: "t".into(),
        partition_input_list: vec![PartitionInput { values: Some(vec!["1".into()]), ..PartitionInput::default() }],
        ..BatchCreatePartitionRequest::default()
    };
    world.call::<BatchCreatePartition>(add).await.unwrap();
    let version = world.get("t").await.unwrap().version_id.unwrap();
    let update = UpdateTableRequest {
        database_name: "db".into(),
        table_input: Some(input("t", &["day"])),
        ..UpdateTableRequest::default()
    };
    world.call::<UpdateTable>(update).await.unwrap();
    let rename = |version: &str, to: &str| api_lakerun::RenameTableRequest {
        database_name: "DB".into(),
        name: "T".into(),
        new_name: to.into(),
        version_id: version.into(),
    };
    let delete = |name: &str, version: &str| api_lakerun::DeleteTableRequest {
        database_name: "db".into(),
        name: name.into(),
        version_id: version.into(),
    };
    let conflict = "ConcurrentModificationException";
    assert_eq!(code(world.call::<api_lakerun::RenameTable>(rename(&version, "u")).await), conflict);
    assert_eq!(code(world.call::<api_lakerun::DeleteTable>(delete("t", &version)).await), conflict);
    let version = world.get("t").await.unwrap().version_id.unwrap();
    world.table("other", &[]).await.unwrap();
    let taken = world.call::<api_lakerun::RenameTable>(rename(&version, "other")).await;
    assert_eq!(code(taken), "AlreadyExistsException");
    world.call::<api_lakerun::RenameTable>(rename(&version, "U")).await.unwrap();
    assert_eq!(code(world.get("t").await), "EntityNotFoundException");
    assert_eq!(world.get("u").await.unwrap().name, "u");
    let of =
        GetPartitionsRequest { database_name: "db".into(), table_name: "u".into(), ..GetPartitionsRequest::default() };
    let partitions = world.call::<GetPartitions>(of).await.unwrap().partitions.unwrap();
    assert_eq!(partitions.iter().map(|p| p.table_name.as_deref()).collect::<Vec<_>>(), [Some("u")]);
    let version = world.get("u").await.unwrap().version_id.unwrap();
    world.call::<api_lakerun::DeleteTable>(delete("u", &version)).await.unwrap();
    assert_eq!(code(world.get("u").await), "EntityNotFoundException");
}

#[tokio::test]
async fn events_of_a_stopped_trigger_begin_no_run() {
    let world = world();
    let name = || "w".to_owned();
    let workflow = CreateWorkflowRequest { name: name(), ..CreateWorkflowRequest::default() };
    world.call::<CreateWorkflow>(workflow).await.expect("a workflow");
    let trigger = CreateTriggerRequest {
        name: "t".into(),
        workflow_name: Some(name()),
        r#type: "EVENT".into(),
        actions: vec![Action { job_name: Some("j".into()), ..Action::default() }],
        event_batching_condition: Some(EventBatchingCondition { batch_size: 2, batch_window: None }),
        ..CreateTriggerRequest::default()
    };
    world.call::<CreateTrigger>(trigger).await.expect("a trigger");
    let notify = async |event: &str| {
        let request = api_lakerun::NotifyWorkflowRequest { name: name(), event_id: event.into() };
        world.call::<api_lakerun::NotifyWorkflow>(request).await.map(|_| ())
    };
    let runs = async || {
        let request = GetWorkflowRunsRequest { name: name(), ..GetWorkflowRunsRequest::default() };
        let runs = world.call::<GetWorkflowRuns>(request).await.expect("the runs").runs.unwrap_or_default();
        let ids = |run: &WorkflowRun| run.workflow_run_properties.clone().unwrap_or_default()["aws:eventIds"].clone();
        runs.iter().map(ids).collect::<Vec<_>>()
    };
    notify("a").await.expect("the trigger is there");
    world.call::<StopTrigger>(StopTriggerRequest { name: "t".into() }).await.expect("it stops");
    assert_eq!(code(notify("b").await), "InvalidInputException");
    world.call::<StartTrigger>(StartTriggerRequest { name: "t".into() }).await.expect("it starts");
    notify("c").await.expect("it is active");
    assert_eq!(runs().await, Vec::<String>::new());
    notify("d").await.expect("it is active");
    assert_eq!(runs().await, ["[c, d]"]);
}
