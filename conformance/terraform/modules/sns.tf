resource "aws_kms_key" "this" {}
resource "aws_iam_role" "fb" {
  name               = "mod-sns-feedback"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "sns.amazonaws.com" } }] })
}
resource "aws_sqs_queue" "q" { name = "mod-sns-q" }
resource "aws_sqs_queue" "f" {
  name       = "mod-sns-q.fifo"
  fifo_queue = true
}
resource "aws_sns_topic" "this" {
  name_prefix                              = "mod-topic-"
  display_name                             = "complete"
  kms_master_key_id                        = aws_kms_key.this.id
  tracing_config                           = "Active"
  signature_version                        = 2
  application_failure_feedback_role_arn    = aws_iam_role.fb.arn
  application_success_feedback_role_arn    = aws_iam_role.fb.arn
  application_success_feedback_sample_rate = 100
  firehose_failure_feedback_role_arn       = aws_iam_role.fb.arn
  firehose_success_feedback_role_arn       = aws_iam_role.fb.arn
  firehose_success_feedback_sample_rate    = 100
  http_failure_feedback_role_arn           = aws_iam_role.fb.arn
  http_success_feedback_role_arn           = aws_iam_role.fb.arn
  http_success_feedback_sample_rate        = 100
  lambda_failure_feedback_role_arn         = aws_iam_role.fb.arn
  lambda_success_feedback_role_arn         = aws_iam_role.fb.arn
  lambda_success_feedback_sample_rate      = 100
  sqs_failure_feedback_role_arn            = aws_iam_role.fb.arn
  sqs_success_feedback_role_arn            = aws_iam_role.fb.arn
  sqs_success_feedback_sample_rate         = 50
  delivery_policy = jsonencode({
    http = {
      defaultHealthyRetryPolicy = { minDelayTarget = 20, maxDelayTarget = 20, numRetries = 3, numMaxDelayRetries = 0, numNoDelayRetries = 0, numMinDelayRetries = 0, backoffFunction = "linear" }
      disableSubscriptionOverrides = false
      defaultThrottlePolicy        = { maxReceivesPerSecond = 1 }
    }
  })
  tags = local.tags
}
resource "aws_sns_topic" "fifo" {
  name                        = "mod-topic.fifo"
  fifo_topic                  = true
  content_based_deduplication = true
  fifo_throughput_scope       = "MessageGroup"
}
data "aws_iam_policy_document" "this" {
  statement {
    sid    = "__default_statement_ID"
    effect = "Allow"
    actions = ["sns:Subscribe", "sns:SetTopicAttributes", "sns:RemovePermission", "sns:Publish", "sns:ListSubscriptionsByTopic", "sns:GetTopicAttributes", "sns:DeleteTopic", "sns:AddPermission"]
    resources = [aws_sns_topic.this.arn]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "StringEquals"
      variable = "AWS:SourceOwner"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
  statement {
    sid       = "sqs"
    actions   = ["sns:Subscribe", "sns:Receive"]
    resources = [aws_sns_topic.this.arn]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "StringLike"
      variable = "sns:Endpoint"
      values   = [aws_sqs_queue.q.arn]
    }
  }
}
resource "aws_sns_topic_policy" "this" {
  arn    = aws_sns_topic.this.arn
  policy = data.aws_iam_policy_document.this.json
}
resource "aws_sns_topic_subscription" "this" {
  topic_arn                       = aws_sns_topic.this.arn
  protocol                        = "sqs"
  endpoint                        = aws_sqs_queue.q.arn
  confirmation_timeout_in_minutes = 1
  endpoint_auto_confirms          = false
  filter_policy                   = jsonencode({ a = [{ prefix = "x" }], n = [{ numeric = [">", 1] }] })
  filter_policy_scope             = "MessageBody"
  raw_message_delivery            = true
  redrive_policy                  = jsonencode({ deadLetterTargetArn = aws_sqs_queue.q.arn })
}
resource "aws_sns_topic_subscription" "fifo" {
  topic_arn = aws_sns_topic.fifo.arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.f.arn
}
data "aws_sns_topic" "read" { name = aws_sns_topic.fifo.name }
