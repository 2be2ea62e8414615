"""A batch transform by a program: the model's own inference.py (model_fn, input_fn, predict_fn, output_fn or transform_fn, as the
SageMaker inference toolkit calls them), or what is known of ONNX and XGBoost models without one.

`python transform.py REQUEST RESULT`: reads the job from REQUEST, its data and model from S3 with the keys in its environment, writes
the outputs to S3 and how it ended to RESULT.
"""
import csv
import gzip
import importlib.util
import inspect
import io
import json
import os
import sys
import tarfile
import traceback

MODEL, CODE = os.environ["SM_MODEL_DIR"], os.path.join(os.environ["SM_MODEL_DIR"], "code")
JSON_LINES = ("application/jsonlines", "application/x-ndjson", "application/jsonl")
# What the toolkit hands to input_fn as text.
TEXT = ("application/json", "text/csv") + JSON_LINES
MOST_BYTES = 1 << 30


class Refused(Exception):
    """What the job's author asked for cannot be done: a ClientError."""
    status = 400


class Unsupported(Refused):
    """A content type that nothing here reads or writes, as the toolkit's UnsupportedFormatError."""
    status = 415


def media(content_type):
    return (content_type or "").split(";")[0].strip().lower()


# Filters: the part of JSONPath that batch transform takes.

def parse_filter(text):
    """None for everything, else a list of names and whole numbers or one slice, after a path of names."""
    text = (text or "$").strip()
    wrong = Refused(f"{text} is no filter that batch transform understands")
    if not text.startswith("$"):
        raise wrong
    path, rest = [], text[1:]
    while rest.startswith("."):
        end = min((at for at in (rest.find(".", 1), rest.find("[")) if at > 0), default=len(rest))
        name = rest[1:end]
        if not name or not all(c.isalnum() or c in "_-" for c in name):
            raise wrong
        path.append(name)
        rest = rest[end:]
    if not rest:
        return (path, None) if path else None
    if not (rest.startswith("[") and rest.endswith("]")):
        raise wrong
    items = next(csv.reader([rest[1:-1].replace("'", '"')], skipinitialspace=True))
    chosen = [selector(item.strip(), f"'{item}'" in rest or f'"{item}"' in rest, wrong) for item in items]
    if not chosen or (len(chosen) > 1 and any(isinstance(one, slice) for one in chosen)):
        raise wrong
    return path, chosen


def selector(item, is_name, wrong):
    if is_name:
        return item
    try:
        if ":" in item:
            first, last = item.split(":")
            return slice(int(first) if first else None, int(last) if last else None)
        return slice(None) if item == "*" else int(item)
    except ValueError:
        raise wrong from None


def choose(value, chosen, text):
    if chosen is None:
        return value
    path, items = chosen
    try:
        for name in path:
            value = value[name]
        if items is None:
            return value
        if len(items) == 1 and isinstance(items[0], slice):
            return value[items[0]]
        if isinstance(value, dict):
            return {name: value[name] for name in items} if len(items) > 1 else value[items[0]]
        picked = [value[item] for item in items]
        return picked if len(items) > 1 or not isinstance(picked[0], (list, dict)) else picked[0]
    except (KeyError, IndexError, TypeError):
        raise Refused(f"filter {text}: there is no such element in {json.dumps(value)[:200]}") from None


# Records of an object, and back.

class Csv:
    def read(text):
        return [row for row in csv.reader(io.StringIO(text)) if row]

    def write(records):
        out = io.StringIO()
        rows = (record if isinstance(record, list) else [record] for record in records)
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue()

    def join(record, prediction):
        return record + prediction


class JsonLines:
    def read(text):
        # Lines end at \n: str.splitlines knows more ends, which may stand in a value.
        return [json.loads(line) for line in text.split("\n") if line.strip()]

    def write(records):
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)

    def join(record, prediction):
        if isinstance(record, dict):
            return {**record, "SageMakerOutput": prediction}
        return {"SageMakerInput": record, "SageMakerOutput": prediction}


