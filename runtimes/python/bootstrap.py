"""Lambda's Python runtime: fetches invocations from the Runtime API and calls the handler.

Started as `python bootstrap.py` in the function's folder. Unlike AWS's, each invocation carries its own credentials, which
replace those in os.environ; boto3 clients made earlier, at module level too, sign with the current ones.
"""
import http.client
import importlib
import importlib.machinery
import json
import os
import re
import sys
import time
import traceback

API = "/2018-06-01/runtime"
HIDDEN = os.path.abspath(__file__)
MARK = f"decimal-{os.urandom(8).hex()}-"
DECIMAL = re.compile(f'"{MARK}(\\d+)"')


class CurrentCredentials:
    """Puts credentials that follow os.environ in the place of botocore's fixed ones, once botocore is imported."""

    NAME = "botocore.credentials"

    def find_spec(self, name, path=None, target=None):
        if name != self.NAME:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = self.wrap(spec.loader.exec_module)
        return spec

    def wrap(self, execute):
        def exec_module(module):
            execute(module)
            self.patch(module)
        return exec_module

    @staticmethod
    def patch(credentials):
        class EnvironmentCredentials(credentials.Credentials):
            def __init__(self):
                self.method = "env"
                self.account_id = None

            access_key = property(lambda self: os.environ["AWS_ACCESS_KEY_ID"], lambda self, value: None)
            secret_key = property(lambda self: os.environ["AWS_SECRET_ACCESS_KEY"], lambda self, value: None)
            token = property(lambda self: os.environ.get("AWS_SESSION_TOKEN"), lambda self, value: None)

        original = credentials.EnvProvider.load

        def load(self):
            if self.environ is os.environ and "AWS_ACCESS_KEY_ID" in os.environ and "AWS_SECRET_ACCESS_KEY" in os.environ:
                return EnvironmentCredentials()
            return original(self)

        credentials.EnvProvider.load = load


class Runtime:
    """The Runtime API over one kept connection."""

    def __init__(self, address, token):
        self.connection = http.client.HTTPConnection(address)
        self.headers = {"Lakerun-Runtime-Token": token}

    def call(self, method, path, body=None, headers=()):
        self.connection.request(method, API + path, body, {**self.headers, **dict(headers)})
        response = self.connection.getresponse()
        return response, response.read()

    def next(self):
        response, body = self.call("GET", "/invocation/next")
        if response.status != 200:
            sys.exit(f"no invocation: {response.status}")
        return response.headers, body

    def respond(self, request_id, body):
        return self.call("POST", f"/invocation/{request_id}/response", body)

    def fail(self, path, error):
        body = json.dumps(error).encode()
        self.call("POST", path, body, {"Lambda-Runtime-Function-Error-Type": error["errorType"]})


class Identity:
    def __init__(self, cognito):
        self.cognito_identity_id = cognito.get("cognitoIdentityId")
        self.cognito_identity_pool_id = cognito.get("cognitoIdentityPoolId")


class Client:
    def __init__(self, fields):
        for name in ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"):
            setattr(self, name, fields.get(name))


class ClientContext:
    def __init__(self, fields):
        self.custom = fields.get("custom")
        self.env = fields.get("env")
        self.client = Client(fields["client"]) if isinstance(fields.get("client"), dict) else None


class LambdaContext:
    def __init__(self, headers):
        environment = os.environ
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = environment["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environment["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environment["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environment["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])
        context = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = ClientContext(json.loads(context)) if context else None
        cognito = headers.get("Lambda-Runtime-Cognito-Identity")
        self.identity = Identity(json.loads(cognito) if cognito else {})

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))


class HandlerError(Exception):
    """A fault that the runtime itself finds; AWS's client calls it FaultException."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.trace = kind, trace

    def error(self, request_id=""):
        return describe(self.kind, str(self), self.trace, request_id)


def describe(kind, message, trace, request_id=""):
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": list(trace)}


def stack(exception):
    """The frames as AWS's client formats them: as plain tuples, so without the carets of newer Pythons."""
    frames = traceback.extract_tb(exception.__traceback__)
    ours = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", importlib.__file__, HIDDEN)
    return traceback.format_list([(shown(frame.filename), frame.lineno, frame.name, frame.line) for frame in frames if frame.filename not in ours])


