//! The queries of GetMetricData and of alarms: which series they need, and what comes of them.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use api_cloudwatch::{Dimension, MetricDataQuery, MetricStat, error};
use wire::Error;

use super::math::search::{Metric, Search};
use super::math::{Asked, Expr, Grid, MOST_POINTS, Series, Value, World, evaluate};
use super::read::{Wanted, is_period};
use super::series::Home;
use super::{Metrics, stat};

/// Source: API Reference, GetMetricData.
const MAX_QUERIES: usize = 500;
/// How many series a search finds.
const MAX_FOUND: usize = 500;

/// A query, read.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) label: Option<String>,
    pub(super) shown: bool,
    pub(super) period: Option<i64>,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Metric(MetricStat),
    Expression(Expr),
}

/// What queries need of one another, and of searches.
#[derive(Clone, Debug)]
pub(super) struct Queries {
    pub(super) all: Vec<Query>,
    /// The order in which expressions can be evaluated.
    order: Vec<usize>,
}

/// What came of them.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) values: BTreeMap<String, Value>,
    /// A search would have found more.
    pub(super) truncated: bool,
}

impl Queries {
    /// # Errors
    /// `ValidationError` and `InvalidParameterValue` with what is wrong where; unsupported functions by name.
    pub(super) fn read(queries: Vec<MetricDataQuery>) -> Result<Self, Error> {
        if queries.len() > MAX_QUERIES {
            return Err(error::invalid_parameter_value_exception(format!(
                "The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}."
            )));
        }
        check_ids(&queries)?;
        let all = queries.into_iter().enumerate().map(|(n, query)| Query::read(n + 1, query));
        let all: Vec<Query> = all.collect::<Result<_, _>>()?;
        let order = order(&all)?;
        Ok(Self { all, order })
    }

    /// The period that all metrics have.
    pub(super) fn period(&self) -> Option<i64> {
        let periods = self.all.iter().filter_map(|query| match &query.what {
            What::Metric(metric) => Some(i64::from(metric.period)),
            What::Expression(_) => None,
        });
        let periods: BTreeSet<i64> = periods.collect();
        if periods.len() == 1 { periods.into_iter().next() } else { None }
    }

    fn searches(&self) -> Result<BTreeSet<Asked>, Error> {
        let (mut found, mut fault) = (BTreeSet::new(), None);
        for query in &self.all {
            let What::Expression(expr) = &query.what else { continue };
            let period = query.period;
            expr.walk(&mut |part| {
                if let Expr::Call(name, arguments) = part
                    && name == "SEARCH"
                {
                    match Asked::of(arguments, period) {
                        Ok(asked) => _ = found.insert(asked),
                        Err(found) => fault = Some(found.of(&query.id)),
                    }
                }
            });
        }
        fault.map_or(Ok(found), Err)
    }

    /// The values of all, once there are the metrics'.
    pub(super) fn evaluate(
        &self,
        metrics: &[(String, Series)],
        searches: &BTreeMap<Asked, Vec<Series>>,
        span: (i64, i64),
        grid: Grid,
    ) -> Result<BTreeMap<String, Value>, Error> {
        let mut ids: BTreeMap<String, Value> =
            metrics.iter().map(|(id, series)| (id.clone(), Value::Series(series.clone()))).collect();
        let left = Cell::new(MOST_POINTS);
        for at in &self.order {
            let query = &self.all[*at];
            let What::Expression(expr) = &query.what else { continue };
            let period = query.period.or_else(|| self.period());
            let world = World { span, grid, period, ids: &ids, metrics, searches, left: &left };
            let value = evaluate(expr, &world).map_err(|fault| fault.of(&query.id))?;
            ids.insert(query.id.clone(), value);
        }
        Ok(ids)
    }
}

impl Query {
    fn read(number: usize, query: MetricDataQuery) -> Result<Self, Error> {
        let what = match (query.metric_stat, query.expression) {
            (Some(metric), None) => {
                if !stat::is_known(&metric.stat) {
                    return Err(error::invalid_parameter_value_exception(format!(
                        "The value {} for parameter MetricDataQueries.member.{number}.MetricStat.Stat is not supported.",
                        metric.stat
                    )));
                }
                What::Metric(metric)
            }
            (None, Some(text)) => What::Expression(Expr::parse(&text).map_err(|fault| fault.of(&query.id))?),
            (Some(_), Some(_)) => {
                return Err(Error::validation(format!(
                    "Either MetricStat or Expression must be specified for MetricDataQueries.member.{number}, but not both."
                )));
            }
            (None, None) => {
                return Err(Error::validation(format!(
                    "Either MetricStat or Expression must be specified for MetricDataQueries.member.{number}."
                )));
            }
        };
        if let Some(period) = query.period.filter(|period| !is_period(i64::from(*period))) {
            return Err(error::invalid_parameter_value_exception(format!(
                "The value {period} for parameter MetricDataQueries.member.{number}.Period must be 1, 5, 10, 20, 30 or a multiple of 60."
            )));
        }
        let shown = query.return_data != Some(false);
        Ok(Self { id: query.id, label: query.label, shown, period: query.period.map(i64::from), what })
    }
}

