resource "aws_iam_account_alias" "this" { account_alias = "mod-account-x1" }
resource "aws_iam_account_password_policy" "this" {
  max_password_age               = 90
  minimum_password_length        = 24
  allow_users_to_change_password = true
  hard_expiry                    = false
  password_reuse_prevention      = 3
  require_lowercase_characters   = true
  require_uppercase_characters   = true
  require_numbers                = true
  require_symbols                = true
}
resource "aws_iam_openid_connect_provider" "github" {
  url             = "https://token.actions.githubusercontent.com"
  client_id_list  = ["sts.amazonaws.com", "https://github.com/terraform-aws-modules"]
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1", "1c58a3a8518e8759bf075b76b750d4f2df264fcd"]
  tags            = local.tags
}
resource "aws_iam_openid_connect_provider" "eks" {
  url            = "https://oidc.eks.eu-west-1.amazonaws.com/id/5C54DDF35ER19312844C7333374CC09D"
  client_id_list = ["sts.amazonaws.com"]
}
resource "aws_iam_openid_connect_provider" "auth0" {
  url            = "https://example.eu.auth0.com/"
  client_id_list = ["abc"]
}
data "aws_iam_openid_connect_provider" "read" { arn = aws_iam_openid_connect_provider.github.arn }
data "aws_iam_policy_document" "oidc" {
  statement {
    sid     = "GithubOidcAuth"
    effect  = "Allow"
    actions = ["sts:TagSession", "sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.github.arn]
    }
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "token.actions.githubusercontent.com:iss"
      values   = ["https://token.actions.githubusercontent.com"]
    }
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringLike"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["repo:terraform-aws-modules/terraform-aws-iam:*"]
    }
  }
}
resource "aws_iam_role" "github" {
  name_prefix           = "mod-github-"
  path                  = "/"
  description           = "d"
  assume_role_policy    = data.aws_iam_policy_document.oidc.json
  max_session_duration  = 7200
  permissions_boundary  = aws_iam_policy.boundary.arn
  force_detach_policies = true
  tags                  = local.tags
}
resource "aws_iam_policy" "boundary" {
  name_prefix = "mod-boundary-"
  path        = "/"
  description = "My example policy"
  policy      = jsonencode({ Version = "2012-10-17", Statement = [{ Action = ["s3:*"], Effect = "Allow", Resource = "*" }] })
  tags        = local.tags
}
resource "aws_iam_role_policy_attachment" "github" {
  for_each   = { ReadOnly = "arn:aws:iam::aws:policy/ReadOnlyAccess", own = aws_iam_policy.boundary.arn }
  role       = aws_iam_role.github.name
  policy_arn = each.value
}
data "aws_iam_policy_document" "assume" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.this.account_id}:root"]
    }
    principals {
      type        = "Service"
      identifiers = ["codedeploy.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["some-id-goes-here"]
    }
    condition {
      test     = "Bool"
      variable = "aws:MultiFactorAuthPresent"
      values   = ["true"]
    }
    condition {
      test     = "NumericLessThan"
      variable = "aws:MultiFactorAuthAge"
      values   = [86400]
    }
  }
}
resource "aws_iam_role" "custom" {
  name                 = "mod-custom"
  path                 = "/"
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.assume.json
  tags                 = { Role = "custom" }
}
resource "aws_iam_role_policy" "inline" {
  name_prefix = "inline-"
  role        = aws_iam_role.custom.id
  policy      = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "a", Action = "sts:GetCallerIdentity", Effect = "Allow", Resource = "*" }] })
}
resource "aws_iam_instance_profile" "this" {
  name = "mod-custom"
  path = "/"
  role = aws_iam_role.custom.name
  tags = local.tags
}
resource "aws_iam_role_policies_exclusive" "x" {
  role_name    = aws_iam_role.custom.name
  policy_names = [aws_iam_role_policy.inline.name]
}
resource "aws_iam_role_policy_attachments_exclusive" "x" {
  role_name   = aws_iam_role.custom.name
  policy_arns = []
}
resource "aws_iam_user" "this" {
  name                 = "mod.user"
  path                 = "/system/"
  force_destroy        = true
  permissions_boundary = aws_iam_policy.boundary.arn
  tags                 = local.tags
}
resource "aws_iam_access_key" "this" {
  user   = aws_iam_user.this.name
  status = "Active"
}
resource "aws_iam_user_policy_attachment" "this" {
  user       = aws_iam_user.this.name
  policy_arn = aws_iam_policy.boundary.arn
}
resource "aws_iam_user_policy" "this" {
  name   = "p"
  user   = aws_iam_user.this.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Action = "s3:ListBucket", Effect = "Allow", Resource = "*" }] })
}
resource "aws_iam_group" "this" {
  name = "mod-group"
  path = "/users/"
}
resource "aws_iam_group_membership" "this" {
  name  = "m"
  group = aws_iam_group.this.id
  users = [aws_iam_user.this.name]
}
resource "aws_iam_group_policy_attachment" "this" {
  group      = aws_iam_group.this.name
  policy_arn = "arn:aws:iam::aws:policy/IAMUserChangePassword"
}
resource "aws_iam_group_policy" "this" {
  name   = "gp"
  group  = aws_iam_group.this.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Action = "s3:ListBucket", Effect = "Allow", Resource = "*" }] })
}
resource "aws_iam_service_linked_role" "slr" {
  aws_service_name = "events.amazonaws.com"
}
data "aws_iam_role" "read" { name = aws_iam_role.custom.name }
data "aws_iam_roles" "all" { name_regex = "mod-.*" }
data "aws_iam_session_context" "me" { arn = data.aws_caller_identity.this.arn }
data "aws_iam_principal_policy_simulation" "sim" {
  action_names      = ["s3:ListBucket"]
  policy_source_arn = aws_iam_user.this.arn
  depends_on        = [aws_iam_user_policy.this]
}
