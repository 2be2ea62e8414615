resource "aws_cloudwatch_event_bus" "this" {
  name        = "mod-bus"
  description = "My bus"
  tags = local.tags
}
resource "aws_sqs_queue" "dlq" { name = "mod-eb-dlq" }
resource "aws_sqs_queue" "q" { name = "mod-eb-q" }
resource "aws_sqs_queue" "fifo" {
  name                        = "mod-eb-q.fifo"
  fifo_queue                  = true
  content_based_deduplication = true
}
resource "aws_sqs_queue_policy" "q" {
  for_each  = { q = aws_sqs_queue.q, dlq = aws_sqs_queue.dlq, fifo = aws_sqs_queue.fifo }
  queue_url = each.value.id
  policy    = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "events-policy", Effect = "Allow", Principal = { Service = "events.amazonaws.com" }, Action = "sqs:SendMessage", Resource = each.value.arn }] })
}
resource "aws_iam_role" "eventbridge" {
  name                  = "mod-eb"
  force_detach_policies = true
  assume_role_policy    = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = ["events.amazonaws.com", "scheduler.amazonaws.com", "pipes.amazonaws.com"] } }] })
  tags                  = local.tags
}
resource "aws_iam_role_policy" "p" {
  role   = aws_iam_role.eventbridge.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["sqs:*", "states:*", "events:*", "lambda:*", "logs:*"], Resource = "*" }] })
}
resource "aws_cloudwatch_log_group" "lg" { name = "/aws/events/mod" }
resource "aws_cloudwatch_log_resource_policy" "lg" {
  policy_name     = "mod-events"
  policy_document = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }, Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.lg.arn}:*" }] })
}
resource "aws_cloudwatch_event_rule" "this" {
  for_each = {
    orders = { pattern = jsonencode({ source = ["myapp.orders"], detail = { amount = [{ numeric = [">=", 10] }], state = [{ anything-but = ["x"] }] } }), schedule = null, bus = "mod-bus" }
    crons  = { pattern = null, schedule = "rate(5 minutes)", bus = "default" }
  }
  name                = each.key
  name_prefix         = null
  event_bus_name      = each.value.bus == "mod-bus" ? aws_cloudwatch_event_bus.this.name : "default"
  description         = "Capture"
  state               = each.key == "crons" ? "DISABLED" : "ENABLED"
  force_destroy       = true
  event_pattern       = each.value.pattern
  schedule_expression = each.value.schedule
  role_arn            = each.key == "orders" ? aws_iam_role.eventbridge.arn : null
  tags                = merge({ Name = "${each.key}-rule" }, local.tags)
}
resource "aws_cloudwatch_event_target" "this" {
  for_each = {
    sqs  = { arn = aws_sqs_queue.q.arn, input = null, path = "$.detail" }
    log  = { arn = aws_cloudwatch_log_group.lg.arn, input = null, path = null }
  }
  event_bus_name = aws_cloudwatch_event_bus.this.name
  rule           = aws_cloudwatch_event_rule.this["orders"].name
  target_id      = each.key
  arn            = each.value.arn
  input_path     = each.value.path
  dead_letter_config { arn = aws_sqs_queue.dlq.arn }
  retry_policy {
    maximum_retry_attempts       = 10
    maximum_event_age_in_seconds = 300
  }
}
resource "aws_cloudwatch_event_target" "transformed" {
  event_bus_name = aws_cloudwatch_event_bus.this.name
  rule           = aws_cloudwatch_event_rule.this["orders"].name
  arn            = aws_sqs_queue.fifo.arn
  sqs_target { message_group_id = "send-orders-to-fifo-sqs" }
  input_transformer {
    input_paths    = { order_id = "$.detail.order_id", amount = "$.detail.amount" }
    input_template = <<-T
      {
        "id": <order_id>,
        "text": "amount <amount>"
      }
    T
  }
}
resource "aws_cloudwatch_event_target" "api" {
  event_bus_name = aws_cloudwatch_event_bus.this.name
  rule           = aws_cloudwatch_event_rule.this["orders"].name
  target_id      = "api"
  arn            = aws_cloudwatch_event_api_destination.this.arn
  role_arn       = aws_iam_role.eventbridge.arn
  http_target {
    header_parameters       = { a = "b" }
    query_string_parameters = { q = "1" }
  }
}
resource "aws_cloudwatch_event_archive" "this" {
  name             = "mod-archive"
  description      = "d"
  event_source_arn = aws_cloudwatch_event_bus.this.arn
  event_pattern    = jsonencode({ source = ["myapp.orders"] })
  retention_days   = 10
}
resource "aws_cloudwatch_event_permission" "this" {
  principal      = "111111111111"
  statement_id   = "DevAccess"
  action         = "events:PutEvents"
  event_bus_name = aws_cloudwatch_event_bus.this.name
}
resource "aws_cloudwatch_event_connection" "this" {
  for_each           = toset(["basic", "key", "oauth"])
  name               = "mod-${each.key}"
  description        = "c"
  authorization_type = { basic = "BASIC", key = "API_KEY", oauth = "OAUTH_CLIENT_CREDENTIALS" }[each.key]
  auth_parameters {
    dynamic "basic" {
      for_each = each.key == "basic" ? [1] : []
      content {
        username = "u"
        password = "p"
      }
    }
    dynamic "api_key" {
      for_each = each.key == "key" ? [1] : []
      content {
        key   = "x-signature-id"
        value = "secret"
      }
    }
    dynamic "oauth" {
      for_each = each.key == "oauth" ? [1] : []
      content {
        authorization_endpoint = "https://oauth.endpoint.com"
        http_method            = "GET"
        client_parameters {
          client_id     = "1234567890"
          client_secret = "Pass1234!"
        }
        oauth_http_parameters {
          body {
            key             = "body-parameter-key"
            value           = "body-parameter-value"
            is_value_secret = false
          }
        }
      }
    }
    invocation_http_parameters {
      header {
        key             = "h"
        value           = "v"
        is_value_secret = false
      }
    }
  }
}
resource "aws_cloudwatch_event_api_destination" "this" {
  name                             = "mod-dest"
  description                      = "my requests"
  invocation_endpoint              = "https://smee.io/hgoubgoibwekt331"
  http_method                      = "POST"
  invocation_rate_limit_per_second = 200
  connection_arn                   = aws_cloudwatch_event_connection.this["basic"].arn
}
resource "aws_scheduler_schedule_group" "this" {
  name = "mod-group"
  tags = local.tags
}
resource "aws_scheduler_schedule" "this" {
  name                         = "mod-cron"
  description                  = "Trigger"
  group_name                   = aws_scheduler_schedule_group.this.name
  start_date                   = "2030-01-01T00:00:00Z"
  end_date                     = "2031-01-01T00:00:00Z"
  state                        = "DISABLED"
  schedule_expression          = "cron(0 1 * * ? *)"
  schedule_expression_timezone = "Europe/London"
  flexible_time_window {
    maximum_window_in_minutes = 15
    mode                      = "FLEXIBLE"
  }
  target {
    arn      = aws_sqs_queue.q.arn
    role_arn = aws_iam_role.eventbridge.arn
    input    = jsonencode({ job = "cron-by-rate" })
    dead_letter_config { arn = aws_sqs_queue.dlq.arn }
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 5
    }
  }
}
resource "aws_pipes_pipe" "this" {
  name          = "mod-pipe"
  role_arn      = aws_iam_role.eventbridge.arn
  source        = aws_sqs_queue.q.arn
  target        = aws_cloudwatch_event_bus.this.arn
  description   = "d"
  desired_state = "RUNNING"
  source_parameters {
    filter_criteria {
      filter { pattern = jsonencode({ body = { a = ["b"] } }) }
    }
    sqs_queue_parameters {
      batch_size                         = 2
      maximum_batching_window_in_seconds = 1
    }
  }
  target_parameters {
    eventbridge_event_bus_parameters {
      detail_type = "t"
      source      = "mod.pipe"
    }
    input_template = "{\"body\": <$.body>}"
  }
  tags       = local.tags
  depends_on = [aws_iam_role_policy.p]
}
data "aws_cloudwatch_event_bus" "read" { name = aws_cloudwatch_event_bus.this.name }
data "aws_cloudwatch_event_connection" "read" { name = aws_cloudwatch_event_connection.this["key"].name }