/// Ids begin with a small letter, and name one query each. Source: API Reference, MetricDataQuery.
fn check_ids(queries: &[MetricDataQuery]) -> Result<(), Error> {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut seen = BTreeSet::new();
    for (at, id) in queries.iter().map(|query| query.id.as_str()).enumerate() {
        if !id.starts_with(|c: char| c.is_ascii_lowercase()) || !id.chars().all(rest) {
            let at = at + 1;
            let text = "is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.";
            return Err(Error::validation(format!(
                "The value {id} for parameter MetricDataQueries.member.{at}.Id {text}"
            )));
        }
        if !seen.insert(id) {
            return Err(Error::validation("The values for parameter id in MetricDataQueries are not unique."));
        }
    }
    Ok(())
}

/// Expressions behind those that they name.
fn order(all: &[Query]) -> Result<Vec<usize>, Error> {
    let places: BTreeMap<&str, usize> = all.iter().enumerate().map(|(at, query)| (query.id.as_str(), at)).collect();
    let mut waits: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (at, query) in all.iter().enumerate() {
        if let What::Expression(expr) = &query.what {
            let named = expr.ids().into_iter().filter_map(|id| places.get(id.as_str()).copied());
            waits.insert(at, named.filter(|on| matches!(all[*on].what, What::Expression(_))).collect());
        }
    }
    let mut order = Vec::new();
    while let Some(next) = waits.iter().find(|(_, on)| on.is_empty()).map(|(at, _)| *at) {
        waits.remove(&next);
        for on in waits.values_mut() {
            on.remove(&next);
        }
        order.push(next);
    }
    match waits.keys().next() {
        None => Ok(order),
        Some(at) => {
            let id = &all[*at].id;
            Err(Error::validation(format!("Error in expression '{id}': it depends on itself")))
        }
    }
}

impl Metrics {
    /// Reads what the queries need and evaluates them.
    pub(super) async fn query(
        &self,
        home: &Home,
        queries: &Queries,
        (from, to): (i64, i64),
        grid: Grid,
    ) -> Result<Results, Error> {
        let mut metrics = Vec::new();
        for query in &queries.all {
            if let What::Metric(metric) = &query.what {
                metrics.push((query.id.clone(), self.of_metric(home, metric, (from, to), grid).await?));
            }
        }
        let (mut searches, mut truncated) = (BTreeMap::new(), false);
        for asked in queries.searches()? {
            let (found, more) = self.search(home, &asked, (from, to)).await?;
            truncated |= more;
            searches.insert(asked, found);
        }
        // Nothing can be known of times that have not come.
        let now = self.router.now().as_second() + 1;
        let values = queries.evaluate(&metrics, &searches, (from, to.min(now)), grid)?;
        Ok(Results { values, truncated })
    }

    async fn of_metric(
        &self,
        home: &Home,
        asked: &MetricStat,
        (from, to): (i64, i64),
        grid: Grid,
    ) -> Result<Series, Error> {
        let period = i64::from(asked.period);
        let metric = asked.metric.metric_name.clone().unwrap_or_default();
        let wanted = Wanted {
            namespace: asked.metric.namespace.as_deref().unwrap_or_default(),
            metric: &metric,
            dimensions: asked.metric.dimensions.as_deref().unwrap_or_default(),
            unit: asked.unit.as_deref(),
            from: if period > 0 { grid.begin(from, period) } else { from },
            to,
            period,
        };
        let periods = self.periods(home, &wanted).await?;
        let points = periods.into_iter().filter_map(|(at, (stat, _))| Some((at, stat.value(&asked.stat)?))).collect();
        Ok(Series { label: metric.clone(), period: Some(period), points, is_metric: true })
    }

    /// The series that a search finds, and whether there are more.
    async fn search(&self, home: &Home, asked: &Asked, span: (i64, i64)) -> Result<(Vec<Series>, bool), Error> {
        let search = Search::parse(&asked.query).map_err(|fault| fault.of("SEARCH"))?;
        self.flush().await?;
        let known = self.store.read(|tx| home.series(tx, None, None)).await?;
        let known = known.into_iter().map(|one| Metric {
            namespace: one.namespace,
            name: one.metric,
            dimensions: one.dimensions,
        });
        let found: BTreeSet<Metric> = known.filter(|metric| search.finds(metric)).collect();
        let truncated = found.len() > MAX_FOUND;
        let one_name = found.iter().map(|metric| &metric.name).collect::<BTreeSet<_>>().len() < 2;
        let mut all = Vec::new();
        for metric in found.iter().take(MAX_FOUND) {
            let dimensions = metric.dimensions.iter();
            let stat = MetricStat {
                metric: api_cloudwatch::Metric {
                    namespace: Some(metric.namespace.clone()),
                    metric_name: Some(metric.name.clone()),
                    dimensions: Some(
                        dimensions
                            .map(|(name, value)| Dimension { name: name.clone(), value: value.clone() })
                            .collect(),
                    ),
                },
                period: i32::try_from(asked.period).unwrap_or(i32::MAX),
                stat: asked.stat.clone(),
                unit: None,
            };
            let series = self.of_metric(home, &stat, span, Grid::Clock).await?;
            all.push(Series { label: label(metric, one_name), ..series });
        }
        Ok((all, truncated))
    }
}

/// What tells a metric from others of the search: its dimensions, and its name where that differs.
fn label(metric: &Metric, one_name: bool) -> String {
    let name = (!one_name || metric.dimensions.is_empty()).then_some(&metric.name);
    metric.dimensions.values().chain(name).map(String::as_str).collect::<Vec<_>>().join(" ")
}
