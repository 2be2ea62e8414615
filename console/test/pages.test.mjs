// Every page in a real browser over a filled server: light and dark, wide and narrow, without findings of axe, without errors in
// the browser's console; by keyboard; and what the pages must say truly. SCREENSHOTS=DIR keeps pictures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { ended, fill, mapRunOf, signedIn } from "./fixture.mjs";
import { browser as chromium, lacking, serve } from "./server.mjs";

const PATIENCE = Number(process.env.PATIENCE ?? 600_000);
const pictures = process.env.SCREENSHOTS;
if (pictures) mkdirSync(pictures, { recursive: true });
let server, made, api, browser;

const skip = lacking ? { skip: lacking } : {};
if (lacking) console.log(`skipped: ${lacking}`);

before(async () => {
  if (lacking) return;
  const { chromium: launcher } = await import("playwright-core");
  server = await serve();
  api = await signedIn(server.endpoint, server.token);
  made = await fill(api);
  for (const name of ["orders", "caught", "retried", "many-files"]) await ended(api, made[name].execution);
  made.mapRun = await mapRunOf(api, made["many-files"].execution);
  browser = await launcher.launch({ executablePath: chromium, args: ["--no-sandbox"] });
});
after(async () => { await browser?.close(); await server?.stop(); });

const axe = lacking ? "" : readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const address = (page, rest = "", query = "") => `#/${page}${rest ? `/${encodeURIComponent(rest)}` : ""}${query}`;

/** A signed-in page; what its console says that is wrong is kept. */
async function open(scheme = "light", width = 1440) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 }, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE * 0.7);
  const wrong = [];
  page.on("console", (m) => { if (m.type() === "error") wrong.push(`${m.text()} ${m.location().url}`); });
  page.on("pageerror", (e) => wrong.push(String(e)));
  await page.goto(`${server.endpoint}/console/#token=${server.token}`);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  return { page, context, wrong };
}

async function show(page, hash) {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await page.locator("main h1").first().waitFor();
  await page.waitForFunction(() => !document.querySelector(".skeleton") && document.querySelector("main h1"));
}

const PAGES = () => {
  const bucket = "console-lake";
  return [
    ["overview", "#/"], ["machines", address("machines")], ["machine", address("machine", made.orders.machine)],
    ["machine-definition", address("machine", made.orders.machine, "?tab=Definition")], ["failed", address("machines", "", "?status=FAILED")],
    ["execution", address("execution", made.orders.execution, "?state=Price")], ["execution-caught", address("execution", made.caught.execution)],
    ["execution-timeline", address("execution", made.retried.execution, "?tab=Timeline&state=Load")], ["execution-states", address("execution", made.orders.execution, "?tab=States")],
    ["execution-events", address("execution", made.orders.execution, "?tab=Events")], ["execution-data", address("execution", made.orders.execution, "?tab=Data")], ["execution-costs", address("execution", made.orders.execution, "?tab=Costs")],
    ["machine-times", address("machine", made.orders.machine, "?tab=Times")], ["compare", address("compare", made.orders.execution)], ["lineage", address("lineage", "s3://console-lake/sales/")], ["lineage-empty", address("lineage")],
    ["lake-parquet", address("lake", `s3/${bucket}`, `?prefix=packed%2F&key=${encodeURIComponent(made.parquet)}`)], ["lake-table-versions", address("lake", "catalog/sales/daily", "?tab=Versions")], ["lake-table-lineage", address("lake", "catalog/sales/packed", "?tab=Lineage")],
    ["lake", address("lake")], ["lake-buckets", address("lake", "", "?tab=Buckets")], ["lake-bucket", address("lake", `s3/${bucket}`, "?prefix=sales%2Fday%3D2024-05-01%2F&key=sales%2Fday%3D2024-05-01%2Fsales.csv")],
    ["lake-table", address("lake", "catalog/sales/daily")], ["sql", address("sql")], ["functions", address("functions")], ["function-triggers", address("functions", "greet", "?tab=Triggers")], ["function-monitor", address("functions", "greet", "?tab=Monitor")], ["models", address("models")], ["model", address("models", "model/forecast")],
    ["triggers", address("jobs", "", "?tab=Triggers")], ["workflow", address("jobs", "workflow/nightly")], ["alarms", address("alarms")], ["audit", address("audit", "", "?name=CreateWorkflow")], ["alarm", address("alarms", "too many dead letters")], ["stack-drift", address("stacks", "mail", "?tab=Drift")], ["jobs", address("jobs")], ["job", address("jobs", "refine")], ["crawler", address("jobs", "crawler/sales")],
    ["tables", address("tables")], ["table", address("tables", "files")], ["table-query", address("tables", "files", "?key=file-3")], ["queues", address("queues")], ["queue", address("queues", "work")], ["topics", address("topics")], ["topic", address("topics", "arn:aws:sns:us-east-1:000000000000:alarms")], ["replays", address("things", "replays")],
    ["rules", address("rules")], ["schedule", address("rules", "schedule/default/every-hour")], ["rule", address("rules", "rule/default/nightly")], ["stacks", address("stacks")], ["stack", address("stacks", "mail")],
    ["roles", address("roles")], ["role", address("roles", "console")], ["secrets", address("secrets")], ["logs", address("logs")], ["metrics", address("metrics")], ["costs", address("costs")], ["nowhere", address("nowhere")],
  ];
};