def shown(text):
    """What names files of the function, as if its folder were mounted where AWS mounts it."""
    return text.replace(os.environ["LAMBDA_TASK_ROOT"] + "/", "/var/task/")


def load(name):
    module, separator, function = name.rpartition(".")
    if not separator:
        raise HandlerError("Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)")
    try:
        module_object = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        raise HandlerError("Runtime.ImportModuleError", f"Unable to import module '{module}': {shown(str(error))}") from None
    except SyntaxError as error:
        trace = [f'  File "{shown(str(error.filename))}" Line {error.lineno}\n    {error.text}']
        raise HandlerError("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}", trace) from None
    try:
        return getattr(module_object, function)
    except AttributeError:
        raise HandlerError("Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module}'") from None


def to_json(value):
    """Bytes are passed on as they are; elsewhere what json refuses is written as simplejson, which AWS's client has, writes it."""
    if isinstance(value, bytes):
        return value
    numbers = []

    def other(value):
        if isinstance(value, bytes):
            return value.decode()
        if type(value).__module__ == "decimal" and type(value).__name__ == "Decimal":
            numbers.append("NaN" if value.is_nan() else str(value))
            return f"{MARK}{len(numbers) - 1}"
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    text = json.dumps(value, ensure_ascii=False, default=other)
    if numbers:
        text = DECIMAL.sub(lambda match: numbers[int(match[1])], text)
    return text.encode("utf-8", "surrogatepass")


def report(error):
    """What CloudWatch shows of an error."""
    print(f"[ERROR] {error['errorType']}: {error['errorMessage']}")
    if error["stackTrace"]:
        print("Traceback (most recent call last):\n" + "".join(error["stackTrace"]).rstrip("\n"))
    flush()


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


def set_up_logging():
    import logging

    class RequestId(logging.Filter):
        def filter(self, record):
            record.aws_request_id = os.environ.get("_X_REQUEST_ID", "")
            return True

    handler = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(RequestId())
    logging.getLogger().addHandler(handler)


def take_credentials(headers):
    for header, name in (("Access-Key-Id", "AWS_ACCESS_KEY_ID"), ("Secret-Access-Key", "AWS_SECRET_ACCESS_KEY"),
                         ("Session-Token", "AWS_SESSION_TOKEN")):
        value = headers.get("Lakerun-" + header)
        if value is not None:
            os.environ[name] = value


def serve(runtime, handler):
    while True:
        headers, event = runtime.next()
        take_credentials(headers)
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_REQUEST_ID"] = request_id
        if headers.get("Lambda-Runtime-Trace-Id"):
            os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
        try:
            try:
                event = json.loads(event)
            except ValueError as error:
                raise HandlerError("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
            result = handler(event, LambdaContext(headers))
            try:
                body = to_json(result)
            except (TypeError, ValueError, RecursionError) as error:
                raise HandlerError("Runtime.MarshalError", f"Unable to marshal response: {error}") from None
        except HandlerError as failure:
            error = failure.error(request_id)
        except Exception as exception:
            error = describe(type(exception).__name__, str(exception), stack(exception), request_id)
        else:
            flush()
            response, answer = runtime.respond(request_id, body)
            if response.status == 413:
                print("[ERROR] " + json.loads(answer)["errorMessage"])
            continue
        report(error)
        runtime.fail(f"/invocation/{request_id}/error", error)


def main():
    address, token = os.environ["AWS_LAMBDA_RUNTIME_API"], os.environ.pop("LAKERUN_RUNTIME_TOKEN", "")
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    if hasattr(sys.stdout, "reconfigure"):
        # What a function prints must never make it fail.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.meta_path.insert(0, CurrentCredentials())
    set_up_logging()
    runtime = Runtime(address, token)
    try:
        handler = load(os.environ["_HANDLER"])
    except HandlerError as failure:
        error = failure.error()
    except Exception as exception:
        error = describe(type(exception).__name__, str(exception), stack(exception))
    else:
        return serve(runtime, handler)
    report(error)
    runtime.fail("/init/error", error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
