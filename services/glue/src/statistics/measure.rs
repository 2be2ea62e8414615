//! The query that computes statistics, for the table as a whole and for each partition in one reading, and what its rows say.
//!
//! Numbers of distinct values are estimates (HyperLogLog). The types of columns and which statistics they have are those of the Hive
//! metastore, whose `ColumnStatisticsData` Glue's is: timestamps are whole seconds since 1970, lengths count characters.

use api_glue::{
    BinaryColumnStatisticsData, BooleanColumnStatisticsData, ColumnStatistics, ColumnStatisticsData,
    DateColumnStatisticsData, DecimalColumnStatisticsData, DecimalNumber, DoubleColumnStatisticsData,
    LongColumnStatisticsData, StringColumnStatisticsData,
};
use wire::{Blob, Timestamp};

/// What is measured of a column, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Boolean,
    Long,
    Seconds,
    Double,
    Decimal,
    Date,
    Text,
    Binary,
}

/// A column that is measured.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) ty: String,
    pub(crate) measure: Measure,
}

/// The statistics of a table (none) or of one of its partitions, by its name `key=value/…`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    pub(crate) partition: Option<String>,
    pub(crate) columns: Vec<ColumnStatistics>,
}

impl Measure {
    /// None: a type without statistics.
    pub(crate) fn of(ty: &str) -> Option<Self> {
        let ty = ty.trim().to_ascii_lowercase();
        Some(match ty.split('(').next().unwrap_or_default().trim() {
            "boolean" => Self::Boolean,
            "tinyint" | "smallint" | "int" | "integer" | "bigint" | "long" => Self::Long,
            "timestamp" | "timestamptz" => Self::Seconds,
            "float" | "real" | "double" => Self::Double,
            "decimal" => Self::Decimal,
            "date" => Self::Date,
            "string" | "varchar" | "char" => Self::Text,
            "binary" => Self::Binary,
            _ => return None,
        })
    }

    /// Its `ColumnStatisticsType`.
    fn kind(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Long | Self::Seconds => "LONG",
            Self::Double => "DOUBLE",
            Self::Decimal => "DECIMAL",
            Self::Date => "DATE",
            Self::Text => "STRING",
            Self::Binary => "BINARY",
        }
    }

    /// What is selected of a column; each is text.
    fn selected(self, column: &str) -> Vec<String> {
        let nulls = format!("count_if({column} IS NULL)");
        let distinct = format!("approx_distinct({column})");
        let ends = |of: &dyn Fn(&str) -> String| vec![nulls.clone(), distinct.clone(), of("min"), of("max")];
        match self {
            Self::Boolean => vec![nulls, format!("count_if({column})"), format!("count_if(NOT {column})")],
            Self::Long | Self::Double | Self::Decimal | Self::Date => ends(&|end| format!("{end}({column})")),
            Self::Seconds => ends(&|end| format!("CAST(floor(to_unixtime({end}({column}))) AS bigint)")),
            Self::Text => {
                vec![nulls, distinct, format!("max(length({column}))"), format!("avg(length({column}))")]
            }
            Self::Binary => vec![nulls, format!("max(length({column}))"), format!("avg(length({column}))")],
        }
    }
}

/// The query. Where there are partitions, a row for each besides that of the table.
pub(crate) fn query(table: &str, targets: &[Target], has_partitions: bool, sample: Option<f64>) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut selected = if has_partitions {
        vec!["\"$partition\"".to_owned(), "grouping(\"$partition\")".to_owned()]
    } else {
        vec!["NULL".to_owned(), "1".to_owned()]
    };
    for target in targets {
        selected.extend(target.measure.selected(&quoted(&target.name)));
    }
    let sample = sample.map(|percent| format!(" TABLESAMPLE BERNOULLI ({percent})")).unwrap_or_default();
    let groups = if has_partitions { " GROUP BY GROUPING SETS ((), (\"$partition\"))" } else { "" };
    format!("SELECT {} FROM {}{sample}{groups}", selected.join(", "), quoted(table))
}

