// A server of its own for the tests, with the bundle of this folder, and the browser to look at it with.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const console_ = join(dirname(fileURLToPath(import.meta.url)), "..");
const first = (paths) => paths.find((path) => path && existsSync(path));

export const binary = first([process.env.LAKERUN_BINARY, join(console_, "../target/debug/lakerun"), join(console_, "../target/release/lakerun")]);
export const browser = first([process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]);
/** Why nothing can be tested here, in words; nothing where it can. */
export const lacking = !binary ? "no lakerun binary is built (cargo build --bin lakerun)" : !browser ? "no Chromium is installed (apt-get install chromium)" : undefined;

/** Starts a server on a free port and a folder that goes with it. */
export async function serve(data = mkdtempSync(join(tmpdir(), "lakerun-console-")), port = 0) {
  // Variables of whoever runs the tests are not settings of this server.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LAKERUN_") || ["LAKERUN_CACHE", "LAKERUN_PYTHON"].includes(name)));
  const child = spawn(binary, ["up", "--listen", `127.0.0.1:${port}`, "--data", data], { env: { ...env, LAKERUN_CONSOLE_FILES: join(console_, "dist") }, cwd: data, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  await new Promise((done, failed) => {
    child.stderr.on("data", (text) => { said += text; if (said.includes("serving")) done(); });
    child.on("exit", () => failed(new Error(said)));
  });
  while (!existsSync(join(data, "server.json"))) await new Promise((done) => setTimeout(done, 20));
  const { endpoint, console_token: token } = JSON.parse(readFileSync(join(data, "server.json"), "utf8"));
  const stop = (keep = false) => new Promise((done) => {
    child.removeAllListeners("exit");
    child.on("exit", () => { if (!keep) rmSync(data, { recursive: true, force: true }); done(); });
    child.kill("SIGTERM");
  });
  return { endpoint, token, data, stop };
}