class Json(JsonLines):
    def read(text):
        return [json.loads(text)]

    def write(records):
        return json.dumps(records[0] if len(records) == 1 else records, ensure_ascii=False)


def kind_of(content_type):
    content_type = media(content_type)
    return Csv if content_type == "text/csv" else JsonLines if content_type in JSON_LINES else Json if content_type == "application/json" else None


# Handlers.

def arguments(function, *given):
    """Those that it takes: newer toolkits pass a context besides."""
    count = len([p for p in inspect.signature(function).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)])
    return given[:count] if count <= len(given) else (*given, None)


def decode(data, content_type):
    """As sagemaker_inference.decoder."""
    try:
        return decoded(data, media(content_type))
    except ValueError as error:
        raise Refused(f"the data are not {content_type}: {error}") from None


def decoded(data, content_type):
    import numpy
    if content_type == "application/x-npy":
        return numpy.load(io.BytesIO(data))
    if content_type == "application/json":
        return numpy.array(json.loads(data))
    if content_type in JSON_LINES:
        return numpy.array(JsonLines.read(data))
    if content_type == "text/csv":
        try:
            return numpy.array([[float(cell) if cell else float("nan") for cell in row] for row in Csv.read(data)])
        except ValueError as error:
            raise Refused(f"the data are no numbers: {error}") from None
    if content_type in ("application/x-parquet", "application/parquet", "application/vnd.apache.parquet"):
        try:
            import pandas
            return pandas.read_parquet(io.BytesIO(data))
        except ImportError as error:
            raise Unsupported(f"content type {content_type!r} needs pandas and pyarrow in the model's requirements.txt: {error}") from None
    raise Unsupported(f"content type {content_type!r} is not supported without an input_fn")


def encode(prediction, accept):
    """As sagemaker_inference.encoder."""
    import numpy
    accept = media(accept)
    if accept in ("application/json", "*/*", ""):
        return json.dumps(prediction, default=lambda value: value.tolist() if hasattr(value, "tolist") else json.JSONEncoder().default(value))
    array = prediction if isinstance(prediction, list) else numpy.asarray(prediction)
    if accept == "application/x-npy":
        out = io.BytesIO()
        numpy.save(out, array)
        return out.getvalue()
    rows = array if isinstance(array, list) else array.tolist()
    rows = rows if isinstance(rows, list) else [rows]
    if accept == "text/csv":
        return Csv.write([list(row.values()) if isinstance(row, dict) else row for row in rows])
    if accept in JSON_LINES:
        return JsonLines.write(rows)
    raise Unsupported(f"Accept {accept!r} is not supported without an output_fn")


class Onnx:
    """A model without a program. Maps that classifiers give (ZipMap) are columns, by their keys."""

    def model_fn(folder):
        import onnxruntime
        found = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.lower().endswith(".onnx"))
        found.sort(key=lambda path: os.path.basename(path) != "model.onnx")
        return onnxruntime.InferenceSession(found[0], providers=["CPUExecutionProvider"])

    def predict_fn(data, session):
        import numpy
        kinds = {"tensor(float)": numpy.float32, "tensor(double)": numpy.float64, "tensor(int64)": numpy.int64, "tensor(int32)": numpy.int32, "tensor(string)": numpy.str_}
        inputs = session.get_inputs()
        for one in inputs:
            if one.type not in kinds:
                raise Refused(f"the model's input {one.name} has the type {one.type}, which is not supported")
        if hasattr(data, "dtype") and data.dtype == object:
            data = numpy.atleast_1d(data)
            if not all(isinstance(row, dict) for row in data):
                raise Refused("the data are neither rows of numbers nor objects by the names of the model's inputs")
            missing = [one.name for one in inputs for row in data if one.name not in row]
            if missing:
                raise Refused(f"the data has no value for the model's input {missing[0]}")
            feed = {one.name: numpy.array([row[one.name] for row in data]) for one in inputs}
        else:
            data = numpy.asarray(data)
            data = data.reshape(1, -1) if data.ndim < 2 else data
            columns = [data] if len(inputs) == 1 else [data[:, at] for at in range(data.shape[1])]
            if len(columns) != len(inputs):
                raise Refused(f"the model takes {len(inputs)} inputs, the data has {len(columns)} columns")
            feed = {one.name: column for one, column in zip(inputs, columns)}
        for one in inputs:
            value = feed[one.name].astype(kinds[one.type])
            feed[one.name] = value.reshape(-1, 1) if len(one.shape or []) == 2 and value.ndim == 1 else value
        try:
            outputs = session.run(None, feed)
        except Exception as error:  # its own classes are private
            raise Refused(f"the model failed: {error}") from None
        rows = None
        for output in outputs:
            part = [list(row.values()) for row in output] if isinstance(output, list) else output.reshape(len(output), -1).tolist()
            rows = part if rows is None else [a + b for a, b in zip(rows, part)]
        return [row[0] if len(row) == 1 else row for row in rows]


