data "aws_iam_policy_document" "this" {
  statement {
    sid       = "Default"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.this.account_id}:root"]
    }
  }
  statement {
    sid       = "KeyAdministration"
    actions   = ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:ReplicateKey", "kms:ImportKeyMaterial"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.lambda.arn]
    }
  }
  statement {
    sid       = "KeyServiceUsage"
    actions   = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.lambda.arn]
    }
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = [true]
    }
  }
  statement {
    sid       = "cloudwatch"
    actions   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.eu-west-1.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:aws:logs:eu-west-1:${data.aws_caller_identity.this.account_id}:log-group:*"]
    }
  }
}
resource "aws_iam_role" "lambda" {
  name_prefix        = "mod-kms-"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }] })
}
resource "aws_kms_key" "this" {
  bypass_policy_lockout_safety_check = false
  customer_master_key_spec           = "SYMMETRIC_DEFAULT"
  custom_key_store_id                = null
  deletion_window_in_days            = 7
  description                        = "Complete key example"
  enable_key_rotation                = true
  is_enabled                         = true
  key_usage                          = "ENCRYPT_DECRYPT"
  multi_region                       = false
  policy                             = data.aws_iam_policy_document.this.json
  rotation_period_in_days            = 180
  tags                               = local.tags
}
resource "aws_kms_key" "asym" {
  description              = "sign"
  customer_master_key_spec = "RSA_2048"
  key_usage                = "SIGN_VERIFY"
  enable_key_rotation      = false
  deletion_window_in_days  = 7
}
resource "aws_kms_key" "mac" {
  customer_master_key_spec = "HMAC_256"
  key_usage                = "GENERATE_VERIFY_MAC"
  deletion_window_in_days  = 7
}
resource "aws_kms_key" "off" {
  is_enabled              = false
  deletion_window_in_days = 7
}
resource "aws_kms_alias" "this" {
  for_each      = toset(["one", "foo/bar"])
  name          = "alias/mod/${each.key}"
  target_key_id = aws_kms_key.this.key_id
}
resource "aws_kms_alias" "prefixed" {
  name_prefix   = "alias/mod-p-"
  target_key_id = aws_kms_key.this.key_id
}
resource "aws_kms_grant" "this" {
  name              = "lambda"
  key_id            = aws_kms_key.this.key_id
  grantee_principal = aws_iam_role.lambda.arn
  operations        = ["Encrypt", "Decrypt", "GenerateDataKey"]
  constraints { encryption_context_equals = { Department = "Finance" } }
  retire_on_delete = false
}
resource "aws_kms_ciphertext" "c" {
  key_id    = aws_kms_key.this.key_id
  plaintext = "secret"
  context   = { a = "b" }
}
resource "aws_cloudwatch_log_group" "enc" {
  name       = "/mod/kms"
  kms_key_id = aws_kms_key.this.arn
}
data "aws_kms_key" "read" { key_id = aws_kms_alias.this["one"].name }
data "aws_kms_alias" "read" { name = aws_kms_alias.this["one"].name }
data "aws_kms_public_key" "read" { key_id = aws_kms_key.asym.arn }