for (const scheme of ["light", "dark"]) {
  for (const width of [1440, 390]) {
    test(`every page, ${scheme}, ${width} wide: no findings, no errors`, { ...skip, timeout: PATIENCE }, async () => {
      const { page, context, wrong } = await open(scheme, width);
      const findings = [];
      for (const [name, hash] of PAGES()) {
        await show(page, hash);
        if (name.startsWith("execution")) await page.waitForFunction(() => document.querySelector("[data-state]") || document.querySelector(".virtual-row") || document.querySelector("td"));
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
        findings.push(...violations.map((v) => `${name}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ""}`).join(" | ")}`));
        const [wide, title] = await page.evaluate(() => [document.documentElement.scrollWidth - innerWidth, document.title]);
        if (wide > 1) findings.push(`${name}: ${wide} px wider than the window`);
        if (!title.endsWith("· Lakerun")) findings.push(`${name}: its title is ${title}`);
        if (await page.locator(".failure").count() > 0 ) findings.push(`${name}: ${await page.locator(".failure").first().innerText()}`);
        if (pictures) await page.screenshot({ path: join(pictures, `${name}-${scheme}-${width}.png`) });
      }
      assert.deepEqual(findings, []);
      assert.deepEqual(wrong, []);
      await context.close();
    });
  }
}

test("a caught failure shows the branch that failed, the one that it aborted, and that it was caught", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("execution", made.caught.execution));
  const status = (name) => page.locator(`[data-state="${name}"]`).getAttribute("data-status");
  await page.locator('[data-state="Extract"][data-status="caught"]').waitFor();
  assert.deepEqual(await Promise.all(["Log in", "Read orders", "Read stock", "Check stock", "Publish", "Tell"].map(status)), ["succeeded", "failed", "aborted", "idle", "idle", "succeeded"]);
  await context.close();
});

test("states are reached by keyboard, and iterations are picked", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("execution", made.orders.execution));
  await page.locator('[data-state="Price"][data-status="succeeded"]').waitFor();
  const state = page.getByRole("button", { name: /^Price, Pass, succeeded/ });
  await state.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Price", level: 2 }).waitFor();
  await page.getByLabel("Iteration of Each order").selectOption("2");
  await page.locator(".value", { hasText: "Output" }).getByText("103").waitFor();
  const told = await page.locator("aside").innerText();
  assert.match(told, /Input[\s\S]*n 3[\s\S]*Output/);
  assert.match(page.url(), /pick=Each\+order%232/, "the pick is in the address");
  // States called start and end are states, not dots.
  assert.equal(await page.locator('[data-state="start"]').count(), 1);
  assert.equal(await page.locator("circle.dot.Start, circle.dot.End").count(), 2);
  await context.close();
});

test("a Distributed Map tells its counts and leads to its failed children", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("execution", made["many-files"].execution));
  await page.locator('[data-state="Each file"][data-note^="36/40"]').waitFor();
  await page.getByRole("button", { name: /^Each file/ }).first().click();
  await page.getByRole("link", { name: "counts and children" }).click();
  await page.getByRole("heading", { name: /Map Run/, level: 1 }).waitFor();
  await page.locator("tbody tr").nth(3).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 4);
  await context.close();
});

test("an open page with nothing changing asks nothing", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  for (const hash of ["#/", address("execution", made.waits.execution), address("machine", made.orders.machine)]) {
    await show(page, hash);
    await page.waitForTimeout(3000);
    let asked = 0;
    const count = () => { asked += 1; };
    page.on("request", count);
    await page.waitForTimeout(5000);
    page.off("request", count);
    assert.equal(asked, 0, hash);
  }
  await context.close();
});

test("lineage tells which state wrote an object, and what came of a file", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  // The state Store of orders wrote it, as its last execution; the object's page says so.
  await show(page, address("lake", "s3/console-lake", "?prefix=orders%2F&key=orders%2Fresult.json"));
  const by = page.locator("dd", { hasText: "for execution" });
  await by.getByRole("link", { name: "Store" }).waitFor();
  // From the CSV by the query to Parquet, as a graph.
  await show(page, address("lineage", "s3://console-lake/sales/day=2024-05-01/sales.csv"));
  await page.locator('[data-kind="work"]').first().waitFor();
  const nodes = await page.locator("[data-node]").evaluateAll((all) => all.map((n) => n.getAttribute("data-node")));
  assert.ok(nodes.includes("s3://console-lake/packed/"), nodes.join());
  assert.ok(nodes.includes(`athena:query:${made.packed}`), nodes.join());
  // What nobody noted is said.
  await show(page, address("lineage", "s3://console-lake/nowhere.csv"));
  await page.getByText("Nothing is recorded of s3://console-lake/nowhere.csv").waitFor();
  await show(page, address("lineage", "sales"));
  await page.getByText("“sales” is no address").waitFor();
  await context.close();
});

test("the audit shows who called what, and the metrics of a queue lead to their plots", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("audit", "", "?name=CreateWorkflow"));
  await page.getByText("Recorded by everything.").waitFor();
  await page.getByRole("row", { name: /glue CreateWorkflow.*ok/i }).waitFor();
  await page.getByRole("button", { name: "CreateWorkflow" }).click();
  await page.getByRole("dialog", { name: "CreateWorkflow of glue.amazonaws.com" }).getByText("What runs at night").waitFor();
  await page.keyboard.press("Escape");
  await page.getByLabel("Denied only").check();
  await page.getByText("No call of this time is like that.").waitFor();
  await show(page, address("queues", "work"));
  await page.getByText("sent, last day").waitFor();
  await page.locator(".figure", { hasText: "sent, last day" }).getByRole("link", { name: "Plot" }).click();
  await page.getByRole("heading", { name: "Metrics" }).waitFor();
  await context.close();
});

test("drift is looked for, and an alarm says its condition and its history", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("stacks", "mail", "?tab=Drift"));
  await page.getByRole("button", { name: "Look now" }).click();
  await page.getByRole("row", { name: /Queue.*in sync/ }).waitFor();
  await show(page, address("alarms", "too many dead letters"));
  await page.getByText("Maximum of AWS/SQS ApproximateNumberOfMessagesVisible > 10 in 3 of 3 periods of 300 s").waitFor();
  await page.getByRole("region", { name: "History" }).getByText("StateUpdate").first().waitFor();
  await page.getByRole("button", { name: "Disable its actions" }).click();
  await page.getByRole("button", { name: "Enable its actions" }).waitFor();
  await context.close();
});

test("a model leads to its data, a function to what calls it, a trigger to its job", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("models"));
  await page.getByRole("link", { name: "forecast" }).click();
  await page.getByRole("link", { name: "s3://console-lake/models/forecast.tar.gz" }).waitFor();
  const { Configuration } = await api.call("lambda", "GetFunction", { FunctionName: "greet" });
  await api.call("sns", "Subscribe", { TopicArn: "arn:aws:sns:us-east-1:000000000000:alarms", Protocol: "lambda", Endpoint: Configuration.FunctionArn });
  await api.call("events", "PutTargets", { Rule: "nightly", Targets: [{ Id: "greet", Arn: Configuration.FunctionArn }] });
  await show(page, address("functions", "greet", "?tab=Triggers"));
  await page.getByRole("link", { name: "arn:aws:sqs:us-east-1:000000000000:work" }).waitFor();
  const callers = page.getByRole("region", { name: "Callers" });
  await callers.getByRole("row", { name: /rule nightly/ }).waitFor();
  await callers.getByRole("row", { name: /topic alarms/ }).waitFor();
  await show(page, address("jobs", "", "?tab=Triggers"));
  await page.getByRole("row", { name: /at-two.*cron\(0 2/ }).getByRole("link", { name: "refine" }).waitFor();
  await context.close();
});

test("Parquet shows its rows, its schema and its row groups", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("lake", "s3/console-lake", `?prefix=packed%2F&key=${encodeURIComponent(made.parquet)}`));
  await page.getByRole("cell", { name: "city c" }).waitFor();
  await page.getByRole("tab", { name: "Schema" }).click();
  await page.getByRole("cell", { name: "amount" }).waitFor();
  await page.getByRole("tab", { name: "Row groups" }).click();
  const row = page.getByRole("row", { name: /amount/ });
  await row.waitFor();
  assert.match(await row.innerText(), /67\.5/, "the greatest amount");
  await context.close();
});

test("a plan shows rows and time of each operator", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("sql", "", `?statement=${encodeURIComponent("SELECT count(*) AS n FROM sales.daily WHERE amount > 30")}`));
  await page.getByRole("button", { name: "Explain and run" }).click();
  await page.getByRole("region", { name: "Plan" }).waitFor();
  const rows = await page.getByRole("region", { name: "Plan" }).locator("tbody tr").evaluateAll((all) => all.map((r) => [...r.cells].map((c) => c.innerText)));
  assert.ok(rows.some(([name, out]) => name.startsWith("AggregateExec") && out === "1"), JSON.stringify(rows));
  // Tabs are kept: a second one, and the first as it was.
  await page.getByRole("button", { name: "New tab" }).click();
  await page.keyboard.press("Control+a");
  await page.getByRole("button", { name: /^SELECT count/ }).click();
  await page.reload();
  await page.getByRole("button", { name: /^SELECT count/ }).waitFor();
  await context.close();
});

test("a definition is checked while it is typed", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("machine", made.waits.machine, "?tab=Definition"));
  const editor = page.getByRole("textbox", { name: "Definition" });
  await editor.click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText('{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Nowhere"}}}');
  await page.getByText("MISSING_TRANSITION_TARGET").first().waitFor();
  assert.equal(await page.getByRole("button", { name: "Save" }).isDisabled(), true);
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText('{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}}');
  await page.locator('[data-state="B"]').waitFor();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText("{");
  await page.getByText("This is not JSON yet.").waitFor();
  await context.close();
});

test("costs are AWS's list prices of what ran", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("execution", made.retried.execution, "?tab=Costs"));
  // One state, and two retries.
  await page.getByRole("cell", { name: "3 transitions" }).waitFor();
  await page.getByRole("cell", { name: "$0.000075" }).waitFor();
  await context.close();
});

test("the last days are priced by what was used, and the machine says how full it is", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("costs"));
  const rows = page.getByRole("region", { name: "Costs by resource" });
  // One state, and two retries: as its own page says.
  assert.match(await rows.getByRole("row", { name: /retried/ }).innerText(), /Step Functions\s+retried\s+3 transitions\s+\$0\.000075/);
  // Queries that scan less than 10 MB each are billed as 10 MB each.
  const [, billed, price] = /primary\s+([\d,]+) bytes\s+\$([\d.]+)/.exec(await rows.getByRole("row", { name: /Athena/ }).innerText());
  const bytes = Number(billed.replaceAll(",", ""));
  assert.ok(bytes >= 10e6 && bytes % 10e6 === 0 && Math.abs(Number(price) - (bytes / 1e12) * 5) < 1e-6, `${billed} ${price}`);
  await show(page, "#/");
  await page.getByRole("heading", { name: "Costs, last 7 days" }).waitFor();
  const capacity = page.getByRole("group", { name: /^Capacity of / });
  for (const name of ["Memory", "Disk", "Workers"]) await capacity.getByRole("meter", { name, exact: true }).waitFor();
  await page.getByRole("link", { name: "Dead letters in work-dead" }).click();
  await page.getByRole("heading", { name: "work-dead" }).waitFor();
  await context.close();
});

test("crawls, transforms and requests of on-demand tables have their price, and a crawl tells who asked for it", { ...skip, timeout: PATIENCE }, async () => {
  await api.call("iam", "CreateRole", { RoleName: "crawls", AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: "glue.amazonaws.com" }, Action: "sts:AssumeRole" }] }) });
  await api.call("iam", "PutRolePolicy", { RoleName: "crawls", PolicyName: "all", PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] }) });
  await api.call("glue", "CreateCrawler", { Name: "priced", Role: "crawls", DatabaseName: "sales", TablePrefix: "priced_", Targets: { S3Targets: [{ Path: "s3://console-lake/sales/" }] } });
  await api.call("glue", "StartCrawler", { Name: "priced" });
  // It fails, for its model's data are not there; its instances are paid for.
  const job = { TransformJobName: "priced", ModelName: "forecast", TransformInput: { DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri: "s3://console-lake/sales/" } } }, TransformOutput: { S3OutputPath: "s3://console-lake/forecast/" }, TransformResources: { InstanceType: "ml.m5.xlarge", InstanceCount: 2 } };
  await api.call("sagemaker", "CreateTransformJob", job);
  let done = {};
  while (!done.TransformEndTime) { await new Promise((go) => setTimeout(go, 200)); done = await api.call("sagemaker", "DescribeTransformJob", { TransformJobName: "priced" }); }
  const seconds = 2 * (done.TransformEndTime - done.TransformStartTime);
  const { page, context } = await open();
  await show(page, address("jobs", "crawler/priced"));
  const crawls = page.getByRole("region", { name: "Crawls" });
  await crawls.getByRole("row", { name: /completed/ }).waitFor();
  await crawls.getByRole("row", { name: /completed/ }).getByRole("button").click();
  await page.locator("dt", { hasText: "Asked for by" }).locator("+ dd").getByText("root").waitFor();
  await page.getByRole("region", { name: "Log" }).getByText(/Running Start Crawl for Crawler priced/).waitFor();
  // What was used is written every few seconds.
  await show(page, address("costs"));
  const rows = page.getByRole("region", { name: "Costs by resource" });
  for (let i = 0; (await rows.getByRole("row", { name: /Crawlers|Batch transforms/ }).count()) < 2 && i < 60; i++) {
    await page.waitForTimeout(500);
    await page.getByRole("button", { name: "Refresh" }).click();
  }
  // Ten minutes at the least, with two DPUs.
  assert.match(await rows.getByRole("row", { name: /Crawlers/ }).innerText(), /Crawlers\s+priced\s+1,200 DPU-seconds\s+\$0\.15/);
  const [, amount] = /Batch transforms, ml\.m5\.xlarge\s+forecast\s+([\d.]+) instance-seconds/.exec(await rows.getByRole("row", { name: /Batch transforms/ }).innerText());
  assert.ok(Math.abs(Number(amount) - seconds) < 0.01, `${amount} ${seconds}`);
  assert.match(await rows.getByRole("row", { name: /DynamoDB, writes/ }).innerText(), /files\s+30 write request units\s+\$0\.000019/);
  await context.close();
});

test("items are asked for by key, and two versions of a schema stand side by side", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("tables", "files"));
  await page.getByRole("textbox", { name: "name =" }).fill("file-3");
  await page.getByRole("button", { name: "Query" }).click();
  await page.getByRole("cell", { name: "3072" }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('[aria-label="Items"] tbody tr').length === 1);
  assert.match(page.url(), /key=file-3/, "the query is in the address");
  await show(page, address("lake", "catalog/sales/daily", "?tab=Versions"));
  const row = page.getByRole("region", { name: "Columns of both versions" }).getByRole("row", { name: /note/ });
  assert.match(await row.innerText(), /not there\s+string\s+added/);
  await context.close();
});

test("a schedule tells its next ten times", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  for (const rest of ["schedule/default/every-hour", "rule/default/nightly"]) {
    await show(page, address("rules", rest));
    await page.locator("ol li").nth(9).waitFor();
    assert.equal(await page.locator("ol li").count(), 10);
  }
  await context.close();
});

test("a role is asked whether it may", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("roles", "console"));
  await page.getByRole("button", { name: "Simulate" }).click();
  await page.getByRole("cell", { name: "allowed", exact: true }).first().waitFor();
  await context.close();
});

test("a long history opens, and its rows are made as they come into sight", { ...skip, timeout: PATIENCE }, async (t) => {
  const letters = [..."ABCDEFGHIJK"];
  const passes = Object.fromEntries(letters.map((name, i) => [name, { Type: "Pass", ...(i < letters.length - 1 ? { Next: letters[i + 1] } : { End: true }) }]));
  const definition = { StartAt: "Numbers", States: {
    Numbers: { Type: "Pass", Parameters: { "items.$": "States.ArrayRange(1, 1000, 1)" }, Next: "Each" },
    Each: { Type: "Map", ItemsPath: "$.items", ResultPath: null, End: true, ItemProcessor: { ProcessorConfig: { Mode: "INLINE" }, StartAt: "A", States: passes } } } };
  const machine = await api.call("states", "CreateStateMachine", { name: "long", definition: JSON.stringify(definition), roleArn: "arn:aws:iam::000000000000:role/console" });
  const { executionArn } = await api.call("states", "StartExecution", { stateMachineArn: machine.stateMachineArn });
  assert.equal((await ended(api, executionArn)).status, "SUCCEEDED");
  const { page, context } = await open();
  let asked = 0;
  page.on("request", (request) => { if (request.url().endsWith("/states/GetExecutionHistory")) asked += 1; });
  const began = performance.now();
  await show(page, address("execution", executionArn, "?tab=Events"));
  await page.getByText("24,008 of 24,008").waitFor();
  assert.equal(asked, 25, "a thousand events at once, each once");
  t.diagnostic(`24,008 events in ${Math.round(performance.now() - began)} ms`);
  assert.ok(await page.locator(".virtual-row").count() < 100);
  await context.close();
});

test("the first page is small, and what edits and draws comes with the pages that do", { ...skip, timeout: PATIENCE }, async (t) => {
  for (const [name, hash, most] of [["overview", "#/", 60], ["execution", address("execution", made.orders.execution), 110], ["sql", address("sql"), 260]]) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${server.endpoint}/console/#token=${server.token}&to=${encodeURIComponent(hash.slice(1))}`);
    await page.waitForFunction(() => document.querySelector("main h1") && !document.querySelector(".skeleton"));
    const bytes = await page.evaluate(() => performance.getEntriesByType("resource").filter((e) => /\.(js|css)$/.test(e.name)).reduce((n, e) => n + e.encodedBodySize, 0));
    t.diagnostic(`${name}: ${Math.round(bytes / 1000)} kB`);
    assert.ok(bytes > 10_000 && bytes < most * 1000, `${name}: ${bytes} bytes`);
    await context.close();
  }
});

/** The pages of the navigation, and those of one thing that are looked at most. */
const MAIN = () => PAGES().filter(([name]) => ["overview", "machines", "machine", "execution", "execution-data", "lake", "lake-bucket", "lake-table", "lineage", "functions", "function-monitor", "models", "jobs", "job", "crawler", "alarms", "tables", "table",
  "queues", "queue", "topics", "topic", "rules", "schedule", "stacks", "stack", "roles", "role", "secrets", "logs", "metrics", "costs"].includes(name));

/** Waits until a page has asked nothing for a while. */
async function settled(page, quiet = 800) {
  let last = Date.now();
  const note = () => { last = Date.now(); };
  page.on("request", note);
  page.on("requestfinished", note);
  while (Date.now() - last < quiet) await new Promise((done) => setTimeout(done, 50));
  page.off("request", note);
  page.off("requestfinished", note);
}

/** Bytes of code and styles that a page has fetched, as they came over the wire. */
const fetched = (page) => page.evaluate(() => performance.getEntriesByType("resource").filter((e) => /\.(js|css)$/.test(e.name)).reduce((n, e) => n + e.encodedBodySize, 0));

test("no page but the editors fetches more than 150 kB", { ...skip, timeout: PATIENCE }, async (t) => {
  const sizes = [];
  for (const [name, hash] of MAIN()) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${server.endpoint}/console/#token=${server.token}&to=${encodeURIComponent(hash.slice(1))}`);
    await page.waitForFunction(() => document.querySelector("main h1") && !document.querySelector(".skeleton"));
    const bytes = await fetched(page);
    sizes.push([bytes, name]);
    assert.ok(bytes > 10_000 && bytes <= 150_000, `${name}: ${bytes} bytes`);
    await context.close();
  }
  const [most, name] = sizes.sort(([a], [b]) => b - a)[0];
  t.diagnostic(`the largest: ${name}, ${Math.round(most / 1000)} kB`);
});

