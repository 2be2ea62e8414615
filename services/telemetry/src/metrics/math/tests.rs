//! The guide's tables and examples.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::search::{Metric, Search};
use super::{Expr, Fault, Grid, MOST_POINTS, Series, Value, World, evaluate};

/// Minutes from 0 on; `-` has no value.
fn series(text: &str) -> Series {
    let values = text.split_whitespace().enumerate().filter(|(_, value)| *value != "-");
    let points = values.map(|(n, value)| (i64::try_from(n).unwrap() * 60, value.parse().unwrap())).collect();
    Series { label: text.to_owned(), period: Some(60), points, is_metric: true }
}

fn shown(series: &Series) -> String {
    let values = (0..5).map(|n| {
        series
            .points
            .get(&(n * 60))
            .map_or_else(|| "-".to_owned(), |value| format!("{}", (value * 1000.0).round() / 1000.0))
    });
    values.collect::<Vec<_>>().join(" ")
}

fn of(text: &str, metrics: &[(&str, &str)]) -> Result<Vec<String>, Fault> {
    let metrics: Vec<(String, Series)> = metrics.iter().map(|(id, text)| ((*id).to_owned(), series(text))).collect();
    let ids: BTreeMap<String, Value> =
        metrics.iter().map(|(id, one)| (id.clone(), Value::Series(one.clone()))).collect();
    within((0, 300), text, &metrics, &ids)
}

fn within(
    span: (i64, i64),
    text: &str,
    metrics: &[(String, Series)],
    ids: &BTreeMap<String, Value>,
) -> Result<Vec<String>, Fault> {
    let (searches, left) = (BTreeMap::new(), Cell::new(MOST_POINTS));
    let world = World { span, grid: Grid::Clock, period: Some(60), ids, metrics, searches: &searches, left: &left };
    Ok(match evaluate(&Expr::parse(text)?, &world)? {
        Value::Series(one) => vec![shown(&one)],
        Value::Array(all) => all.iter().map(shown).collect(),
        Value::Scalar(_) => unreachable!("no result"),
    })
}

#[test]
fn expressions() {
    let m = [("m1", "1 2 - 4 0"), ("m2", "2 - 3 4 0")];
    for (text, expected) in [
        // What is missing is 0; what would be divided by 0 is dropped.
        ("m1 + m2", vec!["3 2 3 8 0"]),
        ("m1 - m2", vec!["-1 2 -3 0 0"]),
        ("m1 / m2", vec!["0.5 - 0 1 -"]),
        ("1 + 2 * m1 ^ 2", vec!["3 9 - 33 1"]),
        ("-m1", vec!["-1 -2 - -4 0"]),
        ("2 - -m1", vec!["3 4 - 6 2"]),
        ("(1 + m1) * 10", vec!["20 30 - 50 10"]),
        ("100 / [m1, m2]", vec!["100 50 - 25 -", "50 - 33.333 25 -"]),
        ("METRICS() * 1e2", vec!["100 200 - 400 0", "200 - 300 400 0"]),
        ("METRICS(\"2\")", vec!["2 - 3 4 0"]),
        ("SUM(METRICS())", vec!["3 2 3 8 0"]),
        ("AVG([m1, m2])", vec!["1.5 1 1.5 4 0"]),
        ("MAX([m1, m2])", vec!["2 2 3 4 0"]),
        ("MIN(METRICS())", vec!["1 2 3 4 0"]),
        ("m1 - AVG(m1)", vec!["-0.75 0.25 - 2.25 -1.75"]),
        ("m1 / SUM(m1)", vec!["0.143 0.286 - 0.571 0"]),
        ("MAX(m1) / m1", vec!["4 2 - 1 -"]),
        ("DATAPOINT_COUNT([m1, m2])", vec!["2 1 1 2 2"]),
        ("SUM(m1) / DATAPOINT_COUNT(m1) + 0 * m1", vec!["1.75 1.75 - 1.75 1.75"]),
        ("m1 / METRIC_COUNT(METRICS())", vec!["0.5 1 - 2 0"]),
        ("m1 / PERIOD(m1) * 60", vec!["1 2 - 4 0"]),
        ("ABS(-m1)", vec!["1 2 - 4 0"]),
        ("CEIL(m1 / 3)", vec!["1 1 - 2 0"]),
        ("FLOOR(m1 / 3)", vec!["0 0 - 1 0"]),
        ("LOG10(m1 * 10)", vec!["1 1.301 - 1.602 -"]),
        ("LOG(m1)", vec!["0 0.693 - 1.386 -"]),
        ("DIFF(m1)", vec!["- 1 - 2 -4"]),
        ("DIFF_TIME(m1)", vec!["- 60 - 120 60"]),
        ("RATE(m1) * 60", vec!["- 1 - 1 -4"]),
        ("RUNNING_SUM(m1)", vec!["1 3 - 7 7"]),
        ("FILL(m1, 9)", vec!["1 2 9 4 0"]),
        ("FILL(m1, m2)", vec!["1 2 3 4 0"]),
        ("FILL(m1, REPEAT)", vec!["1 2 2 4 0"]),
        ("FILL(m1, LINEAR)", vec!["1 2 3 4 0"]),
        ("FILL(METRICS(), 0)", vec!["1 2 0 4 0", "2 0 3 4 0"]),
        ("FIRST(SORT(METRICS(), AVG, DESC))", vec!["2 - 3 4 0"]),
        ("LAST([m1, m2])", vec!["2 - 3 4 0"]),
        ("SORT(METRICS(), SUM, ASC, 1)", vec!["1 2 - 4 0"]),
        ("SLICE([m1, m2, m1], 1, 2)", vec!["2 - 3 4 0"]),
        ("SLICE([m1, m2], 1)", vec!["2 - 3 4 0"]),
        ("REMOVE_EMPTY([m1, IF(m1 > 9, m1)])", vec!["1 2 - 4 0"]),
        ("TIME_SERIES(MAX(m1))", vec!["4 4 4 4 4"]),
        ("MINUTE(m1)", vec!["0 1 2 3 4"]),
        // 1 January 1970 was a Thursday.
        ("DAY(m1) * 10000 + DATE(m1) * 1000 + MONTH(m1)", vec!["41001 41001 41001 41001 41001"]),
        ("YEAR(m1) + HOUR(m1) + EPOCH(m1)", vec!["1970 2030 2090 2150 2210"]),
    ] {
        assert_eq!(of(text, &m).unwrap(), expected, "{text}");
    }
}

