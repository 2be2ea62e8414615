"""SageMaker: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html"""
import io
import tarfile

from harness import ACCOUNT, REGION, bucket, client, equal, holds, named, names, operations, pages, refused, role, until


def sm():
    return client("sagemaker")


def arn(kind, name):
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def model():
    """A model that doubles what it is given."""
    name, place, packed = named("model"), bucket(), io.BytesIO()
    text = b"def model_fn(folder):\n    return 2\n\ndef predict_fn(data, factor):\n    return data * factor\n"
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("inference.py")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    client("s3").put_object(Bucket=place, Key="m.tar.gz", Body=packed.getvalue())
    sm().create_model(ModelName=name, ExecutionRoleArn=role("sagemaker"), PrimaryContainer={"Image": "i", "ModelDataUrl": f"s3://{place}/m.tar.gz"})
    return name


def settled(name):
    """The endpoint when it is made or changed."""
    found = until(lambda: sm().describe_endpoint(EndpointName=name), lambda e: e["EndpointStatus"] not in ("Creating", "Updating"))
    equal((found["EndpointStatus"], found.get("FailureReason")), ("InService", None))
    return found


def config(of, name=None):
    name = name or named("config")
    variant = {"VariantName": "all", "ModelName": of, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sm().create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    return name


@operations("sagemaker", "CreateModel", "DescribeModel", "ListModels", "DeleteModel")
def models():
    name, who, url = named("model"), role("sagemaker"), f"s3://{bucket()}/m.tar.gz"
    made = sm().create_model(ModelName=name, ExecutionRoleArn=who, PrimaryContainer={"Image": "i", "ModelDataUrl": url, "Environment": {"A": "1"}})
    equal(made["ModelArn"], arn("model", name))
    found = sm().describe_model(ModelName=name)
    holds(found, ModelName=name, ModelArn=arn("model", name), ExecutionRoleArn=who, EnableNetworkIsolation=False)
    holds(found["PrimaryContainer"], Image="i", ModelDataUrl=url, Environment={"A": "1"})
    second = name + "-2"
    sm().create_model(ModelName=second, ExecutionRoleArn=who, PrimaryContainer={"Image": "i", "ModelDataUrl": url})
    found, count = pages(sm().list_models, "Models", "NextToken", "NextToken", NameContains=name, SortBy="Name", SortOrder="Ascending", MaxResults=1)
    equal(([(m["ModelName"], m["ModelArn"]) for m in found], count), ([(name, arn("model", name)), (second, arn("model", second))], 2))
    refused("ValidationException", f'Cannot create already existing model "{arn("model", name)}"', sm().create_model, ModelName=name,
            ExecutionRoleArn=who, PrimaryContainer={"Image": "i", "ModelDataUrl": url})
    refused("ValidationException", "modelName", sm().create_model, ModelName="a b", ExecutionRoleArn=who)
    refused("ValidationException", "maxResults", sm().list_models, MaxResults=101)
    sm().delete_model(ModelName=name)
    for call in (sm().describe_model, sm().delete_model):
        refused("ValidationException", f'Could not find model "{arn("model", name)}"', call, ModelName=name)


@operations("sagemaker", "CreateEndpointConfig", "DescribeEndpointConfig", "ListEndpointConfigs", "DeleteEndpointConfig", "CreateEndpoint",
            "DescribeEndpoint", "ListEndpoints", "UpdateEndpoint", "DeleteEndpoint")
def endpoints():
    of = model()
    first = config(of)
    second = config(of, first + "-2")
    found = sm().describe_endpoint_config(EndpointConfigName=first)
    holds(found, EndpointConfigName=first, EndpointConfigArn=arn("endpoint-config", first))
    holds(found["ProductionVariants"][0], VariantName="all", ModelName=of, InitialInstanceCount=1, InstanceType="ml.m5.large", InitialVariantWeight=1.0)
    equal(sorted(names(pages(sm().list_endpoint_configs, "EndpointConfigs", "NextToken", "NextToken", NameContains=first, MaxResults=1)[0],
                       "EndpointConfigName")), [first, second])
    name = named("endpoint")
    equal(sm().create_endpoint(EndpointName=name, EndpointConfigName=first)["EndpointArn"], arn("endpoint", name))
    found = settled(name)
    holds(found, EndpointName=name, EndpointArn=arn("endpoint", name), EndpointConfigName=first)
    holds(found["ProductionVariants"][0], VariantName="all", CurrentInstanceCount=1, DesiredInstanceCount=1, CurrentWeight=1.0, DesiredWeight=1.0)
    equal(sm().update_endpoint(EndpointName=name, EndpointConfigName=second)["EndpointArn"], arn("endpoint", name))
    equal(settled(name)["EndpointConfigName"], second)
    equal([(e["EndpointName"], e["EndpointStatus"]) for e in sm().list_endpoints(NameContains=name, StatusEquals="InService")["Endpoints"]],
          [(name, "InService")])
    equal(sm().list_endpoints(NameContains=name, StatusEquals="Failed")["Endpoints"], [])
    text = f'Cannot create already existing endpoint "{arn("endpoint", name)}"'
    refused("ValidationException", text, sm().create_endpoint, EndpointName=name, EndpointConfigName=first)
    text = f'Cannot create already existing endpoint configuration "{arn("endpoint-config", first)}"'
    refused("ValidationException", text, sm().create_endpoint_config, EndpointConfigName=first,
            ProductionVariants=[{"VariantName": "all", "ModelName": of, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}])
    no = named("none")
    refused("ValidationException", f'Could not find model "{arn("model", no)}"', sm().create_endpoint_config, EndpointConfigName=no,
            ProductionVariants=[{"VariantName": "all", "ModelName": no, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}])
    for call, given in ((sm().create_endpoint, {"EndpointName": no}), (sm().update_endpoint, {"EndpointName": name}),
                        (sm().describe_endpoint_config, {}), (sm().delete_endpoint_config, {})):
        refused("ValidationException", f'Could not find endpoint configuration "{arn("endpoint-config", no)}"', call, EndpointConfigName=no, **given)
    for call, given in ((sm().describe_endpoint, {}), (sm().delete_endpoint, {}), (sm().update_endpoint, {"EndpointConfigName": first})):
        refused("ValidationException", f'Could not find endpoint "{arn("endpoint", no)}"', call, EndpointName=no, **given)
    refused("ValidationException", "maxResults", sm().list_endpoints, MaxResults=101)
    refused("ValidationException", "maxResults", sm().list_endpoint_configs, MaxResults=101)
    sm().delete_endpoint(EndpointName=name)
    until(lambda: sm().list_endpoints(NameContains=name)["Endpoints"], lambda found: found == [])
    sm().delete_endpoint_config(EndpointConfigName=first)
    equal(names(sm().list_endpoint_configs(NameContains=first)["EndpointConfigs"], "EndpointConfigName"), [second])


@operations("sagemaker", "CreateTransformJob", "DescribeTransformJob", "ListTransformJobs", "StopTransformJob")
def transform_jobs():
    """What a job computes is asked elsewhere: here its model has no file, and it says so."""
    name, of, place = named("job"), named("model"), bucket()
    sm().create_model(ModelName=of, ExecutionRoleArn=role("sagemaker"), PrimaryContainer={"Image": "i", "ModelDataUrl": f"s3://{place}/m.tar.gz"})
    job = {"TransformJobName": name, "ModelName": of, "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
           "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{place}/in/"}}, "ContentType": "text/csv"},
           "TransformOutput": {"S3OutputPath": f"s3://{place}/out/"}}
    client("s3").put_object(Bucket=place, Key="in/a.csv", Body=b"1\n")
    equal(sm().create_transform_job(**job)["TransformJobArn"], arn("transform-job", name))
    ended = until(lambda: sm().describe_transform_job(TransformJobName=name), lambda j: j["TransformJobStatus"] != "InProgress")
    holds(ended, TransformJobName=name, TransformJobArn=arn("transform-job", name), ModelName=of, TransformJobStatus="Failed")
    assert "m.tar.gz" in ended["FailureReason"], ended["FailureReason"]
    equal([(j["TransformJobName"], j["TransformJobStatus"]) for j in sm().list_transform_jobs(NameContains=name)["TransformJobSummaries"]], [(name, "Failed")])
    equal(sm().list_transform_jobs(NameContains=name, StatusEquals="Completed")["TransformJobSummaries"], [])
    refused("ResourceInUse", name, sm().create_transform_job, **job)
    for given in ({"MaxPayloadInMB": 101}, {"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}):
        refused("ValidationException", "100 MB", sm().create_transform_job, **{**job, "TransformJobName": named("j"), **given})
    refused("ValidationException", f'Could not find model "{arn("model", "nothing-here")}"', sm().create_transform_job, **{**job, "TransformJobName": named("j"), "ModelName": "nothing-here"})
    refused("ValidationException", "Could not find requested job with name: nothing-here", sm().describe_transform_job, TransformJobName="nothing-here")
    refused("ValidationException", "Could not find requested job with name: nothing-here", sm().stop_transform_job, TransformJobName="nothing-here")
    refused("ValidationException", "statusEquals", sm().list_transform_jobs, StatusEquals="Asleep")
    client("s3").put_object(Bucket=place, Key="in/b.csv", Body=b"1\n" * 100)

    def stopped():
        """Was a job stopped before it failed?"""
        another = named("job")
        sm().create_transform_job(**{**job, "TransformJobName": another})
        try:
            sm().stop_transform_job(TransformJobName=another)
        except sm().exceptions.ClientError as error:
            assert "Failed" in str(error), error
            return False
        ended = until(lambda: sm().describe_transform_job(TransformJobName=another)["TransformJobStatus"], lambda s: s not in ("InProgress", "Stopping"))
        assert ended in ("Stopped", "Failed"), ended
        return True

    until(stopped, bool)


@operations("sagemaker", "AddTags", "ListTags", "DeleteTags")
def tags():
    of = arn("model", model())
    equal(sm().add_tags(ResourceArn=of, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])["Tags"], [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    sm().add_tags(ResourceArn=of, Tags=[{"Key": "a", "Value": "2"}])
    equal(sorted(sm().list_tags(ResourceArn=of)["Tags"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    sm().delete_tags(ResourceArn=of, TagKeys=["a", "never"])
    equal(sm().list_tags(ResourceArn=of)["Tags"], [{"Key": "b", "Value": ""}])
    no = arn("model", "nothing-here")
    for call, given in ((sm().add_tags, {"Tags": [{"Key": "a", "Value": "1"}]}), (sm().list_tags, {}), (sm().delete_tags, {"TagKeys": ["a"]})):
        refused("ValidationException", "nothing-here", call, ResourceArn=no, **given)
