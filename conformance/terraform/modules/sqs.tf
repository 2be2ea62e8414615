resource "aws_sqs_queue" "this" {
  content_based_deduplication       = true
  deduplication_scope               = "messageGroup"
  delay_seconds                     = 90
  fifo_queue                        = true
  fifo_throughput_limit             = "perMessageGroupId"
  kms_data_key_reuse_period_seconds = 3600
  kms_master_key_id                 = aws_kms_key.this.id
  max_message_size                  = 2048
  message_retention_seconds         = 86400
  name                              = "mod-sqs.fifo"
  receive_wait_time_seconds         = 10
  visibility_timeout_seconds        = 60
  tags                              = local.tags
}
resource "aws_kms_key" "this" {}
resource "aws_sqs_queue" "dlq" {
  content_based_deduplication = true
  fifo_queue                  = true
  sqs_managed_sse_enabled     = true
  name                        = "mod-sqs-dlq.fifo"
  message_retention_seconds   = 1209600
}
resource "aws_sqs_queue_redrive_policy" "this" {
  queue_url      = aws_sqs_queue.this.url
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dlq.arn, maxReceiveCount = 10 })
}
resource "aws_sqs_queue_redrive_allow_policy" "dlq" {
  queue_url            = aws_sqs_queue.dlq.url
  redrive_allow_policy = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.this.arn] })
}
data "aws_iam_policy_document" "this" {
  statement {
    sid       = "account"
    actions   = ["sqs:SendMessage", "sqs:ReceiveMessage"]
    resources = [aws_sqs_queue.this.arn]
    principals {
      type        = "AWS"
      identifiers = [data.aws_caller_identity.this.account_id]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalOrgID"
      values   = ["o-xxxxxxxxxx"]
    }
  }
}
resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.url
  policy    = data.aws_iam_policy_document.this.json
}
resource "aws_sqs_queue" "default" {
  name_prefix = "mod-default-"
}
resource "aws_sqs_queue" "unencrypted" {
  name                    = "mod-unencrypted"
  sqs_managed_sse_enabled = false
}
data "aws_sqs_queue" "read" { name = aws_sqs_queue.unencrypted.name }
data "aws_sqs_queues" "all" {
  queue_name_prefix = "mod-"
  depends_on        = [aws_sqs_queue.default]
}
