// Runs the bundled tests in Node and says what failed.
import { runAll } from "../dist/tests.mjs";
import { report } from "./report.mjs";

process.exitCode = report("Node " + process.version, await runAll());
