// Bundles the tests, and the script that the Go tests drive, into dist/.
import { build } from "esbuild";

await build({
  entryPoints: { tests: "test/all.ts", phone: "test/phone.ts" },
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: ["es2022"],
  outExtension: { ".js": ".mjs" },
  logLevel: "warning",
});