class XGBoost:
    """As AWS's container serves the model of its own training."""

    def model_fn(folder):
        import xgboost
        names = [name for name in sorted(os.listdir(folder)) if os.path.isfile(os.path.join(folder, name))]
        if len(names) != 1 and "xgboost-model" not in names:
            raise Refused(f"the archive holds no inference.py and no xgboost-model (there are: {', '.join(names)})")
        booster = xgboost.Booster()
        booster.load_model(os.path.join(folder, "xgboost-model" if "xgboost-model" in names else names[0]))
        return booster

    def predict_fn(data, booster):
        import xgboost
        return booster.predict(xgboost.DMatrix(data))


class Handlers:
    def __init__(self, program, builtin):
        self.own = load(program) if program else builtin
        self.model = self.call("model_fn", MODEL)

    def call(self, name, *given):
        function = getattr(self.own, name)
        return function(*arguments(function, *given))

    def has(self, name):
        return getattr(self.own, name, None) is not None

    def invoke(self, data, content_type, accept):
        """The answer to one payload: text or bytes, and its content type."""
        data = data.decode() if media(content_type) in TEXT and isinstance(data, bytes) else data
        if self.has("transform_fn"):
            return answer(self.call("transform_fn", self.model, data, content_type, accept), accept)
        read = self.call("input_fn", data, content_type) if self.has("input_fn") else decode(data, content_type)
        prediction = self.call("predict_fn", read, self.model) if self.has("predict_fn") else self.model.predict(read)
        if self.has("output_fn"):
            return answer(self.call("output_fn", prediction, accept), accept)
        return encode(prediction, accept), accept


def loaded(s3, request):
    """The handlers of a model, whose archive is fetched and unpacked first."""
    bucket, _, key = request["model_data_url"].removeprefix("s3://").partition("/")
    data = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        archive.extractall(MODEL, filter="data")
    return Handlers(request["program"], {"onnx": Onnx, "xgboost": XGBoost}.get(request["builtin"]))


def answer(output, accept):
    return output if isinstance(output, tuple) else (output, accept)


def load(program):
    place = next((p for p in (os.path.join(CODE, program), os.path.join(MODEL, program)) if os.path.isfile(p)), None)
    if place is None:
        raise Refused(f"the archive holds no {program}, which SAGEMAKER_PROGRAM names")
    sys.path.insert(0, os.path.dirname(place))
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(place))[0], place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "model_fn"):
        raise Refused(f"{program} has no model_fn")
    return module


# The job.

