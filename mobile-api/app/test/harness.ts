// A test registry that runs alike in Node and in a page.

/** Result is what became of one test. */
export interface Result {
  name: string;
  error?: string;
}

const tests: { name: string; run: () => void | Promise<void> }[] = [];

/** test registers a test. */
export function test(name: string, run: () => void | Promise<void>): void {
  tests.push({ name, run });
}

/** runAll runs every registered test in order. */
export async function runAll(): Promise<Result[]> {
  const results: Result[] = [];
  for (const t of tests) {
    try {
      await t.run();
      results.push({ name: t.name });
    } catch (e) {
      results.push({ name: t.name, error: e instanceof Error ? (e.stack ?? e.message) : String(e) });
    }
  }
  return results;
}

/** equal insists that two values have the same JSON. */
export function equal(got: unknown, want: unknown, about = ""): void {
  const g = JSON.stringify(got), w = JSON.stringify(want);
  if (g !== w) throw new Error(`${about}: got ${g}, want ${w}`);
}

/** check insists on a condition. */
export function check(ok: boolean, about: string): void {
  if (!ok) throw new Error(about);
}

/** fails insists that fn throws, and returns what. */
export function fails(fn: () => unknown, about: string): Error {
  try {
    fn();
  } catch (e) {
    return e as Error;
  }
  throw new Error(`${about}: taken`);
}

/** rejects insists that a promise is rejected, and returns with what. */
export async function rejects(p: Promise<unknown>, about: string): Promise<Error> {
  try {
    await p;
  } catch (e) {
    return e as Error;
  }
  throw new Error(`${about}: taken`);
}

/** succeeds reports whether fn returns. */
export function succeeds(fn: () => unknown): boolean {
  try {
    fn();
    return true;
  } catch {
    return false;
  }
}
