//! S3's lists as JSON: which buckets there are, and what lies in one. What a query reads of objects goes by object_store, which
//! lists no buckets and tells no storage class.

use http_body_util::BodyExt;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpRequestBody};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::storage::Connection;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Buckets {
    buckets: BucketList,
    continuation_token: Option<String>,
}

#[derive(Deserialize)]
struct BucketList {
    #[serde(default, rename = "Bucket")]
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Objects {
    #[serde(default)]
    contents: Vec<Object>,
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    key: String,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: Option<String>,
    size: i64,
    storage_class: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    code: String,
    #[serde(default)]
    message: String,
}

/// Sends `ListBuckets` or `ListObjectsV2`; the error is S3's code and message.
pub(crate) async fn call(
    client: &HttpClient,
    connection: &Connection,
    operation: &str,
    input: &Value,
) -> Result<Value, (String, String)> {
    let broken = |text: String| ("ServiceUnavailable".to_owned(), text);
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let endpoint = connection.endpoint.trim_end_matches('/');
    let is_list_of_buckets = operation == "ListBuckets";
    let mut url = url::Url::parse(&format!("{endpoint}/")).map_err(|e| broken(e.to_string()))?;
    if !is_list_of_buckets {
        url.set_path(text("Bucket").unwrap_or_default());
        url.query_pairs_mut().append_pair("encoding-type", "url").append_pair("list-type", "2");
        if let Some(prefix) = text("Prefix") {
            url.query_pairs_mut().append_pair("prefix", prefix);
        }
    }
    if let Some(token) = text("ContinuationToken") {
        url.query_pairs_mut().append_pair("continuation-token", token);
    }
    // What signs and what is signed must write a blank alike.
    let url = url.as_str().replace('+', "%20");
    let mut request =
        http::Request::get(url).body(HttpRequestBody::from(Vec::new())).map_err(|e| broken(e.to_string()))?;
    let credential = AwsCredential {
        key_id: connection.access_key_id.clone(),
        secret_key: connection.secret_access_key.clone(),
        token: connection.session_token.clone(),
    };
    AwsAuthorizer::new(&credential, "s3", &connection.region).authorize(&mut request, None);
    let response = client.execute(request).await.map_err(|e| broken(e.to_string()))?;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(|e| broken(e.to_string()))?.to_bytes();
    let document = std::str::from_utf8(&bytes).map_err(|e| broken(e.to_string()))?;
    if !status.is_success() {
        let failure: Failure = quick_xml::de::from_str(document).map_err(|_| broken(status.to_string()))?;
        return Err((failure.code, failure.message));
    }
    let read = if is_list_of_buckets { buckets(document) } else { objects(document) };
    read.map_err(|error| broken(format!("{operation} answered what is no list: {error}")))
}

fn buckets(document: &str) -> Result<Value, quick_xml::DeError> {
    let list: Buckets = quick_xml::de::from_str(document)?;
    let names: Vec<Value> = list.buckets.buckets.into_iter().map(|bucket| json!({ "Name": bucket.name })).collect();
    Ok(json!({ "Buckets": names, "ContinuationToken": list.continuation_token }))
}

fn objects(document: &str) -> Result<Value, quick_xml::DeError> {
    let list: Objects = quick_xml::de::from_str(document)?;
    let rows = list.contents.into_iter().map(|object| {
        // Keys are encoded as forms are.
        let key: String = url::form_urlencoded::parse(format!("k={}", object.key).as_bytes())
            .next()
            .map_or_else(String::new, |(_, key)| key.into_owned());
        let time = chrono::DateTime::parse_from_rfc3339(&object.last_modified).ok();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age")]
        let seconds = time.map(|time| time.timestamp_millis() as f64 / 1000.0);
        json!({
            "Key": key, "Size": object.size, "LastModified": seconds, "StorageClass": object.storage_class,
            "ETag": object.etag.as_deref().map(|etag| etag.trim_matches('"')),
        })
    });
    let rows: Vec<Value> = rows.collect();
    Ok(json!({ "Contents": rows, "ContinuationToken": list.next_continuation_token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let none = "<ListAllMyBucketsResult><Owner><ID>o</ID></Owner><Buckets/></ListAllMyBucketsResult>";
        assert_eq!(buckets(none).unwrap()["Buckets"], json!([]));
        let two = "<?xml version=\"1.0\"?><ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Buckets>\
            <Bucket><Name>a</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket><Bucket><Name>b</Name></Bucket>\
            </Buckets></ListAllMyBucketsResult>";
        assert_eq!(buckets(two).unwrap()["Buckets"], json!([{ "Name": "a" }, { "Name": "b" }]));
        let list = "<ListBucketResult><Name>a</Name><Prefix/><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>t=</NextContinuationToken><Contents><Key>x%20y%2Bz+%26/%01</Key>\
            <LastModified>2026-11-29T00:00:01.500Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass>\
            </Contents><CommonPrefixes><Prefix>p</Prefix></CommonPrefixes></ListBucketResult>";
        let read = objects(list).unwrap();
        assert_eq!(read["ContinuationToken"], "t=");
        assert_eq!(
            read["Contents"],
            json!([{ "Key": "x y+z &/\u{1}", "Size": 7, "LastModified": 1_795_910_401.5, "StorageClass": "STANDARD", "ETag": "e" }])
        );
    }
}
