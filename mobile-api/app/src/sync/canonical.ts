// Canonical JSON (PROTOCOL.md § 1): the reader with its refusals, and the writer.
//
// A canonical value is kept as the very text that was received. Well-formed text and its UTF-8 bytes say the same, so
// equality of texts is equality of bytes, and nothing is ever serialised anew. Keys are ASCII, so that `<` orders them
// by bytes.

import { text as decodeText } from "./bytes.ts";
import { CanonicalError } from "./errors.ts";
import { maxDepth, maxInt, maxNameLength } from "./limits.ts";

declare const canonical: unique symbol;

/** Raw is the text of one canonical JSON value. */
export type Raw = string & { readonly [canonical]: true };

/** Fields is a canonical object split one level deep, in ascending order of names. A Map, since `__proto__` is a valid name. */
export type Fields = ReadonlyMap<string, Raw>;

/** Value is what a canonical value holds; members that are undefined or null are left out when it is written. */
export type Value = string | number | boolean | readonly Value[] | { readonly [name: string]: Value | null | undefined } | ReadonlyMap<string, Value>;

/** checkCanonical returns the text as a Raw, or throws a CanonicalError. */
export function checkCanonical(s: string): Raw {
  const end = scanValue(s, 0, 0);
  if (end !== s.length) throw new CanonicalError("trailing characters", end);
  return s as Raw;
}

/** readCanonical reads bytes: UTF-8 and canonical, or a CanonicalError. */
export function readCanonical(b: Uint8Array): Raw {
  let s: string;
  try {
    s = decodeText(b);
  } catch {
    throw new CanonicalError("invalid UTF-8");
  }
  return checkCanonical(s);
}

/** isCanonical reports whether bytes are one canonical value. */
export function isCanonical(b: Uint8Array): boolean {
  try {
    readCanonical(b);
    return true;
  } catch {
    return false;
  }
}

/** parseFields checks that s is one canonical object, no sealed value, and splits it. */
export function parseFields(s: string): Fields {
  if (s[0] !== "{") throw new CanonicalError("expected an object", 0);
  const out = new Map<string, Raw>();
  const end = scanObject(s, 0, 0, (name, value) => out.set(name, value));
  if (end !== s.length) throw new CanonicalError("trailing characters", end);
  if (out.has(sealedKey)) throw new CanonicalError("a sealed value where an object of fields belongs", 0);
  return out;
}

/** items splits a canonical array into its elements, and throws where raw is something else or has more than limit. */
export function items(raw: Raw, limit = Infinity): Raw[] {
  if (raw[0] !== "[") throw new CanonicalError("expected an array");
  const list: Raw[] = [];
  for (let i = 1; raw[i] !== "]"; ) {
    const end = scanValue(raw, i, 1);
    if (list.length === limit) throw new CanonicalError(`more than ${limit} items`);
    list.push(raw.slice(i, end) as Raw);
    i = raw[end] === "," ? end + 1 : end;
  }
  return list;
}

/** stringOf is the text of a canonical string, "" where raw is absent or something else. */
export function stringOf(raw: Raw | undefined): string {
  return raw !== undefined && raw[0] === '"' ? (JSON.parse(raw) as string) : "";
}

/** numberOf is the number of a canonical integer, 0 where raw is absent or something else. */
export function numberOf(raw: Raw | undefined): number {
  return raw !== undefined && /^-?[0-9]/.test(raw) ? Number(raw) : 0;
}

/** valueOf is the JavaScript value of a canonical one. */
export function valueOf(raw: Raw): Value {
  return JSON.parse(raw) as Value; // canonical JSON has no duplicate keys and no number that a double rounds
}

/** fieldsText writes an object from its fields, in ascending order of names. */
export function fieldsText(f: Fields): Raw {
  const names = [...f.keys()].sort(byBytes);
  return `{${names.map((n) => `"${n}":${f.get(n)}`).join(",")}}` as Raw;
}