/// What the query's rows say. Counts of a sample are those of the table that it stands for.
pub(crate) fn read(
    rows: &[Vec<Option<String>>],
    targets: &[Target],
    sample: Option<f64>,
    now: Timestamp,
) -> Result<Vec<Measured>, String> {
    rows.iter()
        .map(|row| {
            let mut cells = row.iter().map(Option::as_deref);
            let (partition, whole) = (cells.next().flatten(), cells.next().flatten());
            let columns = targets
                .iter()
                .map(|target| {
                    let found: Vec<_> = cells.by_ref().take(target.measure.selected("").len()).collect();
                    let data = data(target.measure, &found, sample)
                        .ok_or_else(|| format!("the statistics of column {} were not understood", target.name))?;
                    Ok(ColumnStatistics {
                        column_name: target.name.clone(),
                        column_type: target.ty.clone(),
                        analyzed_time: now,
                        statistics_data: data,
                    })
                })
                .collect::<Result<_, String>>()?;
            let partition = partition.filter(|_| whole != Some("1")).map(str::to_owned);
            Ok(Measured { partition, columns })
        })
        .collect()
}

fn data(measure: Measure, cells: &[Option<&str>], sample: Option<f64>) -> Option<ColumnStatisticsData> {
    let cell = |position: usize| cells.get(position).copied().flatten();
    let count = |position: usize| Some(scaled(cell(position)?.parse().ok()?, sample));
    let distinct = || cell(1)?.parse::<i64>().ok();
    let mut data = ColumnStatisticsData { r#type: measure.kind().to_owned(), ..ColumnStatisticsData::default() };
    match measure {
        Measure::Boolean => {
            data.boolean_column_statistics_data = Some(BooleanColumnStatisticsData {
                number_of_nulls: count(0)?,
                number_of_trues: count(1)?,
                number_of_falses: count(2)?,
            });
        }
        Measure::Long | Measure::Seconds => {
            data.long_column_statistics_data = Some(LongColumnStatisticsData {
                number_of_nulls: count(0)?,
                number_of_distinct_values: distinct()?,
                minimum_value: cell(2).map(str::parse).transpose().ok()?,
                maximum_value: cell(3).map(str::parse).transpose().ok()?,
            });
        }
        Measure::Double => {
            // What JSON has no number for is left out.
            let end = |position| cell(position).and_then(|text| text.parse::<f64>().ok()).filter(|end| end.is_finite());
            data.double_column_statistics_data = Some(DoubleColumnStatisticsData {
                number_of_nulls: count(0)?,
                number_of_distinct_values: distinct()?,
                minimum_value: end(2),
                maximum_value: end(3),
            });
        }
        Measure::Decimal => {
            data.decimal_column_statistics_data = Some(DecimalColumnStatisticsData {
                number_of_nulls: count(0)?,
                number_of_distinct_values: distinct()?,
                minimum_value: cell(2).map(decimal).transpose().ok()?,
                maximum_value: cell(3).map(decimal).transpose().ok()?,
            });
        }
        Measure::Date => {
            data.date_column_statistics_data = Some(DateColumnStatisticsData {
                number_of_nulls: count(0)?,
                number_of_distinct_values: distinct()?,
                minimum_value: cell(2).and_then(midnight),
                maximum_value: cell(3).and_then(midnight),
            });
        }
        Measure::Text => {
            data.string_column_statistics_data = Some(StringColumnStatisticsData {
                number_of_nulls: count(0)?,
                number_of_distinct_values: distinct()?,
                maximum_length: cell(2).map_or(Some(0), |text| text.parse().ok())?,
                average_length: cell(3).map_or(Some(0.0), |text| text.parse().ok())?,
            });
        }
        Measure::Binary => {
            data.binary_column_statistics_data = Some(BinaryColumnStatisticsData {
                number_of_nulls: count(0)?,
                maximum_length: cell(1).map_or(Some(0), |text| text.parse().ok())?,
                average_length: cell(2).map_or(Some(0.0), |text| text.parse().ok())?,
            });
        }
    }
    Some(data)
}

/// A count of the sample as one of the table.
fn scaled(count: i64, sample: Option<f64>) -> i64 {
    let Some(percent) = sample else { return count };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "an estimate of rows, far below 2^52"
    )]
    let all = (count as f64 * 100.0 / percent).round() as i64;
    all
}

