// Fills a server through the console's own door: what the pages show in the tests and on the pictures.

import { zipSync, strToU8 } from "fflate";

/** The console's API as a signed-in page has it. */
export async function signedIn(endpoint, token) {
  const post = (path, body, headers = {}) => fetch(`${endpoint}/console/api/${path}`, {
    method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body),
  });
  const session = await post("session", { token });
  if (!session.ok) throw new Error(`sign-in: ${session.status} ${await session.text()}`);
  const cookie = session.headers.get("set-cookie").split(";")[0];
  const call = async (service, operation, input = {}) => {
    const response = await post(`${service}/${operation}`, input, { cookie });
    const text = await response.text();
    if (!response.ok) throw new Error(`${service}:${operation}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : {};
  };
  return { call, cookie };
}

const ROLE = "arn:aws:iam::000000000000:role/console";
const trust = (service) => JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }] });

/** A Parallel whose first branch fails at once while the second waits; the failure is caught. */
const caught = {
  Comment: "A branch fails, its sibling is aborted, the failure is caught",
  StartAt: "Extract",
  States: {
    Extract: { Type: "Parallel", Next: "Publish", Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: "Tell" }],
      Branches: [
        { StartAt: "Log in", States: { "Log in": { Type: "Wait", Seconds: 1, Next: "Read orders" }, "Read orders": { Type: "Fail", Error: "Source.Unreachable", Cause: "The order system does not answer" } } },
        { StartAt: "Read stock", States: { "Read stock": { Type: "Wait", Seconds: 600, Next: "Check stock" }, "Check stock": { Type: "Pass", End: true } } },
      ] },
    Publish: { Type: "Succeed" },
    Tell: { Type: "Pass", Result: "told", End: true },
  },
};

/** States called start and end; a choice; a Map whose items differ; a retried task. */
const orders = {
  StartAt: "start",
  States: {
    start: { Type: "Pass", Result: { items: [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }] }, Next: "Each order" },
    "Each order": { Type: "Map", ItemsPath: "$.items", MaxConcurrency: 2, Next: "Large?",
      ItemProcessor: { ProcessorConfig: { Mode: "INLINE" }, StartAt: "Price", States: {
        Price: { Type: "Pass", Parameters: { "n.$": "$.n", "price.$": "States.MathAdd($.n, 100)" }, Next: "Odd?" },
        "Odd?": { Type: "Choice", Choices: [{ Variable: "$.n", NumericEquals: 3, Next: "Settle" }], Default: "Done" },
        Settle: { Type: "Wait", Seconds: 1, Next: "Done" },
        Done: { Type: "Pass", End: true },
      } } },
    "Large?": { Type: "Choice", Choices: [{ Variable: "$[0].price", NumericGreaterThan: 100, Next: "Store" }], Default: "end" },
    Store: { Type: "Task", Resource: "arn:aws:states:::aws-sdk:s3:putObject", Parameters: { Bucket: "console-lake", Key: "orders/result.json", "Body.$": "$" },
      ResultPath: null, Retry: [{ ErrorEquals: ["States.ALL"], IntervalSeconds: 1, MaxAttempts: 2 }], Next: "end" },
    end: { Type: "Succeed" },
  },
};

const retried = {
  StartAt: "Load",
  States: { Load: { Type: "Task", Resource: "arn:aws:states:::aws-sdk:s3:getObject", Parameters: { Bucket: "console-lake", Key: "nowhere" },
    Retry: [{ ErrorEquals: ["States.ALL"], IntervalSeconds: 1, MaxAttempts: 2, BackoffRate: 1 }], End: true } },
};

const waits = { StartAt: "Wait for the night", States: { "Wait for the night": { Type: "Wait", Seconds: 3600, End: true } } };

/** Of 40 children every tenth fails, which is tolerated. */
const many = {
  StartAt: "Numbers",
  States: {
    Numbers: { Type: "Pass", Parameters: { "items.$": "States.ArrayRange(1, 40, 1)" }, Next: "Each file" },
    "Each file": { Type: "Map", ItemsPath: "$.items", ToleratedFailurePercentage: 50, Label: "files", ResultPath: null, End: true,
      ItemProcessor: { ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" }, StartAt: "Tenth?", States: {
        "Tenth?": { Type: "Choice", Choices: [10, 20, 30, 40].map((n) => ({ Variable: "$", NumericEquals: n, Next: "Broken" })), Default: "Fine" },
        Broken: { Type: "Fail", Error: "File.Broken", Cause: "It has no header" },
        Fine: { Type: "Succeed" },
      } } },
  },
};

const csv = "id,city,amount\n" + [..."abcdefghij"].map((c, i) => `${i + 1},city ${c},${(i * 7.5).toFixed(2)}`).join("\n") + "\n";

/** Everything that a page shows, once. */
export async function fill({ call }) {
  const made = {};
  await call("iam", "CreateRole", { RoleName: "console", AssumeRolePolicyDocument: trust("states.amazonaws.com") });
  await call("iam", "PutRolePolicy", { RoleName: "console", PolicyName: "all", PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] }) });
  await call("s3", "CreateBucket", { Bucket: "console-lake" });
  await call("s3", "PutObject", { Bucket: "console-lake", Key: "sales/day=2024-05-01/sales.csv", Body: Buffer.from(csv).toString("base64") });
  for (const [name, definition, type] of [["orders", orders], ["caught", caught], ["retried", retried], ["waits", waits], ["many-files", many], ["quick", waits, "EXPRESS"]]) {
    const machine = await call("states", "CreateStateMachine", { name, definition: JSON.stringify(definition, null, 2), roleArn: ROLE, type: type ?? "STANDARD" });
    made[name] = { machine: machine.stateMachineArn };
    if (type === "EXPRESS") continue;
    for (let i = 0; i < (name === "orders" ? 12 : 1); i++) {
      const started = await call("states", "StartExecution", { stateMachineArn: machine.stateMachineArn, input: JSON.stringify({ run: i }) });
      made[name].execution = started.executionArn;
    }
  }
  await call("glue", "CreateDatabase", { DatabaseInput: { Name: "sales" } });
  const storage = (day) => ({
    Columns: [{ Name: "id", Type: "bigint" }, { Name: "city", Type: "string" }, { Name: "amount", Type: "double" }],
    Location: `s3://console-lake/sales/${day}`, InputFormat: "org.apache.hadoop.mapred.TextInputFormat",
    OutputFormat: "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    SerdeInfo: { SerializationLibrary: "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", Parameters: { "field.delim": "," } },
  });
  await call("glue", "CreateTable", { DatabaseName: "sales", TableInput: { Name: "daily", TableType: "EXTERNAL_TABLE", StorageDescriptor: storage(""), PartitionKeys: [{ Name: "day", Type: "string" }], Parameters: { "skip.header.line.count": "1", classification: "csv" } } });
  await call("glue", "CreatePartition", { DatabaseName: "sales", TableName: "daily", PartitionInput: { Values: ["2024-05-01"], StorageDescriptor: storage("day=2024-05-01/") } });
  await call("glue", "CreateCrawler", { Name: "sales", Role: ROLE, DatabaseName: "sales", Targets: { S3Targets: [{ Path: "s3://console-lake/sales/" }] } });
  await call("glue", "CreateJob", { Name: "refine", Role: ROLE, GlueVersion: "4.0", Command: { Name: "glueetl", ScriptLocation: "s3://console-lake/jobs/refine.py" } });
  await call("dynamodb", "CreateTable", { TableName: "files", BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: [{ AttributeName: "name", AttributeType: "S" }], KeySchema: [{ AttributeName: "name", KeyType: "HASH" }] });
  for (let i = 0; i < 30; i++) await call("dynamodb", "PutItem", { TableName: "files", Item: { name: { S: `file-${i}` }, bytes: { N: String(i * 1024) }, state: { M: { done: { BOOL: i % 3 === 0 } } } } });
  const dead = await call("sqs", "CreateQueue", { QueueName: "work-dead" });
  await call("sqs", "SendMessage", { QueueUrl: dead.QueueUrl, MessageBody: "it came three times" });
  const queue = await call("sqs", "CreateQueue", { QueueName: "work", Attributes: { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: "arn:aws:sqs:us-east-1:000000000000:work-dead", maxReceiveCount: 3 }) } });
  await call("sqs", "SendMessage", { QueueUrl: queue.QueueUrl, MessageBody: JSON.stringify({ file: "a.csv" }) });
  const topic = await call("sns", "CreateTopic", { Name: "alarms" });
  await call("sns", "Subscribe", { TopicArn: topic.TopicArn, Protocol: "sqs", Endpoint: "arn:aws:sqs:us-east-1:000000000000:work" });
  await call("events", "PutRule", { Name: "nightly", ScheduleExpression: "rate(1 day)", Description: "Every night" });
  await call("scheduler", "CreateSchedule", { Name: "every-hour", ScheduleExpression: "rate(1 hour)", State: "DISABLED", FlexibleTimeWindow: { Mode: "OFF" }, Target: { Arn: made.orders.machine, RoleArn: ROLE, Input: "{}" } });
  await call("ssm", "PutParameter", { Name: "/shop/limit", Value: "40", Type: "String" });
  await call("ssm", "PutParameter", { Name: "/shop/limit", Value: "41", Type: "String", Overwrite: true });
  made.key = (await call("kms", "CreateKey", { Description: "of the shop" })).KeyMetadata.KeyId;
  await call("kms", "CreateAlias", { AliasName: "alias/shop", TargetKeyId: made.key });
  await call("pipes", "CreatePipe", { Name: "to-topic", RoleArn: ROLE, Source: "arn:aws:sqs:us-east-1:000000000000:work", Target: topic.TopicArn, DesiredState: "STOPPED" });
  await call("secretsmanager", "CreateSecret", { Name: "warehouse/password", SecretString: "not shown" });
  await call("logs", "CreateLogGroup", { logGroupName: "/aws/vendedlogs/orders" });
  await call("logs", "CreateLogStream", { logGroupName: "/aws/vendedlogs/orders", logStreamName: "one" });
  await call("logs", "PutLogEvents", { logGroupName: "/aws/vendedlogs/orders", logStreamName: "one", logEvents: [1, 2, 3].map((n) => ({ timestamp: Date.now() - 4000 + n, message: `order ${n} ${n === 2 ? "ERROR too late" : "priced"}` })) });
  await call("lambda", "CreateFunction", { FunctionName: "greet", Runtime: "python3.11", Handler: "app.handler", Role: ROLE, Code: { ZipFile: Buffer.from(zipSync({ "app.py": strToU8("def handler(event, context):\n    return 'hello'\n") })).toString("base64") } });
  await call("lambda", "CreateEventSourceMapping", { FunctionName: "greet", EventSourceArn: "arn:aws:sqs:us-east-1:000000000000:work", Enabled: false });
  await call("sagemaker", "CreateModel", { ModelName: "forecast", ExecutionRoleArn: ROLE, PrimaryContainer: { Image: "000000000000.dkr.ecr.us-east-1.amazonaws.com/scikit-learn:1.2-1", ModelDataUrl: "s3://console-lake/models/forecast.tar.gz" } });
  await call("cloudwatch", "PutMetricAlarm", { AlarmName: "too many dead letters", Namespace: "AWS/SQS", MetricName: "ApproximateNumberOfMessagesVisible", Dimensions: [{ Name: "QueueName", Value: "work-dead" }], Statistic: "Maximum", Period: 300, EvaluationPeriods: 3, Threshold: 10, ComparisonOperator: "GreaterThanThreshold", AlarmActions: [topic.TopicArn] });
  await call("cloudwatch", "SetAlarmState", { AlarmName: "too many dead letters", StateValue: "OK", StateReason: "A test has set it" });
  await call("s3", "CreateBucket", { Bucket: "console-audit" });
  const mayWrite = (Action, Resource, more = {}) => ({ Effect: "Allow", Principal: { Service: "cloudtrail.amazonaws.com" }, Action, Resource, ...more });
  const audited = { Version: "2012-10-17", Statement: [mayWrite("s3:GetBucketAcl", "arn:aws:s3:::console-audit"), mayWrite("s3:PutObject", "arn:aws:s3:::console-audit/*", { Condition: { StringEquals: { "s3:x-amz-acl": "bucket-owner-full-control" } } })] };
  await call("s3", "PutBucketPolicy", { Bucket: "console-audit", Policy: JSON.stringify(audited) });
  await call("cloudtrail", "CreateTrail", { Name: "everything", S3BucketName: "console-audit" });
  await call("cloudtrail", "StartLogging", { Name: "everything" });
  await call("glue", "CreateWorkflow", { Name: "nightly", Description: "What runs at night" });
  await call("glue", "CreateTrigger", { Name: "at-two", Type: "SCHEDULED", Schedule: "cron(0 2 * * ? *)", WorkflowName: "nightly", Actions: [{ JobName: "refine" }] });
  await call("cloudformation", "CreateStack", { StackName: "mail", TemplateBody: JSON.stringify({ Resources: { Queue: { Type: "AWS::SQS::Queue" }, Topic: { Type: "AWS::SNS::Topic" } } }) });
  // Parquet, by a table that is made of the CSV.
  const packing = await call("athena", "StartQueryExecution", { QueryString: "CREATE TABLE sales.packed WITH (format = 'PARQUET', external_location = 's3://console-lake/packed/') AS SELECT * FROM sales.daily", ResultConfiguration: { OutputLocation: "s3://console-lake/results/" } });
  made.packed = await queried({ call }, packing.QueryExecutionId);
  const { Contents } = await call("s3", "ListObjectsV2", { Bucket: "console-lake", Prefix: "packed/" });
  made.parquet = Contents[0].Key;
  // A second version of the table's schema.
  const wider = storage("");
  wider.Columns.push({ Name: "note", Type: "string" });
  await call("glue", "UpdateTable", { DatabaseName: "sales", TableInput: { Name: "daily", TableType: "EXTERNAL_TABLE", StorageDescriptor: wider, PartitionKeys: [{ Name: "day", Type: "string" }], Parameters: { "skip.header.line.count": "1", classification: "csv" } } });
  await call("athena", "StartQueryExecution", { QueryString: "SELECT city, amount FROM sales.daily ORDER BY id", ResultConfiguration: { OutputLocation: "s3://console-lake/results/" } });
  return made;
}

/** Waits until a query is over. */
export async function queried({ call }, QueryExecutionId) {
  for (;;) {
    const { QueryExecution } = await call("athena", "GetQueryExecution", { QueryExecutionId });
    if (QueryExecution.Status.State === "SUCCEEDED") return QueryExecutionId;
    if (!["QUEUED", "RUNNING"].includes(QueryExecution.Status.State)) throw new Error(QueryExecution.Status.StateChangeReason);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** The Map Run of an execution that has one. */
export const mapRunOf = async ({ call }, executionArn) => (await call("states", "ListMapRuns", { executionArn })).mapRuns[0].mapRunArn;

/** Waits until an execution is over. */
export async function ended({ call }, executionArn) {
  for (;;) {
    const now = await call("states", "DescribeExecution", { executionArn });
    if (now.status !== "RUNNING") return now;
    await new Promise((done) => setTimeout(done, 200));
  }
}
