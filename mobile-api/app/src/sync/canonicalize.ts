// From any JSON to its canonical form: what forms and other software hand over.

import { text } from "./bytes.ts";
import { type Raw, type Value, encode } from "./canonical.ts";
import { CanonicalError } from "./errors.ts";
import { maxDepth, maxInt } from "./limits.ts";

/** canonicalize writes any JSON in its canonical form; null members are left out. What JSON.parse would guess about
 * (duplicate keys, fractions, rounded integers, lone surrogates) is an error. */
export function canonicalize(json: string | Uint8Array): Raw {
  const s = typeof json === "string" ? json : text(json);
  const r = new Reader(s);
  const v = r.value(0);
  r.space();
  if (r.at !== s.length) throw new CanonicalError("trailing characters", r.at);
  return encode(v as Value);
}

/** Reader is a JSON reader (RFC 8259) that keeps what JSON.parse forgets. */
class Reader {
  at = 0;

  constructor(private readonly s: string) {}

  space(): void {
    while (" \t\n\r".includes(this.s[this.at] ?? "x")) this.at++;
  }

  value(depth: number): Value | null {
    if (depth > maxDepth) throw new CanonicalError("nested too deep", this.at);
    this.space();
    const c = this.s[this.at];
    if (c === "{") return this.object(depth);
    if (c === "[") return this.array(depth);
    if (c === '"') return this.string();
    for (const [word, v] of [["true", true], ["false", false], ["null", null]] as const) {
      if (this.s.startsWith(word, this.at)) {
        this.at += word.length;
        return v;
      }
    }
    return this.number();
  }

  private take(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.at;
    const m = pattern.exec(this.s);
    if (m === null) throw new CanonicalError(what, this.at);
    this.at += m[0].length;
    return m[0];
  }

  private number(): number {
    const digits = this.take(/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y, "unexpected character");
    const n = Number(digits);
    if (/[.eE]/.test(digits) || Math.abs(n) > maxInt) throw new CanonicalError("number that is not an integer within ±(2^53−1)", this.at);
    return n;
  }

  private string(): string {
    return JSON.parse(this.take(/"([^"\\\u0000-\u001f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y, "bad string")) as string;
  }

  private next(end: string): boolean {
    this.space();
    const c = this.s[this.at++];
    if (c !== "," && c !== end) throw new CanonicalError(`expected , or ${end}`, this.at - 1);
    return c === ",";
  }

  private empty(end: string): boolean {
    this.at++;
    this.space();
    if (this.s[this.at] !== end) return false;
    this.at++;
    return true;
  }

  private array(depth: number): Value[] {
    const list: Value[] = [];
    if (this.empty("]")) return list;
    do {
      list.push(this.value(depth + 1) as Value); // encode refuses null
    } while (this.next("]"));
    return list;
  }

  private object(depth: number): Map<string, Value> {
    const out = new Map<string, Value>();
    if (this.empty("}")) return out;
    do {
      this.space();
      const name = this.string();
      if (out.has(name)) throw new CanonicalError(`duplicate key ${JSON.stringify(name.slice(0, 32))}`, this.at);
      this.space();
      if (this.s[this.at++] !== ":") throw new CanonicalError("expected : behind a key", this.at - 1);
      out.set(name, this.value(depth + 1) as Value);
    } while (this.next("}"));
    return out;
  }
}
