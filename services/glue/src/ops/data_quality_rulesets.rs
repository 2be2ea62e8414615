//! CreateDataQualityRuleset, UpdateDataQualityRuleset, GetDataQualityRuleset, ListDataQualityRulesets, DeleteDataQualityRuleset. A ruleset
//! is text here: jobs parse and evaluate it.

use wire::Timestamp;

use super::prelude::*;
use crate::quality::{self, RulesetRecord};

#[async_trait]
impl Handle<CreateDataQualityRuleset> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateDataQualityRulesetRequest,
    ) -> Result<CreateDataQualityRulesetResponse, Error> {
        let (scope, now) = (Scope::of(cx), Timestamp(cx.now()));
        let labels = req.tags.unwrap_or_default();
        check(&req.ruleset)?;
        let record = RulesetRecord {
            version: 1,
            name: req.name,
            description: req.description,
            ruleset: req.ruleset,
            target: req.target_table,
            created: now,
            modified: now,
        };
        cx.write(&self.store, move |tx| {
            let key = quality::rulesets(&scope).push(&record.name);
            if tx.get(&key)?.is_some() {
                return Err(already_exists_exception(format!("Ruleset with name {} already exists", record.name)));
            }
            tx.put_json(&key, &record)?;
            tags::add(tx, &scope, &quality::ruleset_arn(&scope, &record.name), &labels)?;
            Ok(CreateDataQualityRulesetResponse { name: Some(record.name.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateDataQualityRuleset> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateDataQualityRulesetRequest,
    ) -> Result<UpdateDataQualityRulesetResponse, Error> {
        let (scope, now) = (Scope::of(cx), Timestamp(cx.now()));
        if let Some(ruleset) = &req.ruleset {
            check(ruleset)?;
        }
        cx.write(&self.store, move |tx| {
            let old = quality::find_ruleset(tx, &scope, &req.name)?;
            let new = RulesetRecord {
                description: req.description.clone().or(old.description),
                ruleset: req.ruleset.clone().unwrap_or(old.ruleset),
                modified: now,
                ..old
            };
            tx.put_json(quality::rulesets(&scope).push(&req.name), &new)?;
            Ok(UpdateDataQualityRulesetResponse {
                name: Some(new.name),
                description: new.description,
                ruleset: Some(new.ruleset),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetDataQualityRuleset> for Glue {
    async fn handle(&self, cx: &Cx, req: GetDataQualityRulesetRequest) -> Result<GetDataQualityRulesetResponse, Error> {
        let scope = Scope::of(cx);
        let found = self.store.read(|tx| quality::find_ruleset(tx, &scope, &req.name)).await?;
        Ok(GetDataQualityRulesetResponse {
            name: Some(found.name),
            description: found.description,
            ruleset: Some(found.ruleset),
            target_table: found.target,
            created_on: Some(found.created),
            last_modified_on: Some(found.modified),
            ..GetDataQualityRulesetResponse::default()
        })
    }
}

#[async_trait]
impl Handle<ListDataQualityRulesets> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListDataQualityRulesetsRequest,
    ) -> Result<ListDataQualityRulesetsResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let (filter, labels) = (req.filter.unwrap_or_default(), req.tags.unwrap_or_default());
        let (records, next_token) = self
            .store
            .read(|tx| {
                let (records, next) = scope::page(tx, &quality::rulesets(&scope), token, limit, |r: RulesetRecord| {
                    Ok(wanted(&r, &filter).then_some(r))
                })?;
                let mut kept = Vec::new();
                for record in records {
                    let have = tags::read(tx, &scope, &quality::ruleset_arn(&scope, &record.name))?;
                    if labels.iter().all(|(k, v)| have.get(k) == Some(v)) {
                        kept.push(record);
                    }
                }
                Ok::<_, Error>((kept, next))
            })
            .await?;
        let list = records.into_iter().map(|found| DataQualityRulesetListDetails {
            name: Some(found.name),
            description: found.description,
            created_on: Some(found.created),
            last_modified_on: Some(found.modified),
            target_table: found.target,
            ..DataQualityRulesetListDetails::default()
        });
        Ok(ListDataQualityRulesetsResponse { rulesets: Some(list.collect()), next_token })
    }
}

#[async_trait]
impl Handle<DeleteDataQualityRuleset> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteDataQualityRulesetRequest,
    ) -> Result<DeleteDataQualityRulesetResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            quality::find_ruleset(tx, &scope, &req.name)?;
            tx.delete(quality::rulesets(&scope).push(&req.name))?;
            tags::clear(tx, &scope, &quality::ruleset_arn(&scope, &req.name))?;
            Ok(DeleteDataQualityRulesetResponse::default())
        })
        .await
    }
}

/// Refuses what is no ruleset at all.
fn check(ruleset: &str) -> Result<(), Error> {
    let text: String = ruleset.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let has = |section: &str| text.split_once(section).is_some_and(|(_, rest)| rest.trim_start().starts_with('='));
    if has("Rules") || has("Analyzers") {
        Ok(())
    } else {
        Err(invalid_input_exception("The ruleset has neither Rules = [ … ] nor Analyzers = [ … ]"))
    }
}

fn wanted(record: &RulesetRecord, filter: &DataQualityRulesetFilterCriteria) -> bool {
    filter.name.as_ref().is_none_or(|name| &record.name == name)
        && filter.description.as_ref().is_none_or(|text| record.description.as_ref() == Some(text))
        && filter.created_before.is_none_or(|at| record.created <= at)
        && filter.created_after.is_none_or(|at| record.created >= at)
        && filter.last_modified_before.is_none_or(|at| record.modified <= at)
        && filter.last_modified_after.is_none_or(|at| record.modified >= at)
        && filter.target_table.as_ref().is_none_or(|wanted| {
            record
                .target
                .as_ref()
                .is_some_and(|has| (&has.database_name, &has.table_name) == (&wanted.database_name, &wanted.table_name))
        })
}