class Job:
    def __init__(self, request):
        import boto3
        self.s3, self.request = boto3.client("s3"), request
        self.content, self.accept = request["content_type"] or "text/csv", request["accept"] or request["content_type"] or "application/json"
        # What is split at the ends of lines is lines, whatever its content type says.
        kind = lambda content: JsonLines if kind_of(content) is Json and request["split"] == "Line" else kind_of(content)
        self.kind = kind(self.content)
        self.filters = [parse_filter(request["input_filter"]), parse_filter(request["output_filter"])]
        self.join = request["join"]
        if (self.join or any(self.filters)) and self.kind is None:
            raise Refused(f"filters and joins need CSV, JSON or JSON Lines, not {self.content}")
        if (self.join or self.filters[1]) and kind(self.accept) is not self.kind:
            raise Refused(f"joins and output filters need an Accept like the ContentType {self.content}, not {self.accept}")

    def get(self, bucket, key):
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def run(self):
        handlers = loaded(self.s3, self.request)
        for file in self.request["objects"]:
            url = f"s3://{file['bucket']}/{file['key']}"
            try:
                output = self.transform(handlers, self.get(file["bucket"], file["key"]))
            except Refused as error:
                raise Refused(f"{url}: {error}") from None
            bucket, _, prefix = self.request["output"].removeprefix("s3://").partition("/")
            key = "/".join(part for part in (prefix.strip("/"), file["relative"] + ".out") if part)
            self.s3.put_object(Bucket=bucket, Key=key, Body=output)

    def transform(self, handlers, data):
        if self.request["gzip"]:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise Refused(f"it unpacks to more than {MOST_BYTES >> 30} GiB")
        if self.kind is None or not (self.join or any(self.filters) or self.request["split"] == "Line"):
            output, _ = handlers.invoke(data, self.content, self.accept)
            return output if isinstance(output, bytes) else output.encode()
        try:
            records = self.kind.read(data.decode("utf-8-sig"))
        except (ValueError, csv.Error) as error:
            raise Refused(f"the data are not {self.content}: {error}") from None
        return "".join(self.batch(handlers, batch) for batch in self.batches(records)).encode()

    def batches(self, records):
        """Payloads of as many records as fit, or of one."""
        most = 1 if self.request["single"] or self.kind is Json else len(records)
        batch, size, limit = [], 0, self.request["max_payload_mb"] << 20
        for record in records:
            length = len(self.kind.write([record]).encode())
            if batch and (len(batch) >= most or size + length > limit):
                yield batch
                batch, size = [], 0
            batch.append(record)
            size += length
        if batch:
            yield batch

    def batch(self, handlers, records):
        asked = [choose(record, self.filters[0], self.request["input_filter"]) for record in records]
        output, _ = handlers.invoke(self.kind.write(asked), self.content, self.accept)
        text = output.decode() if isinstance(output, bytes) else output
        if not (self.join or self.filters[1]):
            return text if text.endswith("\n") or self.request["assemble"] != "Line" else text + "\n"
        try:
            predictions = self.kind.read(text)
        except (ValueError, csv.Error) as error:
            raise Refused(f"the model's answer is not {self.accept}: {error}") from None
        if len(predictions) != len(records):
            raise Refused(f"the model answered {len(predictions)} records for {len(records)}: they cannot be joined")
        pairs = zip(records, predictions)
        joined = [self.kind.join(record, one) for record, one in pairs] if self.join else predictions
        return self.kind.write([choose(record, self.filters[1], self.request["output_filter"]) for record in joined])


def ended(result, work):
    """Does the work and writes how it ended."""
    try:
        work()
        end = {}
    except Refused as error:
        end = {"code": "ClientError", "message": str(error)}
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(MODEL + os.sep)]
        place = f" ({os.path.relpath(frames[-1].filename, MODEL)}, line {frames[-1].lineno})" if frames else ""
        end = {"code": "AlgorithmError", "message": f"{type(error).__name__}: {error}{place}"}
        traceback.print_exc()
    with open(result, "w") as file:
        json.dump(end, file)


def main(request, result):
    with open(request) as file:
        asked = json.load(file)
    ended(result, lambda: Job(asked).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
