//! CreateTrail, UpdateTrail, DeleteTrail, DescribeTrails, GetTrail and ListTrails.

use api_cloudtrail::{
    CreateTrail, CreateTrailRequest, CreateTrailResponse, DeleteTrail, DeleteTrailRequest, DeleteTrailResponse,
    DescribeTrails, DescribeTrailsRequest, DescribeTrailsResponse, EventSelector, GetTrail, GetTrailRequest,
    GetTrailResponse, ListTrails, ListTrailsRequest, ListTrailsResponse, Trail as Shown, TrailInfo, UpdateTrail,
    UpdateTrailRequest, UpdateTrailResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Trails;
use crate::trail::{self, Trail, find, place};

/// What a trail wants whose maker does not say: all that manages. Source: CloudTrail API Reference, GetEventSelectors.
pub(crate) fn all_management() -> EventSelector {
    EventSelector {
        read_write_type: Some("All".to_owned()),
        include_management_events: Some(true),
        data_resources: Some(Vec::new()),
        exclude_management_event_sources: Some(Vec::new()),
    }
}

#[async_trait]
impl Handle<CreateTrail> for Trails {
    async fn handle(&self, cx: &Cx, req: CreateTrailRequest) -> Result<CreateTrailResponse, Error> {
        check_name(&req.name)?;
        check_organization(req.is_organization_trail)?;
        let trail = Trail {
            version: 1,
            account: cx.account().to_owned(),
            home: cx.region().to_owned(),
            name: req.name,
            bucket: req.s3_bucket_name,
            prefix: req.s3_key_prefix.filter(|prefix| !prefix.is_empty()),
            global: req.include_global_service_events != Some(false),
            multi_region: req.is_multi_region_trail == Some(true),
            selectors: vec![all_management()],
            advanced: Vec::new(),
            tags: super::tags::map(cx, req.tags_list.unwrap_or_default())?,
            logging: false,
            started_ms: None,
            stopped_ms: None,
        };
        check_regions(&trail)?;
        check_bucket(cx, &trail).await?;
        let made = cx
            .write(&self.store, move |tx| {
                if tx.has(trail::of_account(&trail.account).push(&trail.home).push(&trail.name))? {
                    let text = format!("Trail {} already exists for customer: {}", trail.name, trail.account);
                    return Err(error::trail_already_exists_exception(text));
                }
                trail.save(tx)?;
                Ok(trail.clone())
            })
            .await?;
        let shown = shown(made);
        Ok(CreateTrailResponse {
            name: shown.name,
            s3_bucket_name: shown.s3_bucket_name,
            s3_key_prefix: shown.s3_key_prefix,
            include_global_service_events: shown.include_global_service_events,
            is_multi_region_trail: shown.is_multi_region_trail,
            trail_arn: shown.trail_arn,
            log_file_validation_enabled: shown.log_file_validation_enabled,
            is_organization_trail: shown.is_organization_trail,
            ..CreateTrailResponse::default()
        })
    }
}

#[async_trait]
impl Handle<UpdateTrail> for Trails {
    /// What is left out stays.
    async fn handle(&self, cx: &Cx, req: UpdateTrailRequest) -> Result<UpdateTrailResponse, Error> {
        check_organization(req.is_organization_trail)?;
        let place = place(cx, &req.name);
        let mut changed = self.store.read(|tx| find(tx, &place)).await?;
        changed.bucket = req.s3_bucket_name.unwrap_or(changed.bucket);
        if let Some(prefix) = req.s3_key_prefix {
            changed.prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        }
        changed.global = req.include_global_service_events.unwrap_or(changed.global);
        changed.multi_region = req.is_multi_region_trail.unwrap_or(changed.multi_region);
        check_regions(&changed)?;
        check_bucket(cx, &changed).await?;
        let changed = cx
            .write(&self.store, move |tx| {
                // What else has changed meanwhile stays.
                let now = find(tx, &place)?;
                let next = Trail {
                    bucket: changed.bucket.clone(),
                    prefix: changed.prefix.clone(),
                    global: changed.global,
                    multi_region: changed.multi_region,
                    ..now
                };
                next.save(tx)?;
                Ok::<_, Error>(next)
            })
            .await?;
        let shown = shown(changed);
        Ok(UpdateTrailResponse {
            name: shown.name,
            s3_bucket_name: shown.s3_bucket_name,
            s3_key_prefix: shown.s3_key_prefix,
            include_global_service_events: shown.include_global_service_events,
            is_multi_region_trail: shown.is_multi_region_trail,
            trail_arn: shown.trail_arn,
            log_file_validation_enabled: shown.log_file_validation_enabled,
            is_organization_trail: shown.is_organization_trail,
            ..UpdateTrailResponse::default()
        })
    }
}

#[async_trait]
impl Handle<DeleteTrail> for Trails {
    /// What has gathered for it is not brought any more.
    async fn handle(&self, cx: &Cx, req: DeleteTrailRequest) -> Result<DeleteTrailResponse, Error> {
        let place = place(cx, &req.name);
        cx.write(&self.store, move |tx| {
            let gone = find(tx, &place)?;
            tx.delete(gone.delivered())?;
            Ok::<_, Error>(tx.delete(trail::key(&place))?)
        })
        .await?;
        self.keeper.look().await?;
        Ok(DeleteTrailResponse {})
    }
}

#[async_trait]
impl Handle<DescribeTrails> for Trails {
    async fn handle(&self, cx: &Cx, req: DescribeTrailsRequest) -> Result<DescribeTrailsResponse, Error> {
        let mut all: Vec<Trail> =
            self.store.read(|tx| tx.list_json(trail::of_account(cx.account()), usize::MAX)).await?;
        // A trail of all regions shows in the others as its shadow.
        let shadows = req.include_shadow_trails != Some(false);
        match req.trail_name_list.filter(|names| !names.is_empty()) {
            Some(names) => {
                let wanted: Vec<_> = names.iter().map(|name| place(cx, name)).collect();
                all.retain(|one| {
                    wanted.iter().any(|(account, region, name)| {
                        let here = one.home == *region || (shadows && one.multi_region);
                        one.account == *account && here && one.name == *name
                    })
                });
            }
            None => all.retain(|one| one.home == cx.region() || (shadows && one.multi_region)),
        }
        Ok(DescribeTrailsResponse { trail_list: Some(all.into_iter().map(shown).collect()) })
    }
}

#[async_trait]
impl Handle<GetTrail> for Trails {
    async fn handle(&self, cx: &Cx, req: GetTrailRequest) -> Result<GetTrailResponse, Error> {
        let place = place(cx, &req.name);
        let found = self.store.read(|tx| find(tx, &place)).await?;
        Ok(GetTrailResponse { trail: Some(shown(found)) })
    }
}

#[async_trait]
impl Handle<ListTrails> for Trails {
    async fn handle(&self, cx: &Cx, _: ListTrailsRequest) -> Result<ListTrailsResponse, Error> {
        let all: Vec<Trail> = self.store.read(|tx| tx.list_json(trail::of_account(cx.account()), usize::MAX)).await?;
        let told = |one: Trail| TrailInfo {
            trail_arn: Some(one.arn()),
            name: Some(one.name.clone()),
            home_region: Some(one.home),
        };
        Ok(ListTrailsResponse { trails: Some(all.into_iter().map(told).collect()), next_token: None })
    }
}

pub(crate) fn shown(trail: Trail) -> Shown {
    let custom = trail.selectors != [all_management()] || !trail.advanced.is_empty();
    Shown {
        trail_arn: Some(trail.arn()),
        name: Some(trail.name),
        s3_bucket_name: Some(trail.bucket),
        s3_key_prefix: trail.prefix,
        include_global_service_events: Some(trail.global),
        is_multi_region_trail: Some(trail.multi_region),
        home_region: Some(trail.home),
        log_file_validation_enabled: Some(false),
        has_custom_event_selectors: Some(custom),
        has_insight_selectors: Some(false),
        is_organization_trail: Some(false),
        ..Shown::default()
    }
}

fn check_organization(given: Option<bool>) -> Result<(), Error> {
    if given == Some(true) { Err(Error::not_implemented("trails of organizations")) } else { Ok(()) }
}

fn check_regions(trail: &Trail) -> Result<(), Error> {
    if trail.multi_region && !trail.global {
        return Err(error::invalid_parameter_combination_exception(
            "Multi-Region trail must include global service events.",
        ));
    }
    Ok(())
}

/// Source: CloudTrail User Guide, "Naming requirements for CloudTrail resources".
fn check_name(name: &str) -> Result<(), Error> {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let doubled = name.as_bytes().windows(2).any(|two| two.iter().all(|b| matches!(b, b'.' | b'_' | b'-')));
    let fits = (3..=128).contains(&name.len());
    if fits && letters && ends(name.chars().next()) && ends(name.chars().next_back()) && !doubled {
        return Ok(());
    }
    Err(error::invalid_trail_name_exception(format!(
        "Trail name {name} is not valid: it must have 3 to 128 letters, numbers, periods, underscores or dashes, begin and end with a \
         letter or a number, and have no two of the others side by side."
    )))
}

/// The bucket has to be there, and its policy has to let CloudTrail in.
async fn check_bucket(cx: &Cx, trail: &Trail) -> Result<(), Error> {
    let bucket = &trail.bucket;
    match crate::bucket::may_put(&cx.as_platform(), trail, &trail.home).await {
        Err(error) if error.is("NoSuchBucket") => {
            Err(error::s3_bucket_does_not_exist_exception(format!("S3 bucket {bucket} does not exist!")))
        }
        Err(error) if error.is("AccessDenied") => Err(error::insufficient_s3_bucket_policy_exception(format!(
            "Incorrect S3 bucket policy is detected for bucket: {bucket}"
        ))),
        other => other,
    }
}
