"""Lambda's Python runtime: fetches invocations from the Runtime API and calls the handler.

Started as `python bootstrap.py` in the function's folder, or forked from a template: a process of the same program that has loaded
what most functions load (`preload`). Unlike AWS's, each invocation carries its own credentials, which
replace those in os.environ; boto3 clients made earlier, at module level too, sign with the current ones.
"""
import importlib
import importlib.machinery
import json
import os
import re
import socket
import sys
import time

API = "/2018-06-01/runtime"
HIDDEN = os.path.abspath(__file__)
LAYERS = "/opt"
MARK = f"decimal-{os.urandom(8).hex()}-"
DECIMAL = re.compile(f'"{MARK}(\\d+)"')
# Clients that a template makes once, for what botocore keeps of each service then.
PRELOADED = ("s3", "dynamodb", "sqs", "sns", "stepfunctions", "sts", "secretsmanager", "lambda", "events", "athena", "glue", "ssm")
# Of these a session keeps what they said when it was made.
KEPT_BY_SESSIONS = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_DATA_PATH")


class AfterImport:
    """Calls a function with a module once that is imported: what a handler never imports costs its start nothing."""

    def __init__(self, name, then):
        self.name, self.then = name, then

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = self.wrap(spec.loader.exec_module)
        return spec

    def wrap(self, execute):
        def exec_module(module):
            execute(module)
            self.then(module)
        return exec_module

    @classmethod
    def hook(cls, name, then):
        if name in sys.modules:
            then(sys.modules[name])
        else:
            sys.meta_path.insert(0, cls(name, then))


def share_models(loaders):
    """Sessions share what they read of botocore's data: what a template has read its forks need not read again."""
    shared, original = {}, loaders.Loader.__init__

    def init(self, *arguments, **named):
        original(self, *arguments, **named)
        self._cache = shared.setdefault(tuple(self.search_paths), {})

    loaders.Loader.__init__ = init


def share_rules(provider):
    """Clients share what they make of a service's endpoint rules, which is never written to: 400 objects of S3's."""
    shared, original = {}, provider.RuleSet.__init__

    def init(self, version, parameters, rules, partitions, *arguments, **named):
        # Those that are kept stay alive, so that no other thing comes to have their identity.
        key = (id(parameters), id(rules), id(partitions))
        if key not in shared:
            original(self, version, parameters, rules, partitions, *arguments, **named)
            if len(shared) < 100:
                shared[key] = vars(self).copy(), (parameters, rules, partitions)
        else:
            vars(self).update(shared[key][0])

    provider.RuleSet.__init__ = init


def remember_handlers(hooks):
    """A session asks of each of its 150 handlers which arguments it takes: of a plain function, or a method that is one, that does
    not change."""
    known, original, function, method = {}, hooks.accepts_kwargs, type(share_models), type(AfterImport.hook)

    def accepts_kwargs(handler):
        plain = handler.__func__ if type(handler) is method else handler
        if type(plain) is not function or len(known) > 1000:
            return original(handler)
        if plain not in known:
            known[plain] = original(handler)
        return known[plain]

    hooks.accepts_kwargs = accepts_kwargs


def preload():
    """What a template loads: boto3, a session without keys, and what makes clients quick."""
    import gc
    AfterImport.hook("botocore.loaders", share_models)
    AfterImport.hook("botocore.endpoint_provider", share_rules)
    AfterImport.hook("botocore.hooks", remember_handlers)
    AfterImport.hook("botocore.credentials", follow_environment)
    try:
        import boto3
    except ImportError:
        return
    boto3.setup_default_session()
    for service in PRELOADED:
        boto3.client(service, region_name="us-east-1")
    # What resources are made of is imported by the first of each, and listed from the disk.
    boto3.resource("dynamodb", region_name="us-east-1").Table("any")
    boto3.resource("s3", region_name="us-east-1").Bucket("any")
    gc.collect()
    # Its pages stay shared: the collector of a fork does not touch them.
    gc.freeze()


def stand_by():
    """What a fork does before it is a function: pages that functions write first are its own then, and need not be copied in a start."""
    if "boto3" in sys.modules:
        import boto3
        boto3.client("s3", region_name="us-east-1")
        boto3.resource("dynamodb", region_name="us-east-1").Table("any")


def become_function():
    """The first of a fork, after a start of its own would have done it."""
    time.tzset()
    sys.path_importer_cache.clear()
    global MARK, DECIMAL
    MARK = f"decimal-{os.urandom(8).hex()}-"
    DECIMAL = re.compile(f'"{MARK}(\\d+)"')
    if any(name in os.environ for name in KEPT_BY_SESSIONS) and "boto3" in sys.modules:
        sys.modules["boto3"].DEFAULT_SESSION = None