#[test]
fn comparisons_and_conditions() {
    let m = [("metric1", "30 20 0 0"), ("metric2", "20 - 20 -")];
    for (text, expected) in [
        ("(metric1 < metric2)", "0 0 1 0 -"),
        ("(metric1 >= 30)", "1 0 0 0 -"),
        ("(metric1 > 15 AND metric2 > 15)", "1 0 0 0 -"),
        ("metric1 > 15 || metric2 > 15", "1 1 1 0 -"),
        ("metric1 == 30 && metric1 != 20", "1 0 0 0 -"),
    ] {
        assert_eq!(of(text, &m).unwrap(), [expected], "{text}");
    }
    let m = [("metric1", "1 1 0 0 -"), ("metric2", "30 - 0 0 30"), ("metric3", "0 0 20 - 20")];
    for (text, expected) in [
        ("IF(metric1, metric2, metric3)", "30 0 20 - -"),
        ("IF(metric1, 5, metric3)", "5 5 20 - -"),
        ("IF(metric1, metric2, 5)", "30 0 5 5 -"),
        ("IF(metric1 < 1, 10, 2)", "2 2 10 10 -"),
        ("IF(metric2 < 10, metric2)", "- - 0 0 -"),
        ("IF(SUM(metric1) > 1, metric2, metric3)", "30 - 0 0 30"),
        ("IF(0, metric2)", "- - - - -"),
    ] {
        assert_eq!(of(text, &m).unwrap(), [expected], "{text}");
    }
}

