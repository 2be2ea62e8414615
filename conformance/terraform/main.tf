# A function, the state machine that calls it, an alias of its published version, and a schedule that starts it.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.100" }
  }
}

provider "aws" {
  region = "us-east-1"
}

variable "name" {
  default = "lakerun-smoke"
}

variable "greeting" {
  default = "hello"
}

variable "code" {
  description = "a zip file with handler.py"
}

resource "aws_iam_role" "function" {
  name               = "${var.name}-function"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }] })
}

resource "aws_iam_role" "machine" {
  name               = "${var.name}-machine"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { Service = ["states.amazonaws.com", "scheduler.amazonaws.com"] }, Action = "sts:AssumeRole" }] })
}

resource "aws_iam_role_policy" "machine" {
  name   = "calls"
  role   = aws_iam_role.machine.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["lambda:InvokeFunction", "states:StartExecution", "logs:*"], Resource = "*" }] })
}

resource "aws_lambda_function" "greet" {
  function_name    = "${var.name}-greet"
  role             = aws_iam_role.function.arn
  runtime          = "python3.12"
  handler          = "handler.handler"
  filename         = var.code
  source_code_hash = filebase64sha256(var.code)
}

resource "aws_cloudwatch_log_group" "machine" {
  name              = "/aws/vendedlogs/states/${var.name}"
  retention_in_days = 7
}

resource "aws_sfn_state_machine" "greet" {
  name     = var.name
  role_arn = aws_iam_role.machine.arn
  publish  = true
  definition = jsonencode({
    StartAt = "Greet"
    States = {
      Greet = {
        Type           = "Task"
        Resource       = "arn:aws:states:::lambda:invoke"
        Parameters     = { FunctionName = aws_lambda_function.greet.arn, "Payload.$" = "$" }
        ResultSelector = { "said.$" = "$.Payload.greeting", greeting = var.greeting }
        End            = true
      }
    }
  })
  logging_configuration {
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
    include_execution_data = true
    level                  = "ALL"
  }
  tags       = { project = var.name }
  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_sfn_alias" "live" {
  name = "live"
  routing_configuration {
    state_machine_version_arn = aws_sfn_state_machine.greet.state_machine_version_arn
    weight                    = 100
  }
}

resource "aws_scheduler_schedule" "nightly" {
  name                         = "${var.name}-nightly"
  schedule_expression          = "cron(0 3 * * ? *)"
  schedule_expression_timezone = "Europe/London"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = aws_sfn_state_machine.greet.arn
    role_arn = aws_iam_role.machine.arn
    input    = jsonencode({ from = "schedule" })
  }
}

output "alias" {
  value = aws_sfn_alias.live.arn
}
