//! ALTER TABLE of Iceberg tables changes their metadata alone; DESCRIBE and SHOW CREATE TABLE tell of it.

use std::fmt::Write;

use super::{KNOWN_PROPERTIES, OWN_PROPERTIES, STANDARD, done, kept_properties};
use crate::catalog::{Column, Table};
use crate::error::{Error, Result};
use crate::iceberg::Loaded;
use crate::iceberg::mapping::{self, NAME_MAPPING};
use crate::iceberg::metadata::{PartitionField, TableMetadata};
use crate::iceberg::transform::Transform;
use crate::iceberg::types::{Field, Type, hive, of_column, promotes};
use crate::run::{Answer, Run};
use crate::sql::ColumnPosition;
use crate::types::ColumnInfo;

impl Run<'_> {
    pub(in crate::run) async fn iceberg_properties(
        &self,
        database: &str,
        table: &Table,
        set: &[(String, String)],
        unset: &[String],
    ) -> Result<Answer> {
        let named = set.iter().map(|(key, _)| key).chain(unset);
        if let Some(key) = named.into_iter().find(|key| OWN_PROPERTIES.contains(&key.as_str())) {
            return Err(Error::ddl(format_args!("The property {key} of an Iceberg table cannot be changed")));
        }
        if let Some(key) = unset.iter().find(|key| !KNOWN_PROPERTIES.contains(&key.as_str())) {
            return Err(super::unknown_property(key));
        }
        let set = kept_properties(set.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;
        let loaded = Loaded::load(&self.storage, table.clone()).await?;
        let change = |metadata: &mut TableMetadata| {
            metadata.properties.extend(set);
            for key in unset {
                metadata.properties.remove(key);
                if let Some((_, standard)) = STANDARD.iter().find(|(own, _)| own == key) {
                    metadata.properties.remove(*standard);
                }
            }
        };
        self.committer(database).update(&loaded, change).await?;
        Ok(done())
    }

    /// ADD and REPLACE COLUMNS.
    pub(in crate::run) async fn iceberg_columns(
        &self,
        database: &str,
        table: &Table,
        columns: &[Column],
        replace: bool,
    ) -> Result<Answer> {
        let loaded = Loaded::load(&self.storage, table.clone()).await?;
        let current = loaded.metadata.schema();
        let mut next = loaded.metadata.last_column_id;
        let mut fields: Vec<Field> = if replace { Vec::new() } else { current.fields.clone() };
        for column in columns {
            if fields.iter().any(|field| field.name.eq_ignore_ascii_case(&column.name)) {
                return Err(Error::ddl(format_args!("Duplicate column name: {}", column.name)));
            }
            // A column that stays keeps its number, and its data.
            let field = if let Some(at) = current.position(&column.name) {
                retyped(&current.fields[at], column, &mut next)?
            } else {
                next += 1;
                let id = next;
                of_column(column, id, &mut next)?
            };
            fields.push(field);
        }
        self.put_schema(database, &loaded, fields).await
    }

    pub(in crate::run) async fn iceberg_drop_column(
        &self,
        database: &str,
        table: &Table,
        column: &str,
    ) -> Result<Answer> {
        let loaded = Loaded::load(&self.storage, table.clone()).await?;
        let mut fields = loaded.metadata.schema().fields.clone();
        let Some(at) = loaded.metadata.schema().position(column) else {
            return Err(Error::ddl(format_args!("Cannot delete missing column: {column}")));
        };
        fields.remove(at);
        if fields.is_empty() {
            return Err(Error::ddl("Cannot drop the only column of a table"));
        }
        self.put_schema(database, &loaded, fields).await
    }

    pub(in crate::run) async fn iceberg_change_column(
        &self,
        database: &str,
        table: &Table,
        old: &str,
        new: &Column,
        place: Option<ColumnPosition>,
    ) -> Result<Answer> {
        let loaded = Loaded::load(&self.storage, table.clone()).await?;
        let mut fields = loaded.metadata.schema().fields.clone();
        let missing = |name: &str| Error::ddl(format_args!("Cannot find column: {name}"));
        let at = fields.iter().position(|field| field.name.eq_ignore_ascii_case(old)).ok_or_else(|| missing(old))?;
        let known = fields.remove(at);
        if fields.iter().any(|field| field.name.eq_ignore_ascii_case(&new.name)) {
            return Err(Error::ddl(format_args!("Duplicate column name: {}", new.name)));
        }
        let mut next = loaded.metadata.last_column_id;
        let field = retyped(&known, new, &mut next)?;
        let to = match place {
            None => at,
            Some(ColumnPosition::First) => 0,
            Some(ColumnPosition::After(name)) => {
                fields.iter().position(|field| field.name.eq_ignore_ascii_case(&name)).ok_or_else(|| missing(&name))?
                    + 1
            }
        };
        fields.insert(to, field);
        self.put_schema(database, &loaded, fields).await
    }

    async fn put_schema(&self, database: &str, loaded: &Loaded, fields: Vec<Field>) -> Result<Answer> {
        let parts = &loaded.metadata.spec().fields;
        if let Some(part) = parts.iter().find(|part| !fields.iter().any(|field| field.id == part.source_id)) {
            return Err(Error::ddl(format_args!("Cannot drop partition field: {}", part.name)));
        }
        let current = loaded.metadata.schema();
        if let Some(id) = current.identifier_field_ids.iter().find(|id| !fields.iter().any(|field| field.id == **id))
            && let Some(field) = current.fields.iter().find(|field| field.id == *id)
        {
            return Err(Error::ddl(format_args!("Cannot delete identifier field {}", field.name)));
        }
        let names = loaded.metadata.properties.get(NAME_MAPPING);
        let names = names.map(|text| mapping::kept(text, &current.fields, &fields)).transpose()?;
        let change = |metadata: &mut TableMetadata| {
            metadata.put_schema(fields);
            if let Some(names) = names {
                metadata.properties.insert(NAME_MAPPING.to_owned(), names);
            }
        };
        self.committer(database).update(loaded, change).await?;
        Ok(done())
    }

    pub(in crate::run) async fn iceberg_describe(&self, table: &Table) -> Result<Answer> {
        let loaded = Loaded::load(&self.storage, table.clone()).await?;
        let schema = loaded.metadata.schema();
        // Nothing is padded, and types have blanks that Hive's have not.
        let row = |parts: [&str; 3]| parts.join("\t");
        let spaced = |ty: &str| ty.replace(',', ", ").replace(':', ": ");
        let mut lines = vec!["# Table schema:\t\t".to_owned(), "# col_name\tdata_type\tcomment".to_owned()];
        lines.extend(schema.fields.iter().map(|field| {
            row([&field.name.to_lowercase(), &spaced(&shown(&field.ty)), field.doc.as_deref().unwrap_or_default()])
        }));
        lines.push("\t\t".to_owned());
        lines.push("# Partition spec:\t\t".to_owned());
        lines.push("# field_name\tfield_transform\tcolumn_name".to_owned());
        lines.extend(loaded.metadata.spec().fields.iter().map(|part| {
            let column = schema.field(part.source_id).map_or("", |field| field.name.as_str());
            row([&part.name, &part.transform.to_string(), column])
        }));
        let columns = ["col_name", "data_type", "comment"].map(ColumnInfo::string).to_vec();
        Ok(Answer::Lines { columns, lines })
    }

    pub(in crate::run) async fn iceberg_show_create(&self, database: &str, table: &Table) -> Result<Answer> {
        let loaded = Loaded::load(&self.storage, table.clone()).await?;
        let metadata = &loaded.metadata;
        let quoted = |text: &str| text.replace('\'', "\\'");
        let columns: Vec<_> = metadata
            .schema()
            .fields
            .iter()
            .map(|field| {
                let comment = field.doc.as_ref().map(|doc| format!(" COMMENT '{}'", quoted(doc))).unwrap_or_default();
                format!("  {} {}{comment}", field.name.to_lowercase(), shown(&field.ty))
            })
            .collect();
        let mut text = format!("CREATE TABLE {database}.{} (\n{})\n", table.name, columns.join(",\n"));
        if let Some(comment) = &table.description {
            let _ = writeln!(text, "COMMENT '{}'", quoted(comment));
        }
        let parts: Vec<_> = metadata.spec().fields.iter().filter_map(|part| declared(part, metadata)).collect();
        if !parts.is_empty() {
            let _ = writeln!(text, "PARTITIONED BY ({})", parts.join(", "));
        }
        let _ = writeln!(text, "LOCATION '{}'", quoted(&metadata.location));
        let mut properties = vec!["  'table_type'='iceberg'".to_owned()];
        let kept = metadata.properties.iter().filter(|(key, _)| KNOWN_PROPERTIES.contains(&key.as_str()));
        properties.extend(kept.map(|(key, value)| format!("  '{}'='{}'", quoted(key), quoted(value))));
        let _ = write!(text, "TBLPROPERTIES (\n{}\n);", properties.join(",\n"));
        let columns = vec![ColumnInfo::string("createtab_stmt")];
        Ok(Answer::Lines { columns, lines: text.lines().map(str::to_owned).collect() })
    }
}

