resource "aws_cloudwatch_log_group" "lambda" {
  name              = "/aws/lambda/mod-fn"
  retention_in_days = 7
  skip_destroy      = false
  log_group_class   = "STANDARD"
  tags              = local.tags
}
data "aws_iam_policy_document" "assume_role" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]
    }
  }
}
resource "aws_iam_role" "lambda" {
  name                  = "mod-fn"
  description           = "r"
  path                  = "/service/"
  force_detach_policies = true
  permissions_boundary  = null
  assume_role_policy    = data.aws_iam_policy_document.assume_role.json
  tags                  = local.tags
}
data "aws_iam_policy_document" "logs" {
  statement {
    effect    = "Allow"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.lambda.arn}:*", "${aws_cloudwatch_log_group.lambda.arn}:*:*"]
  }
}
resource "aws_iam_policy" "logs" {
  name   = "mod-fn-logs"
  path   = "/service/"
  policy = data.aws_iam_policy_document.logs.json
  tags   = local.tags
}
resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.lambda.name
  policy_arn = aws_iam_policy.logs.arn
}
data "aws_iam_policy" "tracing" { arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AWSXRayDaemonWriteAccess" }
resource "aws_iam_policy" "async" {
  name = "mod-fn-async"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["sns:Publish", "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "dynamodb:*", "kinesis:*"], Resource = "*" }] })
}
resource "aws_iam_role_policy_attachment" "async" {
  role       = aws_iam_role.lambda.name
  policy_arn = aws_iam_policy.async.arn
}
resource "aws_iam_role_policy_attachment" "tracing" {
  role       = aws_iam_role.lambda.name
  policy_arn = data.aws_iam_policy.tracing.arn
}
resource "aws_sqs_queue" "dlq" { name = "mod-fn-dlq" }
resource "aws_sqs_queue" "src" {
  name                       = "mod-fn-src"
  visibility_timeout_seconds = 60
}
resource "aws_lambda_layer_version" "this" {
  layer_name               = "mod-layer"
  license_info             = "MIT"
  description              = "layer"
  compatible_runtimes      = ["python3.11", "python3.12"]
  compatible_architectures = ["x86_64"]
  skip_destroy             = false
  filename                 = "../fn.zip"
  source_code_hash         = filebase64sha256("../fn.zip")
}
resource "aws_lambda_function" "this" {
  function_name                  = "mod-fn"
  description                    = "My awesome lambda function"
  role                           = aws_iam_role.lambda.arn
  handler                        = "index.handler"
  memory_size                    = 1024
  reserved_concurrent_executions = -1
  runtime                        = "python3.11"
  layers                         = [aws_lambda_layer_version.this.arn]
  timeout                        = 30
  publish                        = true
  package_type                   = "Zip"
  architectures                  = ["x86_64"]
  skip_destroy                   = false
  filename                       = "../fn.zip"
  source_code_hash               = filebase64sha256("../fn.zip")
  replace_security_groups_on_destroy = null
  ephemeral_storage { size = 2048 }
  environment { variables = { HELLO = "World", Serverless = "Terraform" } }
  dead_letter_config { target_arn = aws_sqs_queue.dlq.arn }
  tracing_config { mode = "Active" }
  logging_config {
    log_group             = aws_cloudwatch_log_group.lambda.name
    log_format            = "JSON"
    application_log_level = "INFO"
    system_log_level      = "INFO"
  }
  timeouts {}
  tags = merge({ "terraform-aws-modules" = "lambda" }, local.tags)
  depends_on = [aws_iam_role_policy_attachment.logs, aws_cloudwatch_log_group.lambda]
}
resource "aws_lambda_alias" "live" {
  name             = "current"
  description      = "a"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
}
resource "aws_lambda_function_event_invoke_config" "this" {
  for_each                     = toset(["current_version", "unqualified_alias"])
  function_name                = aws_lambda_function.this.function_name
  qualifier                    = each.key == "current_version" ? aws_lambda_function.this.version : null
  maximum_event_age_in_seconds = 100
  maximum_retry_attempts       = 1
  destination_config {
    on_failure { destination = aws_sqs_queue.dlq.arn }
    on_success { destination = aws_sqs_queue.dlq.arn }
  }
}
resource "aws_lambda_permission" "current_version_triggers" {
  for_each      = { S3 = "s3.amazonaws.com", Rule = "events.amazonaws.com" }
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_function.this.version
  statement_id_prefix = "Allow${each.key}-"
  action         = "lambda:InvokeFunction"
  principal      = each.value
  source_account = each.key == "S3" ? data.aws_caller_identity.this.account_id : null
  source_arn     = each.key == "S3" ? "arn:aws:s3:::some-bucket" : null
}
resource "aws_lambda_permission" "unqualified" {
  function_name = aws_lambda_function.this.function_name
  statement_id  = "AllowSNS"
  action        = "lambda:InvokeFunction"
  principal     = "sns.amazonaws.com"
}
resource "aws_lambda_event_source_mapping" "this" {
  function_name                      = aws_lambda_function.this.arn
  event_source_arn                   = aws_sqs_queue.src.arn
  batch_size                         = 5
  maximum_batching_window_in_seconds = 2
  enabled                            = true
  function_response_types            = ["ReportBatchItemFailures"]
  scaling_config { maximum_concurrency = 20 }
  filter_criteria {
    filter { pattern = jsonencode({ body = { Temperature = [{ numeric = [">", 0, "<=", 100] }], Location = ["New York"] } }) }
  }
  tags       = local.tags
  depends_on = [aws_iam_role_policy_attachment.async]
}
resource "aws_dynamodb_table" "t" {
  name             = "mod-fn-stream"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_lambda_event_source_mapping" "ddb" {
  function_name                      = aws_lambda_function.this.arn
  event_source_arn                   = aws_dynamodb_table.t.stream_arn
  starting_position                  = "LATEST"
  parallelization_factor             = 1
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = 3
  maximum_record_age_in_seconds      = 3600
  destination_config {
    on_failure { destination_arn = aws_sqs_queue.dlq.arn }
  }
  filter_criteria {
    filter { pattern = jsonencode({ eventName = ["INSERT"] }) }
  }
  depends_on = [aws_iam_role_policy_attachment.async]
}
resource "aws_lambda_function_url" "this" {
  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "AWS_IAM"
  invoke_mode        = "BUFFERED"
  cors {
    allow_credentials = true
    allow_origins     = ["*"]
    allow_methods     = ["*"]
    allow_headers     = ["date", "keep-alive"]
    expose_headers    = ["keep-alive", "date"]
    max_age           = 86400
  }
}
data "aws_lambda_function" "read" { function_name = aws_lambda_function.this.function_name }
data "aws_lambda_layer_version" "read" {
  layer_name = aws_lambda_layer_version.this.layer_name
}
