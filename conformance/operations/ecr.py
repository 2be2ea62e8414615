"""ECR: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Operations.html"""
import base64
import datetime
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused

MISSING = "RepositoryNotFoundException"
RULE = {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 3}, "action": {"type": "expire"}}
LIFECYCLE = json.dumps({"rules": [RULE]})
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "pull", "Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}]})


def ecr():
    return client("ecr")


def repository(**more):
    name = named("team/repository")
    return name, ecr().create_repository(repositoryName=name, **more)["repository"]


def missing(call, name="nothing-here", **given):
    refused(MISSING, f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'", call, **given)


def invalid(member, call, **given):
    refused("InvalidParameterException", f"{member}' failed to satisfy constraint", call, **given)


@operations("ecr", "CreateRepository", "DescribeRepositories", "DeleteRepository")
def repositories():
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    name, made = repository()
    holds(made, repositoryName=name, registryId=ACCOUNT, repositoryArn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}",
          repositoryUri=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}", imageTagMutability="MUTABLE",
          imageScanningConfiguration={"scanOnPush": False}, encryptionConfiguration={"encryptionType": "AES256"})
    assert before < made["createdAt"] < before + datetime.timedelta(minutes=10), made
    other, set_up = repository(imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True})
    holds(set_up, imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True})
    equal(ecr().describe_repositories(repositoryNames=[name])["repositories"], [made])
    equal(ecr().describe_repositories(registryId=ACCOUNT, repositoryNames=[other])["repositories"], [set_up])
    found, count = pages(ecr().describe_repositories, "repositories", "nextToken", "nextToken", maxResults=1)
    assert count >= 2 and {name, other} <= set(names(found, "repositoryName")), (count, found)
    equal(len(names(found, "repositoryName")), len(set(names(found, "repositoryName"))))
    refused("RepositoryAlreadyExistsException", f"The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'",
            ecr().create_repository, repositoryName=name)
    for wrong in ("Upper", "a", "two//slashes", "-dash", "a" * 257):
        invalid("repositoryName", ecr().create_repository, repositoryName=wrong)
    invalid("imageTagMutability", ecr().create_repository, repositoryName=named("r"), imageTagMutability="SOMETIMES")
    invalid("maxResults", ecr().describe_repositories, maxResults=1001)
    missing(ecr().describe_repositories, repositoryNames=[name, "nothing-here"])
    denied("AccessDeniedException", "ecr:CreateRepository", "create_repository", repositoryName=named("r"))
    equal(ecr().delete_repository(repositoryName=name)["repository"], made)
    missing(ecr().delete_repository, name, repositoryName=name)
    missing(ecr().describe_repositories, name, repositoryNames=[name])
    equal(ecr().create_repository(repositoryName=name)["repository"]["repositoryName"], name)


@operations("ecr", "GetAuthorizationToken")
def authorization():
    now = datetime.datetime.now(datetime.timezone.utc)
    for given in ({}, {"registryIds": [ACCOUNT]}):
        [data] = ecr().get_authorization_token(**given)["authorizationData"]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        equal((user, data["proxyEndpoint"]), ("AWS", f"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"))
        assert len(password) > 40 and now + datetime.timedelta(hours=11) < data["expiresAt"] < now + datetime.timedelta(hours=13), data
    invalid("registryIds.1.member", ecr().get_authorization_token, registryIds=["x"])
    denied("AccessDeniedException", "ecr:GetAuthorizationToken", "get_authorization_token")


@operations("ecr", "PutImageTagMutability", "PutImageScanningConfiguration")
def settings():
    name, _ = repository()
    holds(ecr().put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE"), registryId=ACCOUNT, repositoryName=name,
          imageTagMutability="IMMUTABLE")
    holds(ecr().put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={"scanOnPush": True}), registryId=ACCOUNT,
          repositoryName=name, imageScanningConfiguration={"scanOnPush": True})
    holds(ecr().describe_repositories(repositoryNames=[name])["repositories"][0], imageTagMutability="IMMUTABLE",
          imageScanningConfiguration={"scanOnPush": True})
    filters = [{"filterType": "WILDCARD", "filter": "latest*"}]
    equal(ecr().put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters)
          ["imageTagMutabilityExclusionFilters"], filters)
    holds(ecr().describe_repositories(repositoryNames=[name])["repositories"][0], imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
          imageTagMutabilityExclusionFilters=filters)
    invalid("imageTagMutability", ecr().put_image_tag_mutability, repositoryName=name, imageTagMutability="SOMETIMES")
    missing(ecr().put_image_tag_mutability, repositoryName="nothing-here", imageTagMutability="MUTABLE")
    missing(ecr().put_image_scanning_configuration, repositoryName="nothing-here", imageScanningConfiguration={"scanOnPush": True})