#[test]
fn what_is_refused() {
    let m = [("m1", "1 2"), ("m2", "3 4")];
    for text in [
        "",
        "m1 +",
        "m3",
        "AVG(m1)",
        "5",
        "m1 m2",
        "FOO(m1)",
        "avg(m1)",
        "[m1, m2] + [m1, m2]",
        "METRICS() > 1",
        "[m1, 5]",
        "SORT(METRICS(), MEDIAN, ASC)",
        "FILL(m1)",
        "PERIOD(m1 + m2) * m1",
        "\"text\"",
        "SLICE([m1], -1)",
        "IF(METRICS(), m1)",
        "IF(1, 2, 3)",
        "SEARCH('{a}', 'Sum')",
    ] {
        assert!(matches!(of(text, &m), Err(Fault::Invalid(_))), "{text}");
    }
    for text in ["ANOMALY_DETECTION_BAND(m1, 2)", "STDDEV(m1) * m1", "SELECT AVG(x) FROM y", "SERVICE_QUOTA(m1)"] {
        assert!(matches!(of(text, &m), Err(Fault::NotHere(_))), "{text}");
    }
    let deep = format!("{}m1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(of(&deep, &m).is_err());
    assert!(of(&format!("{}m1", "-".repeat(5000)), &m).is_err());
}

#[test]
fn searches() {
    let metric = |namespace: &str, name: &str, dimensions: &[(&str, &str)]| Metric {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    };
    let all = [
        metric("AWS/EC2", "CPUUtilization", &[]),
        metric("AWS/EC2", "CPUUtilization", &[("InstanceId", "i-1")]),
        metric("AWS/EC2", "NetworkPacketsIn", &[("InstanceId", "i-2")]),
        metric("AWS/EC2", "CPUUtilization", &[("InstanceType", "t2.micro")]),
        metric("AWS/Lambda", "Errors", &[("FunctionName", "ProjectA-load")]),
        metric("AWS/Lambda", "Invocations", &[("FunctionName", "ProjectB")]),
        metric("My Namespace", "CustomCount1", &[("Dimension@Name", "Network-Errors-2")]),
        metric("My Namespace", "Europe\\France Traffic(Network)", &[]),
    ];
    for (query, found) in [
        (r#"{AWS/EC2,InstanceId} MetricName="CPUUtilization""#, vec![1]),
        (r#"{AWS/EC2} MetricName="CPUUtilization""#, vec![0]),
        ("{AWS/EC2, InstanceType} InstanceType=micro", vec![3]),
        ("{AWS/EC2,InstanceId} network packets", vec![2]),
        ("{AWS/EC2,InstanceId} network AND packets", vec![2]),
        ("{AWS/EC2,InstanceId} NOT i-2", vec![1]),
        ("NOT Namespace=AWS", vec![6, 7]),
        (
            r#"{AWS/Lambda,FunctionName} MetricName="Errors" OR (MetricName="Invocations" AND (ProjectA OR ProjectB))"#,
            vec![4, 5],
        ),
        ("MetricName=Errors (ProjectA OR ProjectB)", vec![4]),
        (r#"{"My Namespace", "Dimension@Name"}, "CustomCount1""#, vec![6]),
        ("count", vec![6]),
        ("COUNT", vec![6]),
        ("couNT", vec![]),
        ("CustomCount", vec![6]),
        ("Count1", vec![6]),
        ("customcount", vec![]),
        ("count1", vec![]),
        (r#""Custom""#, vec![]),
        (r#""customcount1""#, vec![]),
        ("network/errors", vec![6]),
        ("Network_Errors", vec![6]),
        ("Errors", vec![4, 6]),
        (r#""Europe\\France Traffic\(Network\)""#, vec![7]),
        ("{AWS/EC2}", vec![0]),
    ] {
        let search = Search::parse(query).unwrap();
        let seen: Vec<usize> = (0..all.len()).filter(|n| search.finds(&all[*n])).collect();
        assert_eq!(seen, found, "{query}");
    }
    for query in ["", "{", "{}", "(a", "a)", "a OR", "\"a", "MetricName=", "NOT"] {
        assert!(Search::parse(query).is_err(), "{query}");
    }
    assert!(matches!(Search::parse(":aws.AccountId = '1'"), Err(Fault::NotHere(_))));
}

#[test]
fn as_many_points_as_a_request_may_have() {
    let made = |seconds: i64, text: &str| within((0, seconds), text, &[], &BTreeMap::new());
    assert!(made(60 * 100_000, "TIME_SERIES(1)").is_ok());
    for text in ["TIME_SERIES(1)", "HOUR(TIME_SERIES(1))", "FILL(TIME_SERIES(1), 0)"] {
        let Err(Fault::Invalid(told)) = made(60 * 200_000, text) else { panic!("{text}") };
        assert!(told.contains("100800"), "{told}");
    }
    // Together they are more.
    assert!(made(60 * 60_000, "TIME_SERIES(1) + TIME_SERIES(2)").is_err());
}
