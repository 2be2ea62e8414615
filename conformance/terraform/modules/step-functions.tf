resource "aws_kms_key" "this" {}
resource "aws_cloudwatch_log_group" "sfn" {
  name              = "/aws/vendedlogs/states/mod-sfn"
  retention_in_days = 3
  tags              = local.tags
}
data "aws_iam_policy_document" "assume_role" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["states.eu-west-1.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}
resource "aws_iam_role" "this" {
  name                  = "mod-sfn"
  force_detach_policies = true
  assume_role_policy    = data.aws_iam_policy_document.assume_role.json
  tags                  = local.tags
}
data "aws_iam_policy_document" "service" {
  statement {
    sid       = "lambda"
    effect    = "Allow"
    actions   = ["lambda:InvokeFunction"]
    resources = ["arn:aws:lambda:eu-west-1:123456789012:function:test1"]
  }
  statement {
    sid       = "logs"
    effect    = "Allow"
    actions   = ["logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"]
    resources = ["*"]
  }
  statement {
    sid       = "kms"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}
resource "aws_iam_policy" "service" {
  name   = "mod-sfn"
  policy = data.aws_iam_policy_document.service.json
}
resource "aws_iam_policy_attachment" "service" {
  name       = "mod-sfn"
  roles      = [aws_iam_role.this.name]
  policy_arn = aws_iam_policy.service.arn
}
resource "aws_sfn_state_machine" "this" {
  for_each   = toset(["STANDARD", "EXPRESS"])
  name       = "mod-${lower(each.key)}"
  role_arn   = aws_iam_role.this.arn
  definition = <<-EOF
  {
    "Comment": "A Hello World example of the Amazon States Language using Pass states",
    "StartAt": "Hello",
    "States": {
      "Hello": { "Type": "Pass", "Result": "Hello", "Next": "World" },
      "World": { "Type": "Pass", "Result": "World", "End": true }
    }
  }
  EOF
  type    = each.key
  publish = true
  # The example's key of a customer is refused.
  encryption_configuration {
    type = "AWS_OWNED_KEY"
  }
  logging_configuration {
    log_destination        = "${aws_cloudwatch_log_group.sfn.arn}:*"
    include_execution_data = false
    level                  = "ERROR"
  }
  tracing_configuration { enabled = true }
  timeouts {
    create = "30m"
    update = "30m"
    delete = "50m"
  }
  tags       = merge({ Name = "mod" }, local.tags)
  depends_on = [aws_iam_policy_attachment.service]
}
resource "aws_sfn_alias" "this" {
  name        = "live"
  description = "d"
  routing_configuration {
    state_machine_version_arn = aws_sfn_state_machine.this["STANDARD"].state_machine_version_arn
    weight                    = 100
  }
}
resource "aws_sfn_activity" "this" {
  name = "mod-activity"
  tags = local.tags
}
resource "aws_cloudwatch_event_rule" "trigger" {
  name                = "mod-sfn-trigger"
  schedule_expression = "rate(30 days)"
}
resource "aws_cloudwatch_event_target" "trigger" {
  rule     = aws_cloudwatch_event_rule.trigger.name
  arn      = aws_sfn_state_machine.this["STANDARD"].arn
  role_arn = aws_iam_role.this.arn
}
data "aws_sfn_state_machine" "read" { name = aws_sfn_state_machine.this["STANDARD"].name }
data "aws_sfn_state_machine_versions" "read" { statemachine_arn = aws_sfn_state_machine.this["STANDARD"].arn }
data "aws_sfn_alias" "read" {
  name             = aws_sfn_alias.this.name
  statemachine_arn = aws_sfn_state_machine.this["STANDARD"].arn
}