@operations("ecr", "SetRepositoryPolicy", "GetRepositoryPolicy", "DeleteRepositoryPolicy")
def policies():
    name, _ = repository()
    absent = f"Repository policy does not exist for the repository with name '{name}' in the registry with id '{ACCOUNT}'"
    refused("RepositoryPolicyNotFoundException", absent, ecr().get_repository_policy, repositoryName=name)
    refused("RepositoryPolicyNotFoundException", absent, ecr().delete_repository_policy, repositoryName=name)
    answers = [ecr().set_repository_policy(repositoryName=name, policyText=POLICY), ecr().get_repository_policy(repositoryName=name),
               ecr().delete_repository_policy(repositoryName=name)]
    for found in answers:
        holds(found, registryId=ACCOUNT, repositoryName=name)
        equal(json.loads(found["policyText"]), json.loads(POLICY))
    refused("RepositoryPolicyNotFoundException", absent, ecr().get_repository_policy, repositoryName=name)
    for wrong in ("not json", json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Principal": "*", "Action": "ecr:*"}]})):
        refused("InvalidParameterException", "Invalid repository policy provided", ecr().set_repository_policy, repositoryName=name, policyText=wrong)
    missing(ecr().set_repository_policy, repositoryName="nothing-here", policyText=POLICY)
    missing(ecr().get_repository_policy, repositoryName="nothing-here")
    missing(ecr().delete_repository_policy, repositoryName="nothing-here")


@operations("ecr", "PutLifecyclePolicy", "GetLifecyclePolicy", "DeleteLifecyclePolicy")
def lifecycles():
    name, _ = repository()
    absent = f"Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{ACCOUNT}'"
    refused("LifecyclePolicyNotFoundException", absent, ecr().get_lifecycle_policy, repositoryName=name)
    refused("LifecyclePolicyNotFoundException", absent, ecr().delete_lifecycle_policy, repositoryName=name)
    answers = [ecr().put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=LIFECYCLE), ecr().get_lifecycle_policy(repositoryName=name),
               ecr().delete_lifecycle_policy(repositoryName=name)]
    for found in answers:
        holds(found, registryId=ACCOUNT, repositoryName=name)
        equal(json.loads(found["lifecyclePolicyText"]), json.loads(LIFECYCLE))
    refused("LifecyclePolicyNotFoundException", absent, ecr().get_lifecycle_policy, repositoryName=name)
    for wrong in ("not json, but long enough", json.dumps({"rules": []})):
        refused("InvalidParameterException", "LifecyclePolicyText", ecr().put_lifecycle_policy, repositoryName=name, lifecyclePolicyText=wrong + " " * 100)
    missing(ecr().put_lifecycle_policy, repositoryName="nothing-here", lifecyclePolicyText=LIFECYCLE)
    missing(ecr().get_lifecycle_policy, repositoryName="nothing-here")
    missing(ecr().delete_lifecycle_policy, repositoryName="nothing-here")


@operations("ecr", "TagResource", "UntagResource", "ListTagsForResource")
def tags():
    def found():
        return {t["Key"]: t["Value"] for t in ecr().list_tags_for_resource(resourceArn=arn)["tags"]}

    arn = repository(tags=[{"Key": "a", "Value": "1"}])[1]["repositoryArn"]
    equal(ecr().list_tags_for_resource(resourceArn=arn)["tags"], [{"Key": "a", "Value": "1"}])
    ecr().tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    equal(found(), {"a": "2", "b": ""})
    ecr().untag_resource(resourceArn=arn, tagKeys=["a", "never"])
    equal(found(), {"b": ""})
    nowhere = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/nothing-here"
    missing(ecr().list_tags_for_resource, resourceArn=nowhere)
    missing(ecr().tag_resource, resourceArn=nowhere, tags=[{"Key": "a", "Value": "1"}])
    missing(ecr().untag_resource, resourceArn=nowhere, tagKeys=["a"])
    invalid("tags", ecr().tag_resource, resourceArn=arn)
    denied("AccessDeniedException", "ecr:ListTagsForResource", "list_tags_for_resource", resourceArn=arn)


@operations("ecr", "ListImages", "DescribeImages")
def images():
    name, _ = repository()
    equal(ecr().list_images(repositoryName=name)["imageIds"], [])
    equal(ecr().list_images(repositoryName=name, filter={"tagStatus": "TAGGED"})["imageIds"], [])
    equal(ecr().describe_images(repositoryName=name)["imageDetails"], [])
    refused("ImageNotFoundException", f"imageTag:'latest'}} does not exist within the repository with name '{name}' in the registry with id '{ACCOUNT}'",
            ecr().describe_images, repositoryName=name, imageIds=[{"imageTag": "latest"}])
    invalid("tagStatus", ecr().list_images, repositoryName=name, filter={"tagStatus": "SOME"})
    missing(ecr().list_images, repositoryName="nothing-here")
    missing(ecr().describe_images, repositoryName="nothing-here")
