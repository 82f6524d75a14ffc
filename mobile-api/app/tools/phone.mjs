// Reads commands from standard input, a line of JSON each, and answers with a line: {"ok":…} or {"error":"…"}.
import { createInterface } from "node:readline";
import { Phone } from "../dist/phone.mjs";

const phone = new Phone();
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { ok: (await phone.run(JSON.parse(line))) ?? null };
  } catch (e) {
    answer = { error: String(e.stack ?? e) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
