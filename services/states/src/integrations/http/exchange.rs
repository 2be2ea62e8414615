//! What a call was, as TestState shows it to those who ask for a trace.

use api_states::{InspectionDataRequest, InspectionDataResponse};
use egress::{Received, Request};

#[derive(Default)]
pub(crate) struct Exchange {
    /// Without what the connection adds.
    pub(super) plain: Option<Request>,
    pub(super) sent: Option<Request>,
    pub(super) received: Option<Received>,
}

impl Exchange {
    /// The request; what the connection adds to it, only where its secrets may be seen.
    pub(crate) fn request(&self, secrets: bool) -> Option<InspectionDataRequest> {
        let request = if secrets { self.sent.as_ref().or(self.plain.as_ref()) } else { self.plain.as_ref() }?;
        Some(InspectionDataRequest {
            protocol: Some(request.url.scheme().to_owned()),
            method: Some(request.method.clone()),
            url: Some(request.url.to_string()),
            headers: Some(listed(&request.headers)),
            body: request.body.clone(),
        })
    }

    pub(crate) fn response(&self) -> Option<InspectionDataResponse> {
        let received = self.received.as_ref()?;
        Some(InspectionDataResponse {
            protocol: Some(received.protocol.to_owned()),
            status_code: Some(received.status.to_string()),
            status_message: Some(received.reason.to_owned()),
            headers: Some(listed(&received.headers)),
            body: Some(String::from_utf8_lossy(&received.body).into_owned()),
        })
    }
}

fn listed(headers: &[(String, String)]) -> String {
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("[{}]", headers.join(", "))
}
