//! BatchCreatePartition: up to 100 partitions; those that cannot be made are listed.

use super::prelude::*;

#[async_trait]
impl Handle<BatchCreatePartition> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchCreatePartitionRequest) -> Result<BatchCreatePartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let (inputs, now, job) = (req.partition_input_list, cx.now(), undo::job(cx));
        let errors: Vec<PartitionError> = cx
            .write(&self.store, move |tx| {
                let table = catalog::table(tx, &scope, &db, &name)?;
                let (mut errors, mut known) = (Vec::new(), vec![scope.table(&db, &name)]);
                for input in &inputs {
                    let values = input.values.clone().unwrap_or_default();
                    let key = scope.partition(&db, &name, &values);
                    match catalog::new_partition(&scope, &table, input.clone(), now) {
                        Err(error) => errors.push(partition_error(values, error.code(), error.message())),
                        Ok(_) if tx.get(&key)?.is_some() => {
                            known.push(key);
                            errors.push(partition_error(values, "AlreadyExistsException", "Partition already exists."));
                        }
                        Ok(partition) => tx.put_json(&key, &partition)?,
                    }
                }
                undo::rely(tx, job.as_deref(), &known)?;
                Ok::<_, Error>(errors)
            })
            .await?;
        Ok(BatchCreatePartitionResponse { errors: Some(errors) })
    }
}
