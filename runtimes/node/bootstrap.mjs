/* Lambda's Node.js runtime: fetches invocations from the Runtime API and calls the handler.

Started as `node bootstrap.mjs` in the function's folder. What AWS's own runtime does to `console`, to errors and to modules is done as
its interface client does it (aws-lambda-nodejs-runtime-interface-client). */
import fs from "node:fs";
import http from "node:http";
import module, { createRequire } from "node:module";
import path from "node:path";
import { Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import util from "node:util";

const { AWS_LAMBDA_RUNTIME_API: API, LAMBDA_TASK_ROOT: ROOT, _HANDLER: HANDLER } = process.env;
const TOKEN = process.env.LAKERUN_RUNTIME_TOKEN;
const MAJOR = Number((process.env.AWS_EXECUTION_ENV ?? "").match(/nodejs(\d+)\.x$/)?.[1] ?? process.versions.node.split(".")[0]);
delete process.env.LAKERUN_RUNTIME_TOKEN;
delete process.env.LAKERUN_LAYERS;
const [HOST, PORT] = [API.slice(0, API.lastIndexOf(":")), Number(API.slice(API.lastIndexOf(":") + 1))];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const exit = process.exit.bind(process);
let requestId;

// The Runtime API.

function call(method, place, body = "", headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ method, host: HOST, port: PORT, agent, path: `/2018-06-01/runtime/${place}`,
      headers: { "lakerun-runtime-token": TOKEN, "content-length": Buffer.byteLength(body), ...headers } }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

const fail = (place, error, headers = {}) =>
  call("POST", place, JSON.stringify(error), { "lambda-runtime-function-error-type": encodeURIComponent(error.errorType), ...headers });

// Errors as AWS tells them.

const isError = (value) => util.types.isNativeError(value) || (value instanceof Error);

function described(error) {
  if (isError(error)) {
    return { errorType: error.name?.replace(/\x7F/g, "%7F"), errorMessage: error.message?.replace(/\x7F/g, "%7F"), trace: (error.stack ?? "").replace(/\x7F/g, "%7F").split("\n") };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

class RuntimeError extends Error {
  constructor(kind, message) {
    super(message);
    this.name = kind;
    this.stack = `${kind}: ${this.stack.slice(this.stack.indexOf(message))}`;
  }
}

/** The error with its own fields, as the log has it. */
function forLog(error) {
  if (!isError(error)) return described(error);
  const { code } = error;
  const rest = Object.fromEntries(Object.entries(error).filter(([name]) => !["name", "message", "stack"].includes(name)));
  return { errorType: error.name, errorMessage: error.message, ...(code === undefined ? {} : { code }), ...rest, stack: (error.stack ?? "").split("\n") };
}

// console.

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const JSON_LOG = process.env.AWS_LAMBDA_LOG_FORMAT === "JSON";
const LEAST = JSON_LOG ? LEVELS.indexOf(process.env.AWS_LAMBDA_LOG_LEVEL ?? "INFO") : 0;

/** One line of the log is one event: line ends within are carriage returns, as on AWS's standard output. */
const write = (line) => fs.writeSync(1, `${line.replace(/\n/g, "\r")}\n`);

function log(level, args) {
  if (LEVELS.indexOf(level) < LEAST) return;
  const timestamp = new Date().toISOString();
  if (!JSON_LOG) {
    write(`${timestamp}\t${requestId}\t${level}\t${util.format(...args)}`);
    return;
  }
  const line = { timestamp, level, requestId, message: args.length === 1 ? args[0] : util.format(...args) };
  const error = args.length === 1 ? undefined : args.find(isError);
  if (error) Object.assign(line, inJson(error));
  let text;
  try {
    text = JSON.stringify(line, (_, value) => (isError(value) ? { ...inJson(value), ...value } : value));
  } catch {
    text = JSON.stringify({ ...line, message: util.format(...args) });
  }
  write(text);
}

const inJson = (error) => ({ errorType: error.constructor?.name ?? "UnknownError", errorMessage: error.message, stackTrace: (error.stack ?? "").split("\n") });

for (const [name, level] of [["trace", "TRACE"], ["debug", "DEBUG"], ["info", "INFO"], ["log", "INFO"], ["warn", "WARN"], ["error", "ERROR"], ["fatal", "FATAL"]]) {
  console[name] = (...args) => log(level, args);
}

const logError = (what, error) => log("ERROR", [what, JSON_LOG && isError(error) ? error : `\t${JSON.stringify(forLog(error))}`]);

// Modules.

/** `import` of what lies with a layer or the runtime, which Node itself looks for with `require` alone. */
function followPaths() {
  if (!process.env.NODE_PATH || !module.register) return;
  const hook = `import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const require = createRequire(${JSON.stringify(pathToFileURL(path.join(ROOT, "index.js")).href)});
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error?.code !== "ERR_MODULE_NOT_FOUND" || /^[./]|^[a-z]+:/.test(specifier)) throw error;
    try {
      return await next(pathToFileURL(require.resolve(specifier)).href, context);
    } catch {
      throw error;
    }
  }
}`;
  module.register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

function isModule(folder) {
  for (let at = folder; at.startsWith(ROOT); at = path.dirname(at)) {
    const file = path.join(at, "package.json");
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, "utf8")).type === "module";
      } catch {
        return false;
      }
    }
  }
  return false;
}