test("something is painted before any code has come", { ...skip, timeout: PATIENCE }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.route("**/*.js", () => {});
  await page.goto(`${server.endpoint}/console/`, { waitUntil: "commit" });
  await page.getByText("Lakerun…").waitFor();
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length === 1);
  await context.close();
});

test("an hour of an idle page passes without a request, whatever page it is", { ...skip, timeout: PATIENCE }, async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  // The clock of the page is the test's: what a timer would ask within an hour is asked at once. And nobody writes anything.
  await page.clock.install();
  await page.route("**/console/api/changes*", (route) => route.fulfill({ status: 204 }));
  await page.goto(`${server.endpoint}/console/#token=${server.token}`);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  const asked = [];
  for (const [name, hash] of MAIN()) {
    await show(page, hash);
    await settled(page);
    const mine = [];
    const note = (request) => { if (!/\/changes\?/.test(request.url())) mine.push(request.url().split("/console/").pop()); };
    page.on("request", note);
    await page.clock.fastForward("01:00:00");
    await page.waitForTimeout(300);
    page.off("request", note);
    if (mine.length > 0) asked.push(`${name}: ${mine.join(", ")}`);
  }
  assert.deepEqual(asked, []);
  await context.close();
});

/** Every element that a keyboard must reach on a page, by a number that is set on it. */
const wanted = (page) => page.evaluate(() => {
  let n = 0;
  const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0 && !e.closest("dialog:not([open])");
  for (const e of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")) if (shown(e)) e.dataset.reach = String(n++);
  return n;
});

test("everything on a page is reached by Tab, and shows that it is", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  // What is written meanwhile changes no page while it is walked through.
  await page.route("**/console/api/changes*", (route) => route.fulfill({ status: 204 }));
  const missed = [];
  for (const [name, hash] of MAIN()) {
    await show(page, hash);
    await settled(page);
    const count = await wanted(page);
    await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
    const reached = new Set();
    const unseen = new Set();
    for (let i = 0; i < count + 5; i++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const e = document.activeElement;
        // In a drawing the box's line is the ring.
        const box = e?.querySelector?.(":scope > rect");
        const seen = e && (getComputedStyle(e).outlineStyle !== "none" || (box && parseFloat(getComputedStyle(box).strokeWidth) >= 3));
        return e && e !== document.body ? { reach: e.dataset?.reach, seen: Boolean(seen), what: `${e.tagName} ${e.textContent?.slice(0, 30)}` } : {};
      });
      if (at.reach !== undefined) reached.add(at.reach);
      if (at.seen === false) unseen.add(at.what);
    }
    if (reached.size < count) missed.push(`${name}: ${reached.size} of ${count}`);
    if (unseen.size > 0) missed.push(`${name}: no ring on ${[...unseen].slice(0, 3).join(" | ")}`);
  }
  assert.deepEqual(missed, []);
  await context.close();
});