/// A type as statements declare it.
fn shown(ty: &Type) -> String {
    match ty {
        Type::Primitive(crate::iceberg::types::Primitive::Timestamptz) => "timestamptz".to_owned(),
        ty => hive(ty),
    }
}

/// A partition field as CREATE TABLE declares it.
fn declared(part: &PartitionField, metadata: &TableMetadata) -> Option<String> {
    let column = format!("`{}`", metadata.schema().field(part.source_id)?.name.to_lowercase());
    Some(match part.transform {
        Transform::Identity => column,
        Transform::Bucket(n) => format!("bucket({n}, {column})"),
        Transform::Truncate(n) => format!("truncate({n}, {column})"),
        Transform::Year | Transform::Month | Transform::Day | Transform::Hour => {
            format!("{}({column})", part.transform)
        }
        Transform::Void | Transform::Unknown => return None,
    })
}

/// A column under a new declaration, with its old number.
fn retyped(known: &Field, new: &Column, next: &mut i32) -> Result<Field> {
    let wanted = of_column(new, known.id, next)?;
    let ty = match (&known.ty, wanted.ty) {
        (old, Type::Nested(_)) if hive(old) == new.ty => old.clone(),
        (old, wanted) if promotes(old, &wanted) => wanted,
        (old, _) => {
            return Err(Error::ddl(format_args!(
                "Cannot change column type: {}: {} -> {}",
                known.name,
                shown(old),
                new.ty
            )));
        }
    };
    Ok(Field { name: new.name.clone(), ty, doc: new.comment.clone().or_else(|| known.doc.clone()), ..known.clone() })
}
