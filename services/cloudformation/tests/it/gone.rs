//! Properties that leave a template: what they have set goes back to what is there without.

use super::*;

#[async_trait]
impl Handle<api_dynamodb::CreateTable> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        _: api_dynamodb::CreateTableInput,
    ) -> Result<api_dynamodb::CreateTableOutput, Error> {
        let table = api_dynamodb::TableDescription { table_arn: Some("arn:table".into()), ..Default::default() };
        Ok(api_dynamodb::CreateTableOutput { table_description: Some(table) })
    }
}
#[async_trait]
impl Handle<api_dynamodb::UpdateTable> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_dynamodb::UpdateTableInput,
    ) -> Result<api_dynamodb::UpdateTableOutput, Error> {
        let told = format!("{:?} {:?} {:?}", input.deletion_protection_enabled, input.billing_mode, input.table_class);
        self.call("UpdateTable", &told);
        Ok(api_dynamodb::UpdateTableOutput::default())
    }
}
#[async_trait]
impl Handle<api_dynamodb::DescribeTimeToLive> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        _: api_dynamodb::DescribeTimeToLiveInput,
    ) -> Result<api_dynamodb::DescribeTimeToLiveOutput, Error> {
        let attribute_name = self.things().iter().find_map(|thing| thing.strip_prefix("ttl/").map(str::to_owned));
        let status = if attribute_name.is_some() { "ENABLED" } else { "DISABLED" };
        let told = api_dynamodb::TimeToLiveDescription { time_to_live_status: Some(status.into()), attribute_name };
        Ok(api_dynamodb::DescribeTimeToLiveOutput { time_to_live_description: Some(told) })
    }
}
/// Refuses what is so already, as the service does.
#[async_trait]
impl Handle<api_dynamodb::UpdateTimeToLive> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_dynamodb::UpdateTimeToLiveInput,
    ) -> Result<api_dynamodb::UpdateTimeToLiveOutput, Error> {
        let wanted = input.time_to_live_specification;
        let thing = format!("ttl/{}", wanted.attribute_name);
        let mut things = self.things.lock().unwrap();
        let changed = if wanted.enabled { things.insert(thing) } else { things.remove(&thing) };
        if !changed {
            return Err(Error::new("ValidationException", 400, "TimeToLive is already so"));
        }
        Ok(api_dynamodb::UpdateTimeToLiveOutput::default())
    }
}
impl World {
    fn last(&self, what: &str) -> String {
        self.cloud.calls.lock().unwrap().iter().rfind(|call| call.starts_with(what)).cloned().unwrap_or_default()
    }
}

#[tokio::test]
async fn a_table_goes_back_to_what_is_without() {
    let world = World::running();
    let table = |more: &str| {
        format!(
            "Resources: {{T: {{Type: AWS::DynamoDB::Table, Properties: {{AttributeDefinitions: [{{AttributeName: k, AttributeType: S}}], \
             KeySchema: [{{AttributeName: k, KeyType: HASH}}]{more}}}}}}}"
        )
    };
    let ttl = ", TimeToLiveSpecification: {AttributeName: t, Enabled: true}";
    let protected = format!("{ttl}, DeletionProtectionEnabled: true");
    assert_eq!(world.create(&table(&protected)).await.unwrap(), "CREATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["ttl/t"]);
    // What stays as it is is not asked for again.
    assert_eq!(world.update(&table(ttl)).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.last("UpdateTable"), "UpdateTable Some(false) None None");
    let other = ", TimeToLiveSpecification: {AttributeName: u, Enabled: true}, BillingMode: PAY_PER_REQUEST";
    assert_eq!(world.update(&table(other)).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["ttl/u"]);
    assert_eq!(world.update(&table("")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
    assert_eq!(world.cloud.count("UpdateTable"), 1);
}

#[async_trait]
impl Handle<api_s3::PutBucketAcl> for Cloud {
    async fn handle(&self, _: &Cx, input: api_s3::PutBucketAclRequest) -> Result<Empty, Error> {
        self.call("PutBucketAcl", &input.acl.unwrap_or_default());
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<api_s3::PutObjectLockConfiguration> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_s3::PutObjectLockConfigurationRequest,
    ) -> Result<api_s3::PutObjectLockConfigurationOutput, Error> {
        let rule = input.object_lock_configuration.and_then(|lock| lock.rule);
        let days = rule.and_then(|rule| rule.default_retention).and_then(|retention| retention.days);
        self.call("PutObjectLockConfiguration", &format!("{days:?}"));
        Ok(api_s3::PutObjectLockConfigurationOutput::default())
    }
}

/// A bucket whose template no longer says that it is public is not; that it is locked cannot be changed, and is told.
#[tokio::test]
async fn a_bucket_is_closed_again() {
    let world = World::running();
    let lake =
        |more: &str| format!("Resources: {{Lake: {{Type: AWS::S3::Bucket, Properties: {{BucketName: lake{more}}}}}}}");
    world.create(&lake(", AccessControl: PublicRead")).await.unwrap();
    assert_eq!(world.update(&lake("")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.last("PutBucketAcl"), "PutBucketAcl private");
    let open = ", AccessControl: PublicReadWrite, VersioningConfiguration: {Status: Enabled}";
    assert_eq!(world.update(&lake(open)).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.last("PutBucketAcl"), "PutBucketAcl public-read-write");
    let locked = format!("{open}, ObjectLockEnabled: true");
    assert_eq!(world.update(&lake(&locked)).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.last("PutObjectLockConfiguration"), "PutObjectLockConfiguration None");
    let days = ", ObjectLockConfiguration: {ObjectLockEnabled: Enabled, Rule: {DefaultRetention: {Mode: GOVERNANCE, Days: '3'}}}";
    assert_eq!(world.update(&lake(&format!("{locked}{days}"))).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.last("PutObjectLockConfiguration"), "PutObjectLockConfiguration Some(3)");
    assert_eq!(world.update(&lake(open)).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    let events = world.events().await;
    assert!(
        events.iter().any(|event| event.starts_with("Lake UPDATE_FAILED Object Lock cannot be disabled")),
        "{events:#?}"
    );
}
