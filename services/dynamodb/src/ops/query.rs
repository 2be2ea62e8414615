//! Query: the items of one partition, in the order of their sort keys.

use api_dynamodb::{Query, QueryInput, QueryOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::capacity::{Units, read_factor};
use crate::expr::{Condition, KeyCondition, Placeholders, Projection, SortCondition};
use crate::read::{Range, Request, page};
use crate::table::{Index, KeySchema, Table};
use crate::throttle::Kind;
use crate::write::{Home, convert_values};
use crate::{DynamoDb, Invalid, convert, legacy};

fn expressions(req: &QueryInput) -> [(&'static str, bool); 3] {
    [
        ("ProjectionExpression", req.projection_expression.is_some()),
        ("FilterExpression", req.filter_expression.is_some()),
        ("KeyConditionExpression", req.key_condition_expression.is_some()),
    ]
}

/// Legacy parameters do not stand beside expressions; `KeyConditions` may, beside those for the rest.
fn refuse_mixed(req: &QueryInput, expressions: &[(&'static str, bool)]) -> Result<(), Invalid> {
    let both_keys = req.key_conditions.is_some() && req.key_condition_expression.is_some();
    legacy::refuse_mixed(
        expressions,
        &[
            ("AttributesToGet", req.attributes_to_get.is_some()),
            ("QueryFilter", req.query_filter.is_some()),
            ("ConditionalOperator", req.conditional_operator.is_some()),
            ("KeyConditions", both_keys),
        ],
    )
}

#[async_trait]
impl Handle<Query> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: QueryInput) -> Result<QueryOutput, Error> {
        let expressions = expressions(&req);
        refuse_mixed(&req, &expressions)?;
        let placeholders = Placeholders::new(
            req.expression_attribute_names,
            convert_values(req.expression_attribute_values)?,
            &expressions,
        )?;
        if req.key_conditions.is_none() && req.key_condition_expression.is_none() {
            return Err(Error::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            ));
        }
        let legacy_filter = legacy::filter(req.query_filter, req.conditional_operator.as_deref())?;
        let limit = limit(req.limit)?;
        let start = convert::optional_item(req.exclusive_start_key)?;
        let reverse = req.scan_index_forward == Some(false);
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.table(tx, &req.table_name)).await?;
        let index = req.index_name.as_deref().map(|name| table.readable_index(name)).transpose()?;
        refuse_consistent(index, req.consistent_read)?;
        table.admit(Kind::Read, index, cx.now().as_millisecond())?;
        let schema = index.map_or(&table.key, |index| &index.key);
        let condition = match (req.key_condition_expression, req.key_conditions) {
            (Some(source), _) => KeyCondition::parse(&source, &placeholders, schema)?,
            (None, conditions) => legacy::key_conditions(conditions.unwrap_or_default(), schema)?,
        };
        check_types(&table, schema, &condition)?;
        let written = filter(req.filter_expression.as_deref(), &placeholders)?;
        let what = if written.is_some() { "Filter Expression" } else { "QueryFilter" };
        let filter = written.or(legacy_filter);
        if let Some(name) = filter.iter().flat_map(Condition::attributes).find(|name| schema.contains(name)) {
            return Err(Error::validation(format!(
                "{what} can only contain non-primary key attributes: Primary key attribute: {name}"
            )));
        }
        let view = View::new(
            &table,
            index,
            req.select.as_deref(),
            req.projection_expression.as_deref(),
            req.attributes_to_get.as_deref(),
            &placeholders,
        )?;
        placeholders.all_used()?;
        let view = view.with_filter(&table, index, filter.as_ref());
        let mut range = Range::of_query(&table, index, &condition);
        if let Some(start) = &start {
            range.after(&table, index, start, reverse)?;
        }
        let request =
            Request { table: &table, index, range, reverse, limit, filter: filter.as_ref(), whole: view.whole };
        let mut request = Some(request);
        let page = self
            .store
            .read(|tx| match request.take() {
                Some(request) => page(tx, request),
                None => Err(Error::internal("a read ran twice")),
            })
            .await?;
        let factor = read_factor(req.consistent_read);
        let units = Units::of_read(index, page.bytes, factor).and_of_table(page.fetched * factor);
        table.charge(Kind::Read, || units.clone());
        Ok(QueryOutput {
            count: i32::try_from(page.items.len()).ok(),
            scanned_count: i32::try_from(page.scanned).ok(),
            items: view.show(&table, index, page.items),
            last_evaluated_key: page.last.map(convert::attributes),
            consumed_capacity: units.answer(&req.table_name, req.return_consumed_capacity.as_deref()),
        })
    }
}

pub(super) fn limit(limit: Option<i32>) -> Result<Option<usize>, Invalid> {
    let Some(limit) = limit else { return Ok(None) };
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(Some(limit)),
        _ => Err(Invalid::new(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have \
             value greater than or equal to 1"
        ))),
    }
}

pub(super) fn filter(source: Option<&str>, placeholders: &Placeholders) -> Result<Option<Condition>, Invalid> {
    source.map(|source| Condition::parse("FilterExpression", source, placeholders)).transpose()
}

