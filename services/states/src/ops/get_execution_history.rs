//! GetExecutionHistory.

use api_states::{GetExecutionHistory, GetExecutionHistoryInput, GetExecutionHistoryOutput, HistoryEvent};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::{States, no_such_execution, page, standard_arn};

#[async_trait]
impl Handle<GetExecutionHistory> for States {
    async fn handle(&self, _: &Cx, input: GetExecutionHistoryInput) -> Result<GetExecutionHistoryOutput, Error> {
        let arn = standard_arn(&input.execution_arn)?;
        let last = self.engine.last_event(&arn).await?;
        if last == 0 {
            return Err(no_such_execution(arn.as_str()));
        }
        let reverse = input.reverse_order == Some(true);
        let size = page::size(input.max_results);
        let from = match page::place(input.next_token.as_ref())? {
            None if reverse => last,
            None => 1,
            Some(place) => {
                let number = <[u8; 8]>::try_from(place.as_slice()).map(u64::from_be_bytes);
                number.map_err(|_| page::invalid())?
            }
        };
        let with_data = input.include_execution_data != Some(false);
        let found = self.engine.history(&arn, from, size, (reverse, with_data)).await?;
        let next = found.last().map(|event| if reverse { event.id - 1 } else { event.id + 1 });
        let more = next.filter(|next| if reverse { *next > 0 } else { *next <= last });
        let events = found
            .into_iter()
            .map(|event| serde_json::from_value::<HistoryEvent>(event.to_json(with_data)).map_err(Error::internal))
            .collect::<Result<_, _>>()?;
        Ok(GetExecutionHistoryOutput { events, next_token: more.map(|next| page::token(&next.to_be_bytes())) })
    }
}