def follow_environment(credentials):
    """Puts credentials that follow os.environ in the place of botocore's fixed ones."""
    class EnvironmentCredentials(credentials.Credentials):
        def __init__(self):
            self.method = "env"
            self.account_id = None

        access_key = property(lambda self: os.environ["AWS_ACCESS_KEY_ID"], lambda self, value: None)
        secret_key = property(lambda self: os.environ["AWS_SECRET_ACCESS_KEY"], lambda self, value: None)
        token = property(lambda self: os.environ.get("AWS_SESSION_TOKEN"), lambda self, value: None)

    original = credentials.EnvProvider.load
    if hasattr(credentials, "lakerun_follows"):
        return

    def load(self):
        if self.environ is os.environ and "AWS_ACCESS_KEY_ID" in os.environ and "AWS_SECRET_ACCESS_KEY" in os.environ:
            return EnvironmentCredentials()
        return original(self)

    credentials.EnvProvider.load = load
    # Forks find it done.
    credentials.lakerun_follows = True


class Runtime:
    """The Runtime API over one kept connection. It speaks what the server at its other end does, and no more of HTTP: http.client
    takes as long to import and to read an answer's head as a short invocation takes in all."""

    def __init__(self, address, token):
        host, port = address.rsplit(":", 1)
        # Not by create_connection: that loads the tables of international names first.
        self.socket = socket.socket()
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.socket.makefile("rb")
        self.common = f"Host: {address}\r\nLakerun-Runtime-Token: {token}\r\n"
        self.asks_next = self.request("GET", "/invocation/next")

    def request(self, method, path, body=b"", more=""):
        head = f"{method} {API}{path} HTTP/1.1\r\n{self.common}{more}Content-Length: {len(body)}\r\n\r\n"
        return head.encode("iso-8859-1", "replace") + body

    def answer(self):
        """Status, headers by their lower-case names, body."""
        line = self.answers.readline()
        if not line:
            sys.exit("the Runtime API closed the connection")
        status, headers = int(line.split(None, 2)[1]), {}
        while True:
            line = self.answers.readline().rstrip(b"\r\n")
            if not line:
                break
            name, _, value = line.partition(b":")
            headers[name.decode("iso-8859-1").lower()] = value.strip().decode("iso-8859-1")
        return status, headers, self.answers.read(int(headers.get("content-length", 0)))

    def start(self):
        self.socket.sendall(self.asks_next)

    def next(self):
        """The invocation that was asked for."""
        status, headers, body = self.answer()
        if status != 200:
            sys.exit(f"no invocation: {status}")
        return headers, body

    def respond(self, request_id, body):
        """Asks for the next invocation in the same breath."""
        self.socket.sendall(self.request("POST", f"/invocation/{request_id}/response", body) + self.asks_next)
        return self.answer()

    def fail(self, path, error, then=b""):
        kind = error["errorType"].replace("\r", " ").replace("\n", " ")
        body = json.dumps(error).encode()
        self.socket.sendall(self.request("POST", path, body, f"Lambda-Runtime-Function-Error-Type: {kind}\r\n") + then)
        self.answer()


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
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.function_name = environment["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environment["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environment["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environment["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])
        context = headers.get("lambda-runtime-client-context")
        self.client_context = ClientContext(json.loads(context)) if context else None
        cognito = headers.get("lambda-runtime-cognito-identity")
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
    import traceback
    frames = traceback.extract_tb(exception.__traceback__)
    ours = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", importlib.__file__, HIDDEN)
    return traceback.format_list([(shown(frame.filename), frame.lineno, frame.name, frame.line) for frame in frames if frame.filename not in ours])


def shown(text):
    """What names files of the function and of Python, as if they lay where AWS has them."""
    version = f"/lib/python{sys.version_info.major}.{sys.version_info.minor}/"
    places = [(os.environ["LAMBDA_TASK_ROOT"] + "/", "/var/task/"), (LAYERS + "/", "/opt/")]
    places += [(root + version, "/var/lang" + version) for root in (sys.prefix, os.path.realpath(sys.prefix), sys.base_prefix)]
    for place, instead in places:
        if place != instead and not place.startswith(("/usr/", "/var/lang/")):
            text = text.replace(place, instead)
    return text


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
    if is_json():
        print(json.dumps({"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": "ERROR", **error}, ensure_ascii=False))
    else:
        print(f"[ERROR] {error['errorType']}: {error['errorMessage']}")
        if error["stackTrace"]:
            print("Traceback (most recent call last):\n" + "".join(error["stackTrace"]).rstrip("\n"))
    flush()