test("of 10,000 executions the first are shown with as many requests as of a dozen, and all are read in ten", { ...skip, timeout: PATIENCE }, async (t) => {
  const stateMachineArn = await machineOf("crowd", { StartAt: "A", States: { A: { Type: "Succeed" } } });
  const runs = Array.from({ length: 10_000 }, (_, n) => ({ executionArn: `${stateMachineArn.replace(":stateMachine:", ":execution:")}:run-${n}`, stateMachineArn, name: `run-${n}`, status: n % 50 ? "SUCCEEDED" : "FAILED", startDate: 1_700_000_000 - n, stopDate: 1_700_000_001 - n }));
  const asked = async (hash, before) => {
    const { page, context } = await open();
    await before?.(page);
    await settled(page);
    const calls = [];
    page.on("request", (request) => { const [, operation] = /\/console\/api\/([^?]*)/.exec(request.url()) ?? []; if (operation && operation !== "changes") calls.push(operation); });
    await show(page, hash);
    await page.locator("tbody tr").first().waitFor();
    await settled(page);
    return { page, context, calls };
  };
  const few = await asked(address("machine", made.orders.machine));
  const many = await asked(address("machine", stateMachineArn), (page) => answering(page, "states/ListExecutions", (route) => {
    const { maxResults, nextToken = "0" } = JSON.parse(route.request().postData());
    const from = Number(nextToken);
    const to = from + maxResults;
    void route.fulfill({ contentType: "application/json", body: JSON.stringify({ executions: runs.slice(from, to), ...(to < runs.length ? { nextToken: String(to) } : {}) }) });
  }));
  assert.deepEqual(many.calls, few.calls);
  assert.ok(await many.page.locator("tbody tr").count() <= 100, "rows are made as they are asked for");
  const before = many.calls.length;
  // The last one, by its name: read on until it is found.
  await many.page.getByRole("searchbox", { name: "Name" }).fill("run-9999");
  const began = performance.now();
  await many.page.getByRole("button", { name: "Look through older ones" }).click();
  await many.page.getByRole("link", { name: "run-9999" }).waitFor();
  t.diagnostic(`all of 10,000 in ${Math.round(performance.now() - began)} ms`);
  assert.equal(many.calls.length - before, 10);
  await many.page.getByRole("searchbox", { name: "Name" }).fill("");
  await many.page.getByText("10,000 executions").waitFor();
  assert.ok(await many.page.locator("tbody tr").count() <= 100);
  await few.context.close();
  await many.context.close();
});