/// `12.50` is 1250 with the scale 2, its bytes as Java's `BigInteger` has them.
fn decimal(text: &str) -> Result<DecimalNumber, std::num::ParseIntError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unscaled: i128 = format!("{whole}{fraction}").parse()?;
    let all = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xFF } else { 0 };
    let is_needed = |at: usize| all[at] != sign || (all[at + 1] ^ sign) & 0x80 != 0;
    let first = (0..all.len() - 1).find(|at| is_needed(*at)).unwrap_or(all.len() - 1);
    let scale = i32::try_from(fraction.len()).unwrap_or_default();
    Ok(DecimalNumber { unscaled_value: Blob(all[first..].to_vec().into()), scale })
}

fn midnight(text: &str) -> Option<Timestamp> {
    let date: jiff::civil::Date = text.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, ty: &str) -> Target {
        Target { name: name.to_owned(), ty: ty.to_owned(), measure: Measure::of(ty).unwrap() }
    }

    #[test]
    fn the_query_reads_the_table_once() {
        let targets = [target("a", "int"), target("x\"y", "varchar(3)")];
        assert_eq!(
            query("t", &targets, true, Some(12.5)),
            "SELECT \"$partition\", grouping(\"$partition\"), count_if(\"a\" IS NULL), approx_distinct(\"a\"), min(\"a\"), max(\"a\"), \
             count_if(\"x\"\"y\" IS NULL), approx_distinct(\"x\"\"y\"), max(length(\"x\"\"y\")), avg(length(\"x\"\"y\")) \
             FROM \"t\" TABLESAMPLE BERNOULLI (12.5) GROUP BY GROUPING SETS ((), (\"$partition\"))"
        );
        assert!(query("t", &targets, false, None).ends_with(" FROM \"t\""));
    }

    #[test]
    fn types_without_statistics() {
        for ty in ["array<int>", "map<string,int>", "struct<a:int>", "uniontype<int>", ""] {
            assert_eq!(Measure::of(ty), None, "{ty}");
        }
        assert_eq!(Measure::of("DECIMAL(10, 2)"), Some(Measure::Decimal));
    }

    #[test]
    fn rows_are_read() {
        let row =
            |cells: &[&str]| cells.iter().map(|cell| (*cell != "-").then(|| (*cell).to_owned())).collect::<Vec<_>>();
        let targets = [target("d", "decimal(9,2)"), target("s", "string"), target("b", "boolean")];
        let rows = [
            row(&["-", "1", "1", "2", "-1.28", "2.00", "0", "3", "5", "2.5", "1", "2", "3"]),
            row(&["p=x", "0", "0", "0", "-", "-", "4", "0", "-", "-", "0", "0", "0"]),
        ];
        let found = read(&rows, &targets, Some(50.0), Timestamp::default()).unwrap();
        assert_eq!((found[0].partition.as_deref(), found[1].partition.as_deref()), (None, Some("p=x")));
        let of = |row: usize, column: usize| found[row].columns[column].statistics_data.clone();
        let decimal = of(0, 0).decimal_column_statistics_data.unwrap();
        assert_eq!((decimal.number_of_nulls, decimal.number_of_distinct_values), (2, 2));
        let (least, most) = (decimal.minimum_value.unwrap(), decimal.maximum_value.unwrap());
        assert_eq!((least.unscaled_value.0.as_ref(), least.scale), (&[0x80][..], 2));
        assert_eq!((most.unscaled_value.0.as_ref(), most.scale), (&[0, 0xC8][..], 2));
        let text = of(0, 1).string_column_statistics_data.unwrap();
        assert_eq!((text.maximum_length, text.average_length.to_string().as_str()), (5, "2.5"));
        assert_eq!(of(0, 2).boolean_column_statistics_data.unwrap().number_of_falses, 6);
        assert_eq!(of(1, 0).decimal_column_statistics_data.unwrap().minimum_value, None);
        assert_eq!(of(1, 1).string_column_statistics_data.unwrap().number_of_nulls, 8);
        assert!(read(&[row(&["-", "1", "x"])], &targets, None, Timestamp::default()).is_err());
    }
}
