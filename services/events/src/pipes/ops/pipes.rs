//! CreatePipe, UpdatePipe, DescribePipe, ListPipes, StartPipe, StopPipe and DeletePipe. A pipe runs, or has stopped, when the answer is
//! given, which names the state on the way there as AWS does.

use api_pipes::{
    CreatePipe, CreatePipeRequest, CreatePipeResponse, DeletePipe, DeletePipeRequest, DeletePipeResponse, DescribePipe,
    DescribePipeRequest, DescribePipeResponse, ListPipes, ListPipesRequest, ListPipesResponse, Pipe,
    PipeSourceDynamoDBStreamParameters, PipeSourceParameters, PipeSourceSqsQueueParameters, StartPipe,
    StartPipeRequest, StartPipeResponse, StopPipe, StopPipeRequest, StopPipeResponse, UpdatePipe, UpdatePipeRequest,
    UpdatePipeResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::pipes::Pipes;
use crate::pipes::record::{PipeKey, RUNNING, Record, STOPPED, position, source_parameters};
use crate::pipes::trace;

#[async_trait]
impl Handle<CreatePipe> for Pipes {
    async fn handle(&self, cx: &Cx, req: CreatePipeRequest) -> Result<CreatePipeResponse, Error> {
        let place = PipeKey::new(cx, &req.name);
        let new = Record::new(cx, &place, req)?;
        let shown = cx
            .write(&self.store, move |tx| {
                if tx.has(place.key())? {
                    return Err(error::conflict_exception(format!("Pipe {} already exists.", place.name)));
                }
                place.save(tx, &new)?;
                Ok(new.shown.clone())
            })
            .await?;
        Ok(CreatePipeResponse {
            arn: shown.arn,
            name: shown.name,
            desired_state: shown.desired_state,
            current_state: Some("CREATING".to_owned()),
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
        })
    }
}

#[async_trait]
impl Handle<UpdatePipe> for Pipes {
    #[expect(clippy::too_many_lines, reason = "one step after the other")]
    /// What is not given stays, but for the parts of a parameter that is given.
    async fn handle(&self, cx: &Cx, req: UpdatePipeRequest) -> Result<UpdatePipeResponse, Error> {
        let place = PipeKey::new(cx, &req.name);
        let now = cx.now();
        let shown = cx
            .write(&self.store, move |tx| {
                let req = req.clone();
                let mut record = place.load(tx)?;
                let shown = &mut record.shown;
                if let Some(given) = req.source_parameters {
                    let starting = shown.source_parameters.as_ref();
                    let starting = starting.and_then(|old| old.dynamo_db_stream_parameters.as_ref());
                    let starting_position = starting.map(|own| own.starting_position.clone()).unwrap_or_default();
                    let given = PipeSourceParameters {
                        filter_criteria: given.filter_criteria,
                        sqs_queue_parameters: given.sqs_queue_parameters.map(|own| PipeSourceSqsQueueParameters {
                            batch_size: own.batch_size,
                            maximum_batching_window_in_seconds: own.maximum_batching_window_in_seconds,
                        }),
                        dynamo_db_stream_parameters: given.dynamo_db_stream_parameters.map(|own| {
                            PipeSourceDynamoDBStreamParameters {
                                batch_size: own.batch_size,
                                dead_letter_config: own.dead_letter_config,
                                on_partial_batch_item_failure: own.on_partial_batch_item_failure,
                                maximum_batching_window_in_seconds: own.maximum_batching_window_in_seconds,
                                maximum_record_age_in_seconds: own.maximum_record_age_in_seconds,
                                maximum_retry_attempts: own.maximum_retry_attempts,
                                parallelization_factor: own.parallelization_factor,
                                starting_position: starting_position.clone(),
                            }
                        }),
                        ..PipeSourceParameters::default()
                    };
                    let source = shown.source.clone().unwrap_or_default();
                    let given = PipeSourceParameters {
                        // A stream's parameters can be left out of an update.
                        dynamo_db_stream_parameters: given.dynamo_db_stream_parameters.or_else(|| starting.cloned()),
                        ..given
                    };
                    shown.source_parameters = Some(source_parameters(&source, given)?);
                }
                if let Some(target) = req.target {
                    shown.target = Some(target);
                }
                if req.target_parameters.is_some() {
                    shown.target_parameters = req.target_parameters;
                }
                if let Some(enrichment) = req.enrichment {
                    shown.enrichment = Some(enrichment).filter(|arn| !arn.is_empty());
                }
                if req.enrichment_parameters.is_some() {
                    shown.enrichment_parameters = req.enrichment_parameters;
                }
                if req.description.is_some() {
                    shown.description = req.description;
                }
                if let Some(given) = req.log_configuration {
                    shown.log_configuration = Some(trace::configured(given)?);
                }
                shown.role_arn = Some(req.role_arn);
                let state = req.desired_state.or_else(|| record.shown.desired_state.clone()).unwrap_or_default();
                record.want(&state, now);
                record.check()?;
                place.save(tx, &record)?;
                Ok::<_, Error>(record.shown)
            })
            .await?;
        Ok(UpdatePipeResponse {
            arn: shown.arn,
            name: shown.name,
            desired_state: shown.desired_state,
            current_state: Some("UPDATING".to_owned()),
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
        })
    }
}

#[async_trait]
impl Handle<DescribePipe> for Pipes {
    async fn handle(&self, cx: &Cx, req: DescribePipeRequest) -> Result<DescribePipeResponse, Error> {
        let place = PipeKey::new(cx, &req.name);
        Ok(self.store.read(|tx| place.load(tx)).await?.shown)
    }
}

#[async_trait]
impl Handle<ListPipes> for Pipes {
    async fn handle(&self, cx: &Cx, req: ListPipesRequest) -> Result<ListPipesResponse, Error> {
        let all: Vec<Record> =
            self.store.read(|tx| tx.list_json(PipeKey::all(cx.account(), cx.region()), usize::MAX)).await?;
        let begins = |text: &Option<String>, prefix: &Option<String>| {
            prefix.as_ref().is_none_or(|prefix| text.as_ref().is_some_and(|text| text.starts_with(prefix)))
        };
        let is = |text: &Option<String>, wanted: &Option<String>| wanted.is_none() || text == wanted;
        let shown: Vec<Pipe> = all
            .into_iter()
            .map(|record| record.shown)
            .filter(|pipe| begins(&pipe.name, &req.name_prefix))
            .filter(|pipe| begins(&pipe.source, &req.source_prefix) && begins(&pipe.target, &req.target_prefix))
            .filter(|pipe| is(&pipe.desired_state, &req.desired_state) && is(&pipe.current_state, &req.current_state))
            .map(|pipe| Pipe {
                name: pipe.name,
                arn: pipe.arn,
                desired_state: pipe.desired_state,
                current_state: pipe.current_state,
                state_reason: pipe.state_reason,
                creation_time: pipe.creation_time,
                last_modified_time: pipe.last_modified_time,
                source: pipe.source,
                target: pipe.target,
                enrichment: pipe.enrichment,
            })
            .collect();
        let name = |pipe: &Pipe| pipe.name.clone().unwrap_or_default();
        let limit = usize::try_from(req.limit.unwrap_or(100)).unwrap_or(100);
        let mut rest: Vec<Pipe> =
            shown.into_iter().filter(|pipe| req.next_token.as_ref().is_none_or(|token| name(pipe) > *token)).collect();
        let more = rest.len() > limit;
        rest.truncate(limit);
        let next_token = rest.last().filter(|_| more).map(name);
        Ok(ListPipesResponse { pipes: Some(rest), next_token })
    }
}

impl Pipes {
    async fn turn(&self, cx: &Cx, name: &str, state: &'static str) -> Result<DescribePipeResponse, Error> {
        let (place, now) = (PipeKey::new(cx, name), cx.now());
        cx.write(&self.store, move |tx| {
            let mut record = place.load(tx)?;
            if record.shown.desired_state.as_deref() == Some(state) {
                return Err(error::conflict_exception(format!("Pipe {} is already in the state {state}.", place.name)));
            }
            record.want(state, now);
            place.save(tx, &record)?;
            Ok::<_, Error>(record.shown)
        })
        .await
    }
}

#[async_trait]
impl Handle<StartPipe> for Pipes {
    async fn handle(&self, cx: &Cx, req: StartPipeRequest) -> Result<StartPipeResponse, Error> {
        let shown = self.turn(cx, &req.name, RUNNING).await?;
        Ok(StartPipeResponse {
            arn: shown.arn,
            name: shown.name,
            desired_state: shown.desired_state,
            current_state: Some("STARTING".to_owned()),
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
        })
    }
}

#[async_trait]
impl Handle<StopPipe> for Pipes {
    async fn handle(&self, cx: &Cx, req: StopPipeRequest) -> Result<StopPipeResponse, Error> {
        let shown = self.turn(cx, &req.name, STOPPED).await?;
        Ok(StopPipeResponse {
            arn: shown.arn,
            name: shown.name,
            desired_state: shown.desired_state,
            current_state: Some("STOPPING".to_owned()),
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
        })
    }
}

#[async_trait]
impl Handle<DeletePipe> for Pipes {
    async fn handle(&self, cx: &Cx, req: DeletePipeRequest) -> Result<DeletePipeResponse, Error> {
        let place = PipeKey::new(cx, &req.name);
        let shown = cx
            .write(&self.store, move |tx| {
                let record = place.load(tx)?;
                place.halt(tx)?;
                tx.delete(position(&record.id))?;
                tx.delete(place.key())?;
                Ok::<_, Error>(record.shown)
            })
            .await?;
        Ok(DeletePipeResponse {
            arn: shown.arn,
            name: shown.name,
            desired_state: Some("DELETED".to_owned()),
            current_state: Some("DELETING".to_owned()),
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
        })
    }
}