test("what the pages count is what the services say", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  const figure = (words) => page.locator(".figure", { hasText: words }).first().locator("b").innerText().then((text) => Number(text.replaceAll(",", "")));
  const rows = (label) => page.getByRole("region", { name: label, exact: true }).locator("tbody tr").count();
  const QueueUrl = (await api.call("sqs", "GetQueueUrl", { QueueName: "work-dead" })).QueueUrl;
  // Who sends to a queue, and who reads it.
  await show(page, address("queues", "work"));
  const of = (term) => page.locator("dt", { hasText: term }).locator("+ dd");
  await of("Topics that send to it").getByRole("link", { name: "alarms" }).waitFor();
  await of("Functions that read it").getByRole("link", { name: "greet" }).waitFor();
  await of("Pipes").getByRole("link", { name: "to-topic" }).waitFor();
  const { Attributes } = await api.call("sqs", "GetQueueAttributes", { QueueUrl, AttributeNames: ["All"] });
  await show(page, address("queues", "work-dead"));
  assert.equal(await figure("Waiting"), Number(Attributes.ApproximateNumberOfMessages));
  await show(page, address("queues"));
  assert.equal(await rows("Queues"), (await api.call("sqs", "ListQueues", {})).QueueUrls.length);
  await show(page, address("tables", "files"));
  const { Table: table } = await api.call("dynamodb", "DescribeTable", { TableName: "files" });
  await page.getByText(`${table.ItemCount} items`).waitFor();
  await show(page, address("lake"));
  const { DatabaseList: databases } = await api.call("glue", "GetDatabases", {});
  const { TableList: tables } = await api.call("glue", "SearchTables", {});
  await page.getByText(`${databases.length} database${databases.length === 1 ? "" : "s"}, ${tables.length} table`).waitFor();
  await show(page, address("machine", made.retried.machine));
  const { executions } = await api.call("states", "ListExecutions", { stateMachineArn: made.retried.machine });
  await page.getByText(`${executions.length} execution`).first().waitFor();
  await show(page, address("stacks", "mail"));
  assert.equal(await rows("Resources"), (await api.call("cloudformation", "ListStackResources", { StackName: "mail" })).StackResourceSummaries.length);
  const topic = "arn:aws:sns:us-east-1:000000000000:alarms";
  await show(page, address("topics", topic));
  assert.equal(await rows("Subscriptions"), (await api.call("sns", "ListSubscriptionsByTopic", { TopicArn: topic })).Subscriptions.length);
  // Each kind's total is the sum of what used it, and a day's costs are those of its kinds.
  await show(page, address("costs"));
  const cells = await page.getByRole("region", { name: "Costs by day" }).locator("tbody tr").first().locator("td").allInnerTexts();
  const amounts = cells.slice(1, -1).map((text) => Number(text.replace("$", "") || 0));
  const [whole, parts] = [amounts.pop(), amounts.reduce((n, part) => n + part, 0)];
  assert.ok(Math.abs(whole - parts) <= 0.06 * whole, `${cells}: shown to two digits`);
  await context.close();
});