def is_json():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


LEVELS = {"TRACE": "NOTSET", "DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING", "ERROR": "ERROR", "FATAL": "CRITICAL"}


def json_formatter(logging):
    """Records as AWS's client writes them: what a record has besides goes along, what it has not is left out."""
    own = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "taskName"}

    class JsonFormatter(logging.Formatter):
        def format(self, record):
            import traceback
            error = record.exc_info if record.exc_info and record.exc_info[0] else None
            message = record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage()
            line = {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)), "level": record.levelname,
                "message": message, "logger": record.name,
                "stackTrace": [shown(frame) for frame in traceback.format_tb(error[2])] if error else None,
                "errorType": error[0].__name__ if error else None, "errorMessage": str(error[1]) if error else None,
                "requestId": record.aws_request_id or None,
                "location": f"{shown(record.pathname)}:{record.funcName}:{record.lineno}" if error else None,
            }
            line.update((name, value) for name, value in vars(record).items() if name not in own and name not in line)
            return json.dumps({name: value for name, value in line.items() if value is not None}, ensure_ascii=False, default=str)

    return JsonFormatter()


def set_up_logging(logging):
    class RequestId(logging.Filter):
        def filter(self, record):
            record.aws_request_id = os.environ.get("_X_REQUEST_ID", "")
            return True

    class Formatter(logging.Formatter):
        converter = time.gmtime

        def formatException(self, info):
            return shown(super().formatException(info))

    handler = logging.StreamHandler(sys.stdout)
    if is_json():
        handler.setFormatter(json_formatter(logging))
        logging.getLogger().setLevel(LEVELS.get(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO"), "INFO"))
    else:
        handler.setFormatter(Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(RequestId())
    logging.getLogger().addHandler(handler)


def follow_layers(root, runtime):
    """A function's own modules go first, then those of its layers, then the runtime's."""
    versions = [runtime, f"python{sys.version_info.major}.{sys.version_info.minor}"]
    places = [f"{root}/python/lib/{version}/site-packages" for version in dict.fromkeys(versions)] + [f"{root}/python"]
    sys.path[1:1] = [place for place in places if os.path.isdir(place)]


def take_credentials(headers):
    for header, name in (("access-key-id", "AWS_ACCESS_KEY_ID"), ("secret-access-key", "AWS_SECRET_ACCESS_KEY"),
                         ("session-token", "AWS_SESSION_TOKEN")):
        value = headers.get("lakerun-" + header)
        if value is not None:
            os.environ[name] = value


def serve(runtime, handler):
    runtime.start()
    while True:
        headers, event = runtime.next()
        take_credentials(headers)
        request_id = headers["lambda-runtime-aws-request-id"]
        os.environ["_X_REQUEST_ID"] = request_id
        if headers.get("lambda-runtime-trace-id"):
            os.environ["_X_AMZN_TRACE_ID"] = headers["lambda-runtime-trace-id"]
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
            status, _, answer = runtime.respond(request_id, body)
            if status == 413:
                print("[ERROR] " + json.loads(answer)["errorMessage"])
            continue
        report(error)
        runtime.fail(f"/invocation/{request_id}/error", error, runtime.asks_next)


def main():
    address, token = os.environ["AWS_LAMBDA_RUNTIME_API"], os.environ.pop("LAKERUN_RUNTIME_TOKEN", "")
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    global LAYERS
    LAYERS = os.environ.pop("LAKERUN_LAYERS", LAYERS)
    follow_layers(LAYERS, os.environ.get("AWS_EXECUTION_ENV", "").removeprefix("AWS_Lambda_"))
    if hasattr(sys.stdout, "reconfigure"):
        # What a function prints must never make it fail.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    AfterImport.hook("botocore.credentials", follow_environment)
    AfterImport.hook("logging", set_up_logging)
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


def template():
    """Returns in a fork, as the function that it is to be."""
    import importlib.util
    preload()
    spec = importlib.util.spec_from_file_location("lakerun_template", os.path.join(os.path.dirname(HIDDEN), "template.py"))
    forks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(forks)
    forks.serve(int(os.environ["LAKERUN_TEMPLATE"]), stand_by)
    become_function()


if __name__ == "__main__":
    if "LAKERUN_TEMPLATE" in os.environ:
        template()
    sys.exit(main())
