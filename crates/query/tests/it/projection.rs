//! Partition projection as a query meets it.

use crate::{LAZY, Lake};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_computed_and_pruned() {
    let lake = Lake::new().await;
    let properties = [
        ("field.delim", ","),
        ("projection.enabled", "true"),
        ("projection.region.type", "enum"),
        ("projection.region.values", "eu,us"),
        ("projection.day.type", "date"),
        ("projection.day.format", "yyyy/MM/dd"),
        ("projection.day.range", "2024/01/01,2024/01/03"),
        ("projection.hour.type", "integer"),
        ("projection.hour.range", "0,23"),
        ("projection.hour.digits", "2"),
        ("storage.location.template", "s3://b/logs/${region}/${day}/h${hour}/"),
    ];
    lake.table("t", "v int", "region string, day string, hour int", LAZY, &properties).await;
    for (key, text) in [
        ("logs/eu/2024/01/01/h00/a", "1\n"),
        ("logs/eu/2024/01/03/h23/a", "2\n"),
        ("logs/us/2024/01/02/h07/a", "4\n"),
        ("logs/us/2024/01/04/h07/a", "8\n"),
        ("logs/us/2024/01/02/h7/a", "16\n"),
        ("logs/asia/2024/01/02/h07/a", "32\n"),
    ] {
        lake.put(key, text).await;
    }
    // A partition of the catalog does not count.
    lake.put("elsewhere/a", "64\n").await;
    lake.partition("t", &["eu", "2024/01/01", "5"], "s3://b/elsewhere/").await;
    assert_eq!(lake.rows("SELECT sum(v), count(*) FROM t").await, "\"7\",\"3\"\n");
    assert_eq!(
        lake.rows("SELECT v, region, day, hour FROM t WHERE day >= '2024/01/02' AND hour < 20 ORDER BY v").await,
        "\"4\",\"us\",\"2024/01/02\",\"7\"\n"
    );
    assert_eq!(
        lake.rows("SELECT \"$path\" FROM t WHERE region = 'eu' AND hour = 23").await,
        "\"s3://b/logs/eu/2024/01/03/h23/a\"\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn injected_columns_and_now() {
    let lake = Lake::new().await;
    let properties = [
        ("projection.enabled", "true"),
        ("projection.device.type", "injected"),
        ("projection.day.type", "date"),
        ("projection.day.format", "yyyy-MM-dd"),
        ("projection.day.range", "NOW-2DAYS,NOW"),
    ];
    lake.table("t", "v int", "device string, day date", LAZY, &properties).await;
    let today = lake.rows("SELECT current_date").await.trim().trim_matches('"').to_owned();
    lake.put(&format!("t/device=a/day={today}/f"), "1\n").await;
    lake.put("t/device=a/day=2001-01-01/f", "2\n").await;
    lake.put(&format!("t/device=b/day={today}/f"), "4\n").await;
    let sum = |filter: &str| format!("SELECT sum(v) FROM t WHERE {filter}");
    assert_eq!(lake.rows(&sum("device = 'a'")).await, "\"1\"\n");
    assert_eq!(lake.rows(&sum("device IN ('a', 'b') AND day > DATE '2020-01-01'")).await, "\"5\"\n");
    for filter in ["device > 'a'", "day = current_date", "device = 'a' OR day > current_date"] {
        let message = lake.fails(&sum(filter)).await;
        assert!(
            message.starts_with("CONSTRAINT_VIOLATION: For the injected projected partition column device"),
            "{message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_projections_are_named() {
    let lake = Lake::new().await;
    lake.table("t", "v int", "day string", LAZY, &[("projection.enabled", "true")]).await;
    let message = lake.fails("SELECT * FROM t").await;
    assert!(message.contains("missing projection configuration: [day]"), "{message}");
    let properties = [("projection.enabled", "false"), ("projection.day.type", "nonsense")];
    lake.table("off", "v int", "day string", LAZY, &properties).await;
    assert_eq!(lake.rows("SELECT * FROM off").await, "");
}