pub(super) fn refuse_consistent(index: Option<&Index>, consistent: Option<bool>) -> Result<(), Invalid> {
    if consistent == Some(true) && index.is_some_and(|index| index.global) {
        return Err(Invalid::new("Consistent reads are not supported on global secondary indexes"));
    }
    Ok(())
}

pub(super) fn check_types(table: &Table, schema: &KeySchema, condition: &KeyCondition) -> Result<(), Invalid> {
    let fits = |name: &str, kind: &str| table.attributes.get(name).is_some_and(|own| own == kind);
    let last = condition.sort_prefix.len();
    let pairs =
        schema.partition.iter().zip(&condition.partition).chain(schema.sort.iter().zip(&condition.sort_prefix)).chain(
            condition
                .sort
                .iter()
                .flat_map(|sort| sort.values())
                .filter_map(|value| Some((schema.sort.get(last)?, value))),
        );
    let pairs: Vec<_> = pairs.collect();
    for (name, value) in &pairs {
        let prefix = schema.sort.contains(name) && matches!(condition.sort, Some(SortCondition::BeginsWith(_)));
        if value.length() == Some(0) && !prefix {
            return Err(Invalid::new(format!(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
                 empty {} value. Key: {name}",
                if value.type_name() == "B" { "binary" } else { "string" }
            )));
        }
    }
    if pairs.iter().all(|(name, value)| fits(name, value.type_name())) {
        return Ok(());
    }
    Err(Invalid::new("One or more parameter values were invalid: Condition parameter type does not match schema type"))
}

/// What of the items is answered: `Select` and the projection, checked against what the index keeps.
pub(super) struct View {
    projection: Option<Projection>,
    count_only: bool,
    pub(super) whole: bool,
    /// Show no more of an item than the index keeps.
    as_kept: bool,
}

impl View {
    pub(super) fn new(
        table: &Table,
        index: Option<&Index>,
        select: Option<&str>,
        expression: Option<&str>,
        attributes: Option<&[String]>,
        placeholders: &Placeholders,
    ) -> Result<Self, Invalid> {
        let projection = match (expression, attributes) {
            (Some(text), _) => Some(Projection::parse(text, placeholders)?),
            (None, Some(names)) => {
                legacy::check_attributes(names)?;
                Some(Projection::of_attributes(names.iter().map(String::as_str)))
            }
            (None, None) => None,
        };
        if select == Some("SPECIFIC_ATTRIBUTES") && projection.is_none() {
            return Err(Invalid::new(
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
            ));
        }
        if select == Some("ALL_PROJECTED_ATTRIBUTES") && index.is_none() {
            return Err(Invalid::new(
                "One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES can be used only when Querying \
                 using an IndexName",
            ));
        }
        if let Some(select) = select.filter(|select| *select != "SPECIFIC_ATTRIBUTES")
            && projection.is_some()
        {
            let parameter = if expression.is_some() { "ProjectionExpression" } else { "AttributesToGet" };
            return Err(Invalid::new(format!("Cannot specify the {parameter} when choosing to get {select}")));
        }
        let wants_all = select == Some("ALL_ATTRIBUTES");
        let lacking = index.is_some_and(|index| match &projection {
            Some(projection) => projection.attributes().any(|name| !table.projects(index, name)),
            None => wants_all && index.projection != crate::table::Projected::All,
        });
        if let Some(index) = index.filter(|index| index.global && lacking) {
            return Err(Invalid::new(if wants_all {
                format!(
                    "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for \
                     global secondary index {} because its projection type is not ALL",
                    index.name
                )
            } else {
                not_projected(table, index, projection.iter().flat_map(Projection::attributes))
            }));
        }
        Ok(Self { projection, count_only: select == Some("COUNT"), whole: lacking, as_kept: false })
    }

    /// A filter may ask about what a local index does not keep: then items are read whole, and shown as the index has them.
    pub(super) fn with_filter(mut self, table: &Table, index: Option<&Index>, filter: Option<&Condition>) -> Self {
        let lacking = index.filter(|index| !index.global).is_some_and(|index| {
            filter.iter().flat_map(|filter| filter.attributes()).any(|name| !table.projects(index, name))
        });
        if lacking && !self.whole {
            self.whole = true;
            self.as_kept = self.projection.is_none();
        }
        self
    }

    pub(super) fn show(
        &self,
        table: &Table,
        index: Option<&Index>,
        items: Vec<crate::value::Item>,
    ) -> Option<Vec<convert::Attributes>> {
        if self.count_only {
            return None;
        }
        let show = |item| match (&self.projection, index) {
            (Some(projection), _) => convert::attributes(projection.apply(&item)),
            (None, Some(index)) if self.as_kept => convert::attributes(table.projected(index, &item)),
            (None, _) => convert::attributes(item),
        };
        Some(items.into_iter().map(show).collect())
    }
}
/// What is said of attributes that a global index does not keep: their names, in the order in which they were asked for.
pub(super) fn not_projected<'a>(table: &Table, index: &Index, asked: impl Iterator<Item = &'a str>) -> String {
    let lacking: Vec<&str> = asked.filter(|name| !table.projects(index, name)).collect();
    format!(
        "One or more parameter values were invalid: Global secondary index {} does not project [{}]",
        index.name,
        lacking.join(", ")
    )
}
