// Runs the bundled tests in headless Chromium: serves them on the loopback, and waits for the page to report.
// CHROMIUM names the browser where it is not found by itself.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { report } from "./report.mjs";

const limit = 120_000; // milliseconds until a browser that says nothing counts as failed
const page = `<!doctype html><meta charset="utf-8"><title>tests</title><script type="module">
const send = (results) => fetch("/report", { method: "POST", body: JSON.stringify({ agent: navigator.userAgent, results }) });
try {
  const { runAll } = await import("/tests.mjs");
  await send(await runAll());
} catch (e) {
  await send([{ name: "the page", error: String(e.stack ?? e) }]);
}
</script>`;

const browser = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => p && existsSync(p));
if (!browser) {
  console.error("Chromium is missing: install it, or name it in CHROMIUM.");
  process.exit(1);
}

const bundle = await readFile(new URL("../dist/tests.mjs", import.meta.url));
let reported;
const results = new Promise((resolve) => (reported = resolve));
const server = createServer(async (req, res) => {
  if (req.method === "POST" && req.url === "/report") {
    const parts = [];
    for await (const part of req) parts.push(part);
    res.end();
    reported(JSON.parse(Buffer.concat(parts).toString()));
  } else if (req.url === "/tests.mjs") {
    res.writeHead(200, { "content-type": "text/javascript; charset=utf-8" }).end(bundle);
  } else if (req.url === "/") {
    res.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
  } else {
    res.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const profile = await mkdtemp(join(tmpdir(), "aidloop-chromium-"));
const child = spawn(browser, ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}/`], { stdio: ["ignore", "ignore", "pipe"] });
let said = "";
child.stderr.on("data", (b) => (said = (said + b).slice(-4000)));
const exited = new Promise((resolve) => child.on("close", resolve));
const failed = (why) => ({ agent: browser, results: [{ name: "the browser", error: `${why}\n${said}` }] });
const timer = new Promise((resolve) => setTimeout(resolve, limit, failed("it did not report in time")).unref());

const outcome = await Promise.race([results, timer, exited.then((code) => failed(`it ended with ${code} before it reported`))]);
child.kill("SIGKILL");
await exited;
server.closeAllConnections();
server.close();
await rm(profile, { recursive: true, force: true, maxRetries: 5 });
process.exitCode = report(/Chrom\w*\/[\d.]+/.exec(outcome.agent)?.[0] ?? outcome.agent, outcome.results);
