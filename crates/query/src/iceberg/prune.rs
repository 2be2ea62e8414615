//! Which files of a snapshot a filter may leave, by the bounds and partitions that manifests give.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::manifest::from_bytes;
use super::metadata::TableMetadata;
use super::transform::Transform;
use super::types::{Primitive, Schema, Type};
use super::{FileEntry, Loaded};

/// The files that rows passing the filters may be in. What cannot be judged stays.
pub(super) fn prune(
    state: &dyn Session,
    loaded: &Loaded,
    schema: &Schema,
    exposed: &SchemaRef,
    filters: &[Expr],
    files: &mut Vec<FileEntry>,
) {
    let usable = filters.iter().filter(|filter| !filter.is_volatile()).cloned();
    let Some(filter) = conjunction(usable) else { return };
    let figures = Figures::new(&loaded.metadata, schema, files);
    let keep = || -> datafusion::common::Result<Vec<bool>> {
        let bare = filter.clone().transform(|expr| match expr {
            Expr::Column(column) => Ok(Transformed::yes(Expr::Column(column.name.into()))),
            other => Ok(Transformed::no(other)),
        })?;
        let expr = state.create_physical_expr(bare.data, &DFSchema::try_from(Arc::clone(exposed))?)?;
        PruningPredicateBuilder::new().with_file_schema(Arc::clone(exposed)).try_build(expr)?.prune(&figures)
    };
    if let Ok(keep) = keep() {
        let mut keep = keep.into_iter();
        files.retain(|_| keep.next().unwrap_or(true));
    }
}

/// A column's figures, one of each for every file.
#[derive(Default)]
struct Of {
    min: Vec<Option<ScalarValue>>,
    max: Vec<Option<ScalarValue>>,
    nulls: Vec<Option<u64>>,
    /// The bucket of a file and of how many.
    buckets: Vec<Option<(i32, u32)>>,
    ty: Option<Primitive>,
}

struct Figures {
    columns: BTreeMap<String, Of>,
    rows: Vec<Option<u64>>,
}

impl Figures {
    fn new(metadata: &TableMetadata, schema: &Schema, files: &[FileEntry]) -> Self {
        let mut columns = BTreeMap::new();
        for field in &schema.fields {
            let Type::Primitive(ty) = &field.ty else { continue };
            // Queries carry these otherwise than files do.
            if matches!(ty, Primitive::Timestamptz | Primitive::Fixed(_) | Primitive::Other(_)) {
                continue;
            }
            let mut of = Of { ty: Some(ty.clone()), ..Of::default() };
            for entry in files {
                let bound = |bytes: Option<&Vec<u8>>| bytes.and_then(|bytes| from_bytes(bytes, ty));
                let (mut min, mut max) =
                    (bound(entry.file.lower.get(&field.id)), bound(entry.file.upper.get(&field.id)));
                let mut nulls = entry.file.null_counts.get(&field.id).and_then(|n| u64::try_from(*n).ok());
                let mut bucket = None;
                let spec = metadata.spec_by_id(entry.spec);
                let parts = spec.map_or(&[][..], |spec| &spec.fields).iter().zip(&entry.file.partition);
                for (part, value) in parts.filter(|(part, _)| part.source_id == field.id) {
                    match (part.transform, value) {
                        (Transform::Identity, value) if value.is_null() => {
                            nulls = u64::try_from(entry.file.records).ok();
                        }
                        // A type that has changed since is left to the bounds, as is what may be NaN.
                        (Transform::Identity, value)
                            if !matches!(ty, Primitive::Float | Primitive::Double)
                                && ty.arrow().is_ok_and(|ty| ty == value.data_type()) =>
                        {
                            (min, max, nulls) = (Some(value.clone()), Some(value.clone()), Some(0));
                        }
                        (Transform::Bucket(n), ScalarValue::Int32(Some(value))) => bucket = Some((*value, n)),
                        _ => {}
                    }
                }
                of.min.push(min);
                of.max.push(max);
                of.nulls.push(nulls);
                of.buckets.push(bucket);
            }
            columns.insert(field.name.to_lowercase(), of);
        }
        let paths: Vec<_> = files.iter().map(|entry| Some(ScalarValue::Utf8(Some(entry.file.path.clone())))).collect();
        let path = Of {
            min: paths.clone(),
            max: paths,
            nulls: vec![Some(0); files.len()],
            buckets: vec![None; files.len()],
            ty: Some(Primitive::String),
        };
        columns.insert("$path".to_owned(), path);
        Self { columns, rows: files.iter().map(|entry| u64::try_from(entry.file.records).ok()).collect() }
    }

    fn array(&self, column: &Column, pick: fn(&Of) -> &Vec<Option<ScalarValue>>) -> Option<ArrayRef> {
        let of = self.columns.get(&column.name)?;
        let null = ScalarValue::try_from(&of.ty.as_ref()?.arrow().ok()?).ok()?;
        let values = pick(of).iter().map(|value| value.clone().unwrap_or_else(|| null.clone()));
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for Figures {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.array(column, |of| &of.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.array(column, |of| &of.max)
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(self.columns.get(&column.name)?.nulls.clone())))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(self.rows.clone())))
    }

    /// A file of one bucket has none of the values that fall into others.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let of = self.columns.get(&column.name)?;
        let ty = of.ty.as_ref()?;
        let wanted = ty.arrow().ok()?;
        let mut known: BTreeMap<u32, Vec<i32>> = BTreeMap::new();
        let mut all = Vec::with_capacity(of.buckets.len());
        for bucket in &of.buckets {
            let Some((own, n)) = bucket else {
                all.push(None);
                continue;
            };
            if !known.contains_key(n) {
                let mut found = Vec::new();
                for value in values {
                    if value.is_null() || value.data_type() != wanted {
                        return None;
                    }
                    let hashed = Transform::Bucket(*n).apply(&value.to_array().ok()?, ty).ok()?;
                    match ScalarValue::try_from_array(&hashed, 0).ok()? {
                        ScalarValue::Int32(Some(bucket)) => found.push(bucket),
                        _ => return None,
                    }
                }
                known.insert(*n, found);
            }
            let possible = known.get(n).is_some_and(|found| found.contains(own));
            all.push(if possible { None } else { Some(false) });
        }
        Some(BooleanArray::from(all))
    }
}