/** withField is a copy of f in which the field has the value; undefined removes it. */
export function withField(f: Fields, name: string, value: Raw | undefined): Fields {
  const out = new Map(f);
  if (value === undefined) out.delete(name);
  else out.set(name, value);
  return value !== undefined && !f.has(name) ? new Map([...out].sort((a, b) => byBytes(a[0], b[0]))) : out;
}

/** fieldsOf makes fields from JavaScript values; undefined and null are left out. */
export function fieldsOf(values: { readonly [name: string]: Value | null | undefined }): Fields {
  const out = new Map<string, Raw>();
  for (const name of Object.keys(values).sort(byBytes)) {
    const v = values[name];
    if (v === undefined || v === null) continue;
    if (!validName(name)) throw new CanonicalError(`bad field name ${JSON.stringify(name.slice(0, 32))}`);
    out.set(name, encode(v, 1));
  }
  return out;
}

/** encode writes a JavaScript value as canonical JSON, or throws where it has no canonical form. */
export function encode(v: Value, depth = 0): Raw {
  switch (typeof v) {
    case "string":
      if (!wellFormed(v)) throw new CanonicalError("lone surrogate");
      return JSON.stringify(v) as Raw; // its escapes are those of RFC 8785
    case "number":
      if (!Number.isSafeInteger(v)) throw new CanonicalError("number that is not an integer within ±(2^53−1)");
      return String(v) as Raw; // "0" for −0, too
    case "boolean":
      return String(v) as Raw;
    case "object":
      break;
    default:
      throw new CanonicalError(`${typeof v} has no canonical form`);
  }
  if (v === null) throw new CanonicalError("null (leave the field out instead)");
  if (depth >= maxDepth) throw new CanonicalError("nested too deep");
  if (Array.isArray(v)) return `[${(v as Value[]).map((x) => encode(x, depth + 1)).join(",")}]` as Raw;
  const members = v instanceof Map ? [...(v as Map<string, Value>)] : Object.entries(v as Record<string, Value>);
  return encodeMembers(
    members.filter(([, x]) => x !== undefined && x !== null),
    depth,
  );
}

function encodeMembers(members: [string, Value][], depth: number): Raw {
  const sealed = members.length === 1 && members[0]![0] === sealedKey && typeof members[0]![1] === "string";
  members.sort((a, b) => byBytes(a[0], b[0]));
  for (const [name] of members) {
    if (!validName(name) && !sealed) throw new CanonicalError(`bad key ${JSON.stringify(name.slice(0, 32))}`);
  }
  return `{${members.map(([n, x]) => `"${n}":${encode(x, depth + 1)}`).join(",")}}` as Raw;
}

/** byBytes orders ASCII names by their bytes. */
export function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** validName reports whether s may name a field, a kind, an act or a code. */
export function validName(s: string): boolean {
  return s.length <= maxNameLength && /^[a-z0-9_]+$/.test(s);
}

function wellFormed(s: string): boolean {
  return !/[\ud800-\udfff]/.test(s.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ""));
}

const sealedKey = "$s";
const quote = 0x22, backslash = 0x5c, comma = 0x2c, colon = 0x3a, minus = 0x2d, zero = 0x30, nine = 0x39;
const openBrace = 0x7b, closeBrace = 0x7d, openBracket = 0x5b, closeBracket = 0x5d;

/** scanValue checks the value that starts at i and returns the index behind it. */
function scanValue(s: string, i: number, depth: number): number {
  const c = s.charCodeAt(i); // NaN behind the end
  if (c === quote) return scanString(s, i);
  if (c === openBrace) return scanObject(s, i, depth);
  if (c === openBracket) return scanArray(s, i, depth);
  if (c === minus || (c >= zero && c <= nine)) return scanInt(s, i);
  if (s.startsWith("true", i)) return i + 4;
  if (s.startsWith("false", i)) return i + 5;
  throw new CanonicalError(i >= s.length ? "value cut short" : s.startsWith("null", i) ? "null (leave the field out instead)" : "unexpected character", i);
}