test("children and jobs lead to who asked for them, and back", { ...skip, timeout: PATIENCE }, async () => {
  const child = await machineOf("child", { StartAt: "A", States: { A: { Type: "Succeed" } } });
  const start = { Type: "Task", Resource: "arn:aws:states:::states:startExecution.sync:2", Parameters: { StateMachineArn: child, Name: "the-child", Input: {} }, Next: "Ask" };
  const ask = { Type: "Task", Resource: "arn:aws:states:::athena:startQueryExecution.sync", Parameters: { QueryString: "SELECT count(*) FROM sales.daily", ResultConfiguration: { OutputLocation: "s3://console-lake/results/" } }, End: true };
  const parent = await machineOf("parent", { StartAt: "Start", States: { Start: start, Ask: ask } });
  const { executionArn } = await api.call("states", "StartExecution", { stateMachineArn: parent, name: "the-parent", input: "{}" });
  assert.equal((await ended(api, executionArn)).status, "SUCCEEDED");
  const { page, context } = await open();
  await show(page, address("execution", executionArn));
  const details = page.getByRole("complementary", { name: "Details" });
  await details.getByRole("link", { name: "the-child" }).click();
  await page.getByRole("heading", { name: /the-child/, level: 1 }).waitFor();
  // Up again: the state that started it, and its execution.
  const asked = page.locator("dd", { hasText: "the-parent" });
  await asked.getByRole("link", { name: "Start", exact: true }).waitFor();
  await asked.getByRole("link", { name: "the-parent" }).click();
  await page.getByRole("heading", { name: /the-parent/, level: 1 }).waitFor();
  await details.locator("dd div", { hasText: "query" }).getByRole("link").click();
  await page.getByRole("heading", { name: "SQL", level: 1 }).waitFor();
  await page.locator("dd", { hasText: "the-parent" }).getByRole("link", { name: "Ask" }).waitFor();
  await context.close();
});

test("each message's way to each subscription is told, mails among them", { ...skip, timeout: PATIENCE }, async () => {
  const { TopicArn } = await api.call("sns", "CreateTopic", { Name: "told" });
  await api.call("sns", "Subscribe", { TopicArn, Protocol: "sqs", Endpoint: "arn:aws:sqs:us-east-1:000000000000:work" });
  await api.call("sns", "Subscribe", { TopicArn, Protocol: "email", Endpoint: "reader@example.com" });
  const { page, context } = await open();
  await show(page, address("topics", TopicArn));
  await page.getByText("Nothing was delivered yet.").waitFor();
  await page.getByRole("textbox", { name: "Message" }).fill("hello");
  await page.getByRole("button", { name: "Publish" }).click();
  const rows = page.getByRole("region", { name: "Deliveries" });
  await rows.getByRole("row", { name: /delivered.*sqs work/ }).waitFor();
  // No mail server is set: it is tried again, and says why.
  await rows.getByRole("row", { name: /retrying.*email reader@example\.com.*no mail server is configured/ }).waitFor();
  await context.close();
});

test("a run that starts elsewhere shows by itself", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("machine", made.orders.machine));
  await page.locator("tbody tr").first().waitFor();
  await api.call("states", "StartExecution", { stateMachineArn: made.orders.machine, name: "from-elsewhere" });
  await page.getByRole("link", { name: "from-elsewhere" }).waitFor();
  await context.close();
});

test("SQL runs, shows its rows, and says what is wrong", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("sql", "", `?statement=${encodeURIComponent("SELECT city, amount FROM sales.daily ORDER BY id LIMIT 3")}`));
  await page.getByRole("button", { name: /^Run/ }).click();
  await page.getByRole("cell", { name: "city c" }).waitFor();
  await show(page, address("sql", "", `?statement=${encodeURIComponent("SELECT nosuch FROM sales.daily")}`));
  await page.reload();
  await page.getByRole("button", { name: /^Run/ }).click();
  await page.getByText(/COLUMN_NOT_FOUND/).first().waitFor();
  await context.close();
});

/** Answers one operation of the console's door otherwise than the server. */
const answering = (page, operation, answer) => page.route(`**/console/api/${operation}`, answer);
const role = "arn:aws:iam::000000000000:role/console";
const machineOf = async (name, definition, type = "STANDARD") => (await api.call("states", "CreateStateMachine", { name, definition: JSON.stringify(definition), roleArn: role, type })).stateMachineArn;

test("a name is found among older executions too", { ...skip, timeout: PATIENCE }, async () => {
  const stateMachineArn = await machineOf("many-runs", { StartAt: "A", States: { A: { Type: "Succeed" } } });
  await api.call("states", "StartExecution", { stateMachineArn, name: "needle" });
  await Promise.all(Array.from({ length: 105 }, () => api.call("states", "StartExecution", { stateMachineArn })));
  const { page, context } = await open();
  await show(page, address("machine", stateMachineArn, "?name=needle"));
  await page.getByText("There are older ones.").waitFor();
  await page.getByRole("button", { name: "Look through older ones" }).click();
  await page.getByRole("link", { name: "needle" }).waitFor();
  // All are read by now.
  await show(page, address("machine", stateMachineArn, "?name=haystack"));
  await page.getByText("No execution with “haystack” in its name was found.").waitFor();
  await context.close();
});

test("a result is sorted whole, though a part of it was shown", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("sql", "", `?statement=${encodeURIComponent("SELECT n, CAST(n AS varchar) AS word FROM UNNEST(sequence(1, 2600)) AS t(n) ORDER BY n")}`));
  await page.getByRole("button", { name: /^Run/ }).click();
  const table = page.getByRole("table", { name: "Result" });
  await table.getByRole("cell", { name: "1", exact: true }).first().waitFor();
  await page.getByText("499 rows so far").waitFor();
  await table.getByRole("button", { name: "n", exact: true }).click();
  await table.getByRole("cell", { name: "2600" }).first().waitFor();
  await page.getByText("2,600 rows").waitFor();
  assert.ok(await table.getByRole("row").count() < 100, "rows are made as they come into sight");
  await context.close();
});

