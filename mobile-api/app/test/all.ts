// Every test, as one bundle for Node and for a page.

import "./vectors.ts";
import "./cases.ts";
import "./engine.ts";

export { runAll } from "./harness.ts";