async function find(place, name) {
  const require = createRequire(pathToFileURL(path.join(ROOT, "index.js")));
  const base = path.resolve(ROOT, place, name);
  const imported = async (file) => await import(pathToFileURL(file).href);
  for (const [end, load] of [
    ["", (file) => require(file)],
    [".js", (file) => (isModule(path.dirname(file)) ? imported(file) : require(file))],
    [".mjs", imported],
    [".cjs", (file) => require(file)],
  ]) {
    if (fs.statSync(base + end, { throwIfNoEntry: false })?.isFile()) return await load(base + end);
  }
  return require(require.resolve(name, { paths: [ROOT, path.resolve(ROOT, place)] }));
}

async function load() {
  if (HANDLER.includes("..")) {
    throw new RuntimeError("Runtime.MalformedHandlerName", `'${HANDLER}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const name = path.basename(HANDLER);
  const place = HANDLER.slice(0, HANDLER.indexOf(name));
  const match = name.match(/^([^.]*)\.(.*)$/);
  if (!match) throw new RuntimeError("Runtime.MalformedHandlerName", "Bad handler");
  let found;
  try {
    found = await find(place, match[1]);
  } catch (error) {
    if (error instanceof SyntaxError) throw new RuntimeError("Runtime.UserCodeSyntaxError", String(error));
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") throw new RuntimeError("Runtime.ImportModuleError", String(error));
    throw error;
  }
  // A CommonJS module that was imported has its exports in `default`.
  const of = (from) => match[2].split(".").reduce((value, key) => value?.[key], from);
  const handler = of(found) ?? of(found?.default);
  if (handler === undefined || handler === null) throw new RuntimeError("Runtime.HandlerNotFound", `${HANDLER} is undefined or not exported`);
  if (typeof handler !== "function") throw new RuntimeError("Runtime.HandlerNotFound", `${HANDLER} is not a function`);
  if (MAJOR >= 24 && handler.length >= 3 && !handler[STREAMED]) {
    throw new RuntimeError("Runtime.CallbackHandlerDeprecated", "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.");
  }
  return handler;
}

// Responses that are written piece by piece: they are sent as they are written.

const STREAMED = Symbol.for("aws.lambda.runtime.handler.streaming");
const WITH_HEAD = "application/vnd.awslambda.http-integration-response";

class ResponseStream extends Writable {
  contentType = "application/octet-stream";

  /** The Runtime API's answer, once it is there. */
  begin() {
    if (this.request) return;
    this.answered = new Promise((resolve, reject) => {
      this.request = http.request({ method: "POST", host: HOST, port: PORT, agent, path: `/2018-06-01/runtime/invocation/${requestId}/response`,
        headers: { "lakerun-runtime-token": TOKEN, "lambda-runtime-function-response-mode": "streaming", "transfer-encoding": "chunked",
          "content-type": this.contentType, trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body" } }, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(parts) }));
      });
      this.request.on("error", reject);
    });
    this.request.flushHeaders();
  }
  _write(part, encoding, done) {
    this.begin();
    this.request.write(Buffer.isBuffer(part) ? part : Buffer.from(part, encoding), () => done());
  }
  _final(done) {
    this.begin();
    this.request.end();
    this.answered.then(() => done(), done);
  }
  /** Ends what was begun with an error. */
  async failed(error) {
    const told = described(error);
    this.request.addTrailers({ "Lambda-Runtime-Function-Error-Type": encodeURIComponent(told.errorType),
      "Lambda-Runtime-Function-Error-Body": Buffer.from(JSON.stringify(told)).toString("base64") });
    this.request.end();
    await this.answered;
  }
  setContentType(kind) {
    this.contentType = kind;
  }
}

globalThis.awslambda = {
  streamifyResponse: (handler) => Object.assign(handler, { [STREAMED]: "response" }),
  HttpResponseStream: class {
    static from(stream, prelude) {
      stream.setContentType(WITH_HEAD);
      stream.write(Buffer.concat([Buffer.from(JSON.stringify(prelude)), Buffer.alloc(8)]));
      return stream;
    }
  },
};

// Invocations.

function context(headers, settle) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const parsed = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  const { env } = process;
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed("lambda-runtime-client-context"),
    identity: parsed("lambda-runtime-cognito-identity"),
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
    ...(MAJOR >= 24 ? {} : {
      done: (error, result) => settle(error ?? null, result, true),
      fail: (error) => settle(error ?? "handled", undefined, true),
      succeed: (result) => settle(null, result, true),
    }),
  };
}

/** A handler failed that had begun to write. */
class Begun extends Error {}

/** The handler's result, by whichever way it gives one. */
function invoked(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let called = false;
    const settle = (error, result, now) => {
      if (called) return;
      called = true;
      const end = () => (error === null || error === undefined ? resolve(result) : reject(error));
      if (now || !made.callbackWaitsForEmptyEventLoop) end();
      else process.once("beforeExit", end);
    };
    const made = context(headers, settle);
    if (handler[STREAMED]) {
      const stream = new ResponseStream();
      stream.on("error", reject);
      stream.on("finish", () => resolve(stream));
      Promise.resolve(handler(event, stream, made)).then(() => stream.writableEnded || stream.end(), (error) => reject(stream.request ? Object.assign(new Begun(), { stream, error }) : error));
      return;
    }
    const returned = handler(event, made, (error, result) => settle(error, result));
    if (typeof returned?.then === "function") {
      called = true;
      returned.then(resolve, reject);
    } else if (handler.length < 3 || MAJOR >= 24) {
      // It may still call back, or `context.done`; if nothing is left to do its answer is null.
      process.once("beforeExit", () => !called && resolve(MAJOR >= 24 ? returned : undefined));
    } else {
      process.once("beforeExit", () => !called && resolve(undefined));
    }
  });
}

function body(result) {
  if (Buffer.isBuffer(result)) return result;
  try {
    return JSON.stringify(result === undefined ? null : result);
  } catch {
    throw new RuntimeError("Runtime.UnmarshalError", "Unable to stringify response body");
  }
}

async function serve(handler) {
  // Nothing else may be left to do while an invocation waits for its event loop to be empty.
  for (;;) {
    const next = await call("GET", "invocation/next");
    if (next.status !== 200) exit(1);
    requestId = next.headers["lambda-runtime-aws-request-id"];
    process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"] ?? "";
    let answer;
    try {
      const result = await invoked(handler, JSON.parse(next.body.toString("utf8")), next.headers);
      if (result instanceof ResponseStream) {
        const said = await result.answered;
        if (said.status === 413) log("ERROR", [JSON.parse(said.body).errorMessage]);
        continue;
      }
      answer = body(result);
    } catch (error) {
      if (error instanceof Begun) {
        logError("Invoke Error", error.error);
        await error.stream.failed(error.error);
        continue;
      }
      logError("Invoke Error", error);
      await fail(`invocation/${requestId}/error`, described(error));
      continue;
    }
    const said = await call("POST", `invocation/${requestId}/response`, answer);
    if (said.status === 413) log("ERROR", [JSON.parse(said.body).errorMessage]);
  }
}

// What nobody catches ends the process, and the invocation with it.

async function lost(kind, error, code) {
  const told = kind === undefined ? described(error) : { ...described(error), errorType: kind };
  logError(kind === undefined ? "Uncaught Exception" : "Unhandled Promise Rejection", error);
  try {
    await fail(requestId === undefined ? "init/error" : `invocation/${requestId}/error`, told, { "lakerun-runtime-ends": "1" });
  } finally {
    exit(code);
  }
}

process.on("uncaughtException", (error) => lost(undefined, error, 129));
process.on("unhandledRejection", (reason) => {
  const wrapped = new RuntimeError("Runtime.UnhandledPromiseRejection", String(reason));
  if (isError(reason)) wrapped.stack = `Runtime.UnhandledPromiseRejection: ${reason.stack}`;
  lost("Runtime.UnhandledPromiseRejection", wrapped, 128);
});

followPaths();
let handler;
try {
  handler = await load();
} catch (error) {
  logError("Uncaught Exception", error);
  await fail("init/error", described(error));
  exit(1);
}
await serve(handler);