test("the overview counts all that runs, and says what it has not looked at", { ...skip, timeout: PATIENCE }, async () => {
  const stateMachineArn = await machineOf("many-waits", { StartAt: "W", States: { W: { Type: "Wait", Seconds: 3600, End: true } } });
  await Promise.all(Array.from({ length: 55 }, () => api.call("states", "StartExecution", { stateMachineArn })));
  const { executions } = await api.call("states", "ListExecutions", { stateMachineArn: made.waits.machine, statusFilter: "RUNNING" });
  const { page, context } = await open();
  const figure = (name) => page.locator(".figure", { hasText: name }).locator("b");
  await page.waitForFunction((least) => Number([...document.querySelectorAll(".figure")].find((f) => f.textContent.startsWith("Running"))?.querySelector("b").textContent) >= least, 55 + executions.length);
  assert.match(await figure("Succeeded, last day").innerText(), /^\d+\+$/, "of many-runs only the newest are counted, which the sign says");
  await context.close();
  // Before it has looked it does not say that nothing failed, and what it may not list it names.
  const { page: other, context: second } = await open();
  let go;
  const held = new Promise((done) => { go = done; });
  await answering(other, "glue/GetCrawlers", async (route) => { await held; await route.fulfill({ status: 400, contentType: "application/json", body: JSON.stringify({ __type: "AccessDeniedException", message: "no" }) }); });
  await answering(other, "states/ListExecutions", (route) => route.fulfill({ contentType: "application/json", body: JSON.stringify({ executions: [] }) }));
  await other.reload();
  await other.getByText("Looking…").waitFor();
  assert.equal(await other.getByText("failed within a day").count(), 0);
  go();
  await other.getByText("Not looked at: crawlers (AccessDeniedException).").waitFor();
  await second.close();
});

test("a list that is longer than what was read of it says so", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  const secrets = Array.from({ length: 100 }, (_, n) => ({ ARN: `arn:aws:secretsmanager:us-east-1:000000000000:secret:s${n}`, Name: `s${n}` }));
  await answering(page, "secretsmanager/ListSecrets", (route) => route.fulfill({ contentType: "application/json", body: JSON.stringify({ SecretList: secrets, NextToken: "more" }) }));
  await show(page, address("secrets"));
  await page.getByText("the first 1,000 of ListSecrets was read.").waitFor();
  await show(page, address("roles"));
  assert.equal(await page.locator(".cut").count(), 0);
  await context.close();
});

test("an Express machine is started and waited for", { ...skip, timeout: PATIENCE }, async () => {
  const arn = await machineOf("swift", { StartAt: "A", States: { A: { Type: "Pass", Result: { swift: "indeed" }, End: true } } }, "EXPRESS");
  const { page, context } = await open();
  await show(page, address("machine", arn));
  await page.getByRole("button", { name: "Start…" }).click();
  await page.getByRole("button", { name: "Start and wait" }).click();
  await page.getByRole("dialog").getByText("indeed").waitFor();
  await context.close();
});

test("times say their zone", { ...skip, timeout: PATIENCE }, async () => {
  const context = await browser.newContext({ timezoneId: "Asia/Tokyo" });
  const page = await context.newPage();
  await page.goto(`${server.endpoint}/console/#token=${server.token}&to=${encodeURIComponent("/logs?group=/aws/vendedlogs/orders&span=86400")}`);
  await page.getByRole("columnheader", { name: "Time (Asia/Tokyo)" }).waitFor();
  const { events } = await api.call("logs", "FilterLogEvents", { logGroupName: "/aws/vendedlogs/orders" });
  const local = new Date(events[0].timestamp + 9 * 3_600_000).toISOString().slice(0, 23).replace("T", " ");
  await page.getByText(local).waitFor();
  await context.close();
});

test("a plan is shown without running the statement, unless that is asked", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("sql", "", `?statement=${encodeURIComponent("SELECT count(*) AS cities FROM sales.daily")}`));
  await page.getByRole("button", { name: "Explain", exact: true }).click();
  await page.getByRole("region", { name: "Plan" }).waitFor();
  const { QueryExecutionIds: [id] } = await api.call("athena", "ListQueryExecutions", { MaxResults: 1 });
  const { QueryExecution } = await api.call("athena", "GetQueryExecution", { QueryExecutionId: id });
  assert.equal(QueryExecution.Query, "EXPLAIN SELECT count(*) AS cities FROM sales.daily");
  assert.equal(QueryExecution.Statistics.DataScannedInBytes ?? 0, 0);
  await context.close();
});

test("a state's log is that of its own invocation", { ...skip, timeout: PATIENCE }, async () => {
  // Three iterations at once, and an invocation of somebody else.
  const code = "import time\ndef handler(event, context):\n    print('I am', event['who'])\n    time.sleep(1)\n    if event['who'] == 'three':\n        raise ValueError('three fails')\n    return event\n";
  await api.call("lambda", "CreateFunction", { FunctionName: "who", Runtime: "python3.11", Handler: "app.handler", Role: role, Timeout: 30, Code: { ZipFile: Buffer.from(zipSync({ "app.py": strToU8(code) })).toString("base64") } });
  const call = { Type: "Task", Resource: "arn:aws:states:::lambda:invoke", Parameters: { FunctionName: "who", "Payload.$": "$" }, Catch: [{ ErrorEquals: ["States.ALL"], Next: "Caught" }], End: true };
  const arn = await machineOf("who", { StartAt: "Each", States: { Each: { Type: "Map", ItemsPath: "$.all", End: true, ItemProcessor: { StartAt: "Call", States: { Call: call, Caught: { Type: "Pass", End: true } } } } } });
  const stranger = api.call("lambda", "Invoke", { FunctionName: "who", Payload: Buffer.from('{"who":"stranger"}').toString("base64") });
  const { executionArn } = await api.call("states", "StartExecution", { stateMachineArn: arn, input: JSON.stringify({ all: ["one", "two", "three"].map((who) => ({ who })) }) });
  assert.equal((await ended(api, executionArn)).status, "SUCCEEDED");
  await stranger;
  const { page, context } = await open();
  for (const [n, who] of [[1, "two"], [2, "three"]]) {
    await show(page, address("execution", executionArn, `?state=Call&pick=${encodeURIComponent(`Each#${n}`)}`));
    const log = page.getByRole("region", { name: "Log" });
    await log.getByText(`I am ${who}`).first().waitFor();
    const told = (await log.allInnerTexts()).join();
    assert.deepEqual(told.match(/I am \w+/g), [`I am ${who}`]);
  }
  await context.close();
});

test("a state is tried with another input and another answer", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("execution", made.orders.execution, "?state=Price&pick=Each+order%230"));
  await page.locator("summary", { hasText: "Try this state" }).click();
  const input = page.getByRole("textbox", { name: "Input of the trial" });
  await input.click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText('{"n": 41}');
  await page.getByRole("button", { name: "Try it" }).click();
  const trial = page.getByRole("group", { name: "What came of the trial" });
  await trial.getByText("141").first().waitFor();
  assert.match(await trial.innerText(), /Next state\s+Odd\?/);
  await context.close();
});