function scanInt(s: string, start: number): number {
  const digits = s.charCodeAt(start) === minus ? start + 1 : start;
  let i = digits;
  while (i - digits <= 16 && s.charCodeAt(i) >= zero && s.charCodeAt(i) <= nine) i++;
  if (i === digits) throw new CanonicalError("number without digits", start);
  if (s.charCodeAt(digits) === zero && (i - digits > 1 || digits > start)) throw new CanonicalError("number with a leading zero or a negative zero", start);
  if (i - digits > 16 || Number(s.slice(digits, i)) > maxInt) throw new CanonicalError("integer beyond ±(2^53−1)", start);
  if (i < s.length && ".eE".includes(s[i]!)) throw new CanonicalError("number that is not an integer", start);
  return i;
}

function scanString(s: string, start: number): number {
  for (let i = start + 1; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c === quote) return i + 1;
    if (c < 0x20) throw new CanonicalError("raw control character in a string", i);
    if (c === backslash) i = scanEscape(s, i) - 1;
    else if (c >= 0xd800 && c <= 0xdfff) {
      const low = s.charCodeAt(i + 1);
      if (c > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) throw new CanonicalError("lone surrogate", i);
      i++;
    }
  }
  throw new CanonicalError("string cut short", start);
}

function scanEscape(s: string, i: number): number {
  const c = s[i + 1];
  if (c === undefined) throw new CanonicalError("string cut short", i);
  if ('"\\btnfr'.includes(c)) return i + 2;
  if (c !== "u") throw new CanonicalError("unknown escape", i);
  const h = s.slice(i + 2, i + 6);
  if (!/^00[01][0-9a-f]$/.test(h)) throw new CanonicalError("escape of a character that stands for itself", i);
  if (/^000[89acd]$/.test(h)) throw new CanonicalError("long escape where a short one exists", i);
  return i + 6;
}

function scanArray(s: string, i: number, depth: number): number {
  if (depth >= maxDepth) throw new CanonicalError("nested too deep", i);
  i++;
  if (s.charCodeAt(i) === closeBracket) return i + 1;
  for (;;) {
    i = scanValue(s, i, depth + 1);
    const c = s.charCodeAt(i);
    if (c === closeBracket) return i + 1;
    if (c !== comma) throw new CanonicalError("expected , or ] in an array", i);
    i++;
  }
}

/** scanObject checks the object at i; each, where given, is called with every member. */
function scanObject(s: string, i: number, depth: number, each?: (name: string, value: Raw) => void): number {
  if (depth >= maxDepth) throw new CanonicalError("nested too deep", i);
  i++;
  if (s.charCodeAt(i) === closeBrace) return i + 1;
  for (let last = ""; ; i++) {
    const name = scanKey(s, i);
    const sealed = name === sealedKey;
    if (last !== "" && (sealed || last === sealedKey || name <= last)) throw new CanonicalError("keys not in strictly ascending order", i);
    const at = i + name.length + 2;
    if (s.charCodeAt(at) !== colon) throw new CanonicalError("expected : behind a key", at);
    const end = scanValue(s, at + 1, depth + 1);
    const c = s.charCodeAt(end);
    if (sealed && (c !== closeBrace || s.charCodeAt(at + 1) !== quote)) throw new CanonicalError("a sealed value is one string, alone in its object", i);
    each?.(name, s.slice(at + 1, end) as Raw);
    if (c === closeBrace) return end + 1;
    if (c !== comma) throw new CanonicalError("expected , or } in an object", end);
    last = name;
    i = end;
  }
}

const key = /"(\$s|[a-z0-9_]{1,64})"/y;

function scanKey(s: string, i: number): string {
  key.lastIndex = i;
  const m = key.exec(s);
  if (m === null) throw new CanonicalError("a key must be 1 to 64 characters of a-z, 0-9 and _", i);
  return m[1]!;
}