test("a state machine has its figures of the last day, each with its plot", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("machine", made.orders.machine, "?tab=Metrics"));
  const figure = (words) => page.locator(".figure", { hasText: words });
  await figure("started, last day").waitFor();
  assert.ok(Number(await figure("started, last day").locator("b").innerText()) >= 12);
  assert.ok(Number((await figure("p95 of the slowest hour").locator("b").innerText()).replaceAll(",", "")) >= 1000, "one state waits a second");
  await figure("succeeded, last day").getByRole("link", { name: "Plot" }).click();
  await page.getByRole("heading", { name: "Metrics" }).waitFor();
  assert.equal(new URLSearchParams(page.url().split("?")[1]).get("of"), made.orders.machine);
  await page.getByRole("img", { name: "Plot of ExecutionsSucceeded" }).waitFor();
  await context.close();
});

test("executions of an Express machine are read from its log", { ...skip, timeout: PATIENCE }, async () => {
  const group = "/aws/vendedlogs/states/logged";
  await api.call("logs", "CreateLogGroup", { logGroupName: group });
  const definition = { StartAt: "A", States: { A: { Type: "Pass", Result: { a: 1 }, Next: "B" }, B: { Type: "Fail", Error: "Not.Good", Cause: "it is not" } } };
  const { stateMachineArn } = await api.call("states", "CreateStateMachine", { name: "logged", definition: JSON.stringify(definition), roleArn: role, type: "EXPRESS",
    loggingConfiguration: { level: "ALL", includeExecutionData: true, destinations: [{ cloudWatchLogsLogGroup: { logGroupArn: `arn:aws:logs:us-east-1:000000000000:log-group:${group}:*` } }] } });
  await api.call("states", "StartSyncExecution", { stateMachineArn, name: "first", input: '{"x": 1}' });
  const { page, context } = await open();
  await show(page, address("machine", stateMachineArn));
  await page.getByRole("link", { name: "first", exact: true }).click();
  await page.locator('[data-state="B"][data-status="failed"]').waitFor();
  await page.getByText("Not.Good").first().waitFor();
  await page.getByRole("button", { name: /^A, Pass, succeeded/ }).click();
  await page.locator(".value", { hasText: "Input" }).getByText("x").first().waitFor();
  await context.close();
});

test("the console opens what an ARN names", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await show(page, address("arn", "arn:aws:lambda:us-east-1:000000000000:function:greet"));
  await page.getByRole("heading", { name: /greet/, level: 1 }).waitFor();
  await show(page, address("arn", "arn:aws:nothing:us-east-1:000000000000:thing"));
  await page.getByText("The console has no page for").waitFor();
  await context.close();
});

test("SQL asks in a workgroup, prepares statements, and hands over Parquet", { ...skip, timeout: PATIENCE }, async () => {
  await api.call("athena", "CreateWorkGroup", { Name: "team", Configuration: { ResultConfiguration: { OutputLocation: "s3://console-lake/team/" } } });
  await api.call("athena", "CreatePreparedStatement", { WorkGroup: "team", StatementName: "above", QueryStatement: "SELECT city FROM sales.daily WHERE amount > ?" });
  const { page, context } = await open();
  await show(page, address("sql", "", `?workgroup=team&statement=${encodeURIComponent("SELECT city, amount FROM sales.daily")}`));
  await page.getByRole("button", { name: /^Run/ }).click();
  await page.getByRole("cell", { name: "city c" }).waitFor();
  const { QueryExecutionIds: [id] } = await api.call("athena", "ListQueryExecutions", { WorkGroup: "team" });
  assert.ok(id, "it ran in the workgroup");
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download Parquet" }).click();
  const bytes = readFileSync(await (await coming).path());
  assert.equal(bytes.subarray(0, 4).toString(), "PAR1");
  // Nothing of it is left: each file is deleted when it was handed over.
  const left = async () => (await api.call("s3", "ListObjectsV2", { Bucket: "lakerun-query-results", Prefix: "unload/" })).KeyCount;
  while ((await left()) > 0) await page.waitForTimeout(100);
  await page.getByRole("button", { name: "above", exact: true }).click();
  await page.getByText("EXECUTE above USING ?").waitFor();
  await context.close();
});

test("kinds with a list alone have one, and what belongs to each", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  for (const [kind, name, told] of [["parameters", "/shop/limit", "41"], ["keys", made.key, "alias/shop"], ["buses", "default", "nightly"], ["workgroups", "primary", "None is prepared."], ["pipes", "to-topic", "arn:aws:sns:us-east-1:000000000000:alarms"]]) {
    await show(page, address("things", kind));
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { name: new RegExp(name.replaceAll("/", "\\/")), level: 1 }).waitFor();
    await page.getByText(told, { exact: true }).first().waitFor();
  }
  await context.close();
});

test("the palette finds by keyboard alone", { ...skip, timeout: PATIENCE }, async () => {
  const { page, context } = await open();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Find" }).waitFor();
  await page.keyboard.type("many state machine");
  await page.getByRole("option", { name: /many-files/ }).waitFor();
  await page.keyboard.type("zzz");
  await page.getByText("Nothing has “many state machinezzz” in its name.").waitFor();
  for (let i = 0; i < 3; i++) await page.keyboard.press("Backspace");
  await page.getByRole("option", { name: /many-files/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /many-files/, level: 1 }).waitFor();
  await context.close();
});

test("wrong tokens, unknown executions and empty filters are told truly", { ...skip, timeout: PATIENCE }, async () => {
  const stranger = await browser.newContext();
  const page = await stranger.newPage();
  await page.goto(`${server.endpoint}/console/#token=wrong`);
  await page.getByText("This link is of an earlier start of the server").waitFor();
  await stranger.close();
  const { page: own, context } = await open();
  await show(own, address("execution", "arn:aws:states:us-east-1:000000000000:execution:orders:nosuch"));
  await own.getByText("ExecutionDoesNotExist").waitFor();
  await show(own, address("machine", made.orders.machine, "?status=ABORTED"));
  await own.getByText("No execution is aborted.").waitFor();
  assert.equal(await own.title(), "orders – State machine · Lakerun");
  await context.close();
});

test("a session goes on after a restart", { ...skip, timeout: PATIENCE }, async () => {
  const other = await serve();
  const port = Number(new URL(other.endpoint).port);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${other.endpoint}/console/#token=${other.token}`);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await other.stop(true);
  const again = await serve(other.data, port);
  await page.reload();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await page.goto(`${again.endpoint}/console`);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await context.close();
  await again.stop();
});
